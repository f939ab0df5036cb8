/** The campaign that is open, shared by its tabs. */
import { createContext } from 'svelte';
import { campaigns } from '$lib/api';
import type { Campaign, CampaignStatus, CampaignView } from '$lib/api/types';
import { live } from '$lib/live/index.svelte';

export class OpenCampaign {
	stored = $state.raw<Campaign | null>(null);
	error = $state.raw<unknown>(null);
	busy = $state(false);

	constructor(readonly id: number) {
		void this.load();
	}

	/** Its numbers: the live ones when the socket has them. */
	get view(): CampaignView | null {
		return live.campaign(this.id) ?? this.stored?.live ?? null;
	}
	get name(): string {
		return this.view?.name ?? this.stored?.settings.name ?? '';
	}
	get status(): CampaignStatus | null {
		return this.view?.status ?? this.stored?.status ?? null;
	}

	load = (): Promise<void> => this.#take(() => campaigns.get(this.id), false);
	start = (): Promise<void> => this.#take(() => campaigns.start(this.id), true);
	pause = (): Promise<void> => this.#take(() => campaigns.pause(this.id), true);

	/** What was only read may be older than what the socket has brought meanwhile, and does not take its place. */
	async #take(work: () => Promise<Campaign>, changes: boolean): Promise<void> {
		this.busy = true;
		try {
			this.stored = await work();
			this.error = null;
			if (changes && this.stored.live) live.apply({ type: 'campaign', ...this.stored.live });
		} catch (error) {
			this.error = error;
		} finally {
			this.busy = false;
		}
	}
}

export const [openCampaign, setOpenCampaign] = createContext<OpenCampaign>();
