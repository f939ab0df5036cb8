/** The manual campaigns that the agent serves, and their next leads. */
import { agent, campaigns } from '$lib/api';
import type { DueLead } from '$lib/api/types';
import { live } from '$lib/live/index.svelte';

class ByHand {
	campaigns = $state.raw<{ id: number; name: string }[]>([]);
	#leads = $state.raw<{ campaign: number; list: DueLead[] } | null>(null);
	#chosen = $state<number | null>(null);
	#asked = 0;

	/** Changes whenever a campaign becomes manual or ceases to be, starts or stops. */
	get key(): string {
		const manual = live.campaigns.filter((c) => c.mode === 'manual');
		return manual.map((c) => `${c.id} ${c.status} ${c.name}`).join();
	}

	/** The campaign to dial in. */
	get chosen(): number | null {
		return this.#chosen;
	}

	set chosen(campaign: number | null) {
		if (campaign === this.#chosen) return;
		this.#chosen = campaign;
		void this.load();
	}

	/** The next leads of that campaign. */
	get leads(): DueLead[] {
		return this.#leads?.campaign === this.#chosen ? this.#leads.list : [];
	}

	/** Reads both again; the last answer counts. */
	async load(): Promise<void> {
		const asked = ++this.#asked;
		try {
			const known = this.key === '' ? [] : await campaigns.list();
			// One that has no lead left takes numbers all the same.
			const open = known.filter(
				(c) => c.settings.mode === 'manual' && (c.status === 'running' || c.status === 'completed'),
			);
			if (asked !== this.#asked) return;
			this.campaigns = open.map((c) => ({ id: c.id, name: c.settings.name }));
			if (!open.some((c) => c.id === this.#chosen)) this.#chosen = open[0]?.id ?? null;
			const campaign = this.#chosen;
			if (campaign === null) return;
			const list = await agent.due(campaign);
			if (asked === this.#asked) this.#leads = { campaign, list };
		} catch {
			// The list is a convenience; a number can be dialed without it, and dialing says what is wrong.
		}
	}
}

export const byHand = new ByHand();
