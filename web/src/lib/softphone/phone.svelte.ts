/**
 * The agent's SIP phone as their audio. The server calls it and tells by the live socket how it stands; nothing of its
 * sound passes through this page.
 */
import { agent, legs, phones, statusOf } from '$lib/api';
import type { PhoneSetup, PhoneView } from '$lib/api/types';
import { live } from '$lib/live/index.svelte';
import { session } from '$lib/models/session.svelte';

/** The server lets it ring for 60 s. */
const RINGS_MS = 65_000;
/** From picking up to the first sound. */
const FIRST_SOUND_MS = 5_000;

class Phone {
	setup = $state.raw<PhoneSetup | null>(null);
	/** Why the phone could not be called. */
	error = $state.raw<unknown>(null);
	/** The session that this page ended, which the live socket may still show for a moment. */
	#ended: string | null = null;

	get view(): PhoneView | undefined {
		return session.user ? live.phone(session.user.id) : undefined;
	}

	get up(): boolean {
		return this.view?.state === 'connected';
	}

	get ringing(): boolean {
		return this.view?.state === 'ringing';
	}

	/** Whether the phone is the agent's audio, by the agent's own call or not. */
	get took(): boolean {
		return this.up && this.view?.session !== this.#ended;
	}

	async load(): Promise<void> {
		try {
			this.setup = await phones.setup();
		} catch (error) {
			// A server of before has no phones.
			if (statusOf(error) !== 404) throw error;
		}
	}

	/** Makes a password, in place of the one before. */
	async renew(): Promise<void> {
		this.setup = await phones.renew();
	}

	async remove(): Promise<void> {
		await phones.remove();
		await this.load();
	}

	/** Calls the phone, and waits until it was picked up and is heard. */
	async start(): Promise<boolean> {
		if (this.up) return true;
		this.error = null;
		let id = this.ringing ? this.view?.session : null;
		try {
			id ??= await agent.callPhone();
		} catch (error) {
			this.error = error;
			return false;
		}
		// The live socket may tell of the session a little later than the answer.
		let seen = false;
		for (const until = Date.now() + RINGS_MS; Date.now() < until; await sleep(50)) {
			seen ||= this.view?.session === id;
			if (seen && this.view?.session !== id) return false;
			if (seen && this.up) return this.#heard();
			if (this.#ended === id) return false;
		}
		return false;
	}

	/** Hangs up at the phone. */
	async stop(): Promise<void> {
		const id = this.view?.session;
		if (!id || id === this.#ended) return;
		this.#ended = id;
		await legs.agent.close(`/api/agent/session/${id}`).catch(() => {});
	}

	async #heard(): Promise<boolean> {
		const heard = () => session.user && live.agent(session.user.id)?.audio;
		for (const until = Date.now() + FIRST_SOUND_MS; Date.now() < until && !heard();) await sleep(50);
		return this.up;
	}
}

export const phone = new Phone();

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
