/** Who is signed in. */
import { auth, isTransient, tokens } from '$lib/api';
import type { Role, User } from '$lib/api/types';
import { kept } from './kept';

class Session {
	user = $state.raw<User | null>(null);
	#restored: Promise<void> | null = null;
	/** Told about each new token, so that the live socket renews its own. */
	ontoken: (token: string | null) => void = () => {};

	constructor() {
		tokens.onchange = (token, user) => {
			this.user = user;
			kept.set('signed-in', user ? '1' : null);
			this.ontoken(token);
		};
	}

	/** Takes up the session of an earlier page, if there is one. Throws when the server can't be reached. */
	restore(): Promise<void> {
		this.#restored ??= this.#restore().catch((error) => {
			this.#restored = null;
			throw error;
		});
		return this.#restored;
	}

	async #restore(): Promise<void> {
		// Without this mark each first visit would cost a request that is refused.
		if (this.user || !kept.get('signed-in')) return;
		try {
			await tokens.renew();
		} catch (error) {
			if (isTransient(error)) throw error;
		}
	}

	async signOut(): Promise<void> {
		try {
			await auth.logout();
		} finally {
			tokens.clear();
		}
	}
}

export const session = new Session();

const RANK: Record<Role, number> = { agent: 0, analyst: 1, supervisor: 2, manager: 3, admin: 4 };

/** Whether a role may do what `least` may. Agents are a role of their own. */
export function may(user: User | null, least: Exclude<Role, 'agent'>): boolean {
	return user !== null && RANK[user.role] >= RANK[least];
}

/** The page a person starts on. */
export function homeOf(user: User): string {
	return user.role === 'agent' ? '/desk' : '/overview';
}

/** Whether a person may open a page; the server decides again on each request. */
export function mayOpen(user: User, path: string): boolean {
	if (path.startsWith('/desk')) return user.role === 'agent';
	if (path === '/teams') return may(user, 'supervisor');
	if (path === '/campaigns/new' || /^\/(prompts|suppressions)/.test(path)) return may(user, 'manager');
	return user.role !== 'agent';
}
