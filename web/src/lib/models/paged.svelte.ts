/** A list that the server gives out page by page. */
import type { Page } from '$lib/api/types';

export class Paged<T extends { id: number }> {
	items = $state.raw<T[]>([]);
	next = $state.raw<Page<T>['next']>(null);
	busy = $state(false);
	loaded = $state(false);
	error = $state.raw<unknown>(null);
	#fetch: (from: Page<T>['next']) => Promise<Page<T>>;
	/** An answer to an older question is thrown away. */
	#question = 0;

	constructor(fetch: (from: Page<T>['next']) => Promise<Page<T>>) {
		this.#fetch = fetch;
	}

	reload = (): Promise<void> => this.#load(null);
	more = (): Promise<void> => this.#load(this.next);

	async #load(from: Page<T>['next']): Promise<void> {
		const question = ++this.#question;
		this.busy = true;
		try {
			const page = await this.#fetch(from);
			if (question !== this.#question) return;
			this.items = from === null ? page.items : [...this.items, ...page.items];
			this.next = page.next;
			this.loaded = true;
			this.error = null;
		} catch (error) {
			if (question === this.#question) this.error = error;
		} finally {
			if (question === this.#question) this.busy = false;
		}
	}
}
