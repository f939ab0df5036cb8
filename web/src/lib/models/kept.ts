/** Small choices kept in this browser. Where storage is refused, they last as long as the page. */
type Name = 'theme' | 'language' | 'signed-in' | 'microphone' | 'speaker' | 'audio';

const memory = new Map<Name, string>();

export const kept = {
	get(name: Name): string | null {
		try {
			return localStorage.getItem(`kraliki.${name}`);
		} catch {
			return memory.get(name) ?? null;
		}
	},
	set(name: Name, value: string | null): void {
		if (value === null) memory.delete(name);
		else memory.set(name, value);
		try {
			if (value === null) localStorage.removeItem(`kraliki.${name}`);
			else localStorage.setItem(`kraliki.${name}`, value);
		} catch {
			// Kept in memory.
		}
	},
};
