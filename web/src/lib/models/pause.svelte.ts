/** Reasons for a pause: the list that a manager set, else a built-in one. */
import { teams } from '$lib/api';
import type { PauseReason } from '$lib/api/types';
import { i18n, t } from '$lib/i18n/index.svelte';

/** What an agent can choose where nobody set a list; the code is what records and reports hold. */
const BUILT_IN = ['break', 'lunch', 'meeting', 'training', 'technical'] as const;

const KNOWN = [...BUILT_IN, 'sound_check', 'reconnected'] as const;

class PauseReasons {
	#list = $state.raw<PauseReason[]>([]);

	/** Read again each time somebody is about to choose; what was there stays when it cannot be read. */
	async load(): Promise<void> {
		try {
			this.#list = await teams.pauseReasons();
		} catch {
			// The choice itself says what is wrong.
		}
	}

	get choices(): string[] {
		return this.#list.length > 0 ? this.#list.map((reason) => reason.code) : [...BUILT_IN];
	}

	of(code: string): PauseReason | undefined {
		return this.#list.find((reason) => reason.code === code);
	}

	/** In minutes; 0: none. */
	limitOf(code: string): number {
		return this.of(code)?.limit_min ?? 0;
	}
}

export const pauseReasons = new PauseReasons();

/** A reason in the reader's language; one that we don't know as it is. */
export function labelOf(code: string): string {
	// The engine's own word, when a leg stayed away.
	if (code === 'no audio') return t('pause.no_audio');
	const set = pauseReasons.of(code);
	if (set) return set.label[i18n.language] || set.label.en;
	const known = KNOWN.find((k) => k === code);
	return known ? t(`pause.${known}`) : code;
}
