/** Listening to an agent's calls, whispering to the agent, barging in. */
import { legs, supervision as api } from '$lib/api';
import type { SupervisionMode } from '$lib/api/types';
import { Leg } from '$lib/softphone/leg.svelte';

class Supervision {
	readonly leg = new Leg(legs.supervisor, 'kraliki-supervisor', 'supervised-audio');
	/** Who is followed. */
	agent = $state<number | null>(null);
	mode = $state<SupervisionMode>('listen');
	error = $state.raw<unknown>(null);
	/** Counts what was asked for: a late answer to an earlier wish says nothing. */
	#wishes = 0;

	constructor() {
		// A session that took another one's place follows nobody yet.
		this.leg.onsession = () => void this.#tell();
	}

	/** Follows an agent, from call to call, or changes how. */
	async follow(agent: number, mode: SupervisionMode): Promise<void> {
		const wish = ++this.#wishes;
		this.agent = agent;
		this.mode = mode;
		this.error = null;
		if (this.leg.state === 'up') return this.#tell();
		// On success the new session was told already.
		if (!(await this.leg.start()) && wish === this.#wishes && !this.leg.fault) this.agent = null;
	}

	async stop(): Promise<void> {
		this.#wishes++;
		this.agent = null;
		this.error = null;
		await this.leg.stop();
	}

	async #tell(): Promise<void> {
		const wish = this.#wishes;
		if (this.agent === null) return;
		// Who only listens sends nothing.
		this.leg.setMuted(this.mode === 'listen');
		try {
			await api.follow(this.leg.location, this.agent, this.mode);
		} catch (error) {
			if (wish === this.#wishes) this.error = error;
		}
	}
}

export const supervision = new Supervision();
