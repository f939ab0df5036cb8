/** What the agent listens and speaks with: this page, or a SIP phone. Remembered in the browser. */
import { kept } from '$lib/models/kept';
import { leg } from './leg.svelte';
import { phone } from './phone.svelte';

export type Way = 'browser' | 'phone';

class Audio {
	#chosen = $state<Way>(kept.get('audio') === 'phone' ? 'phone' : 'browser');

	/** A phone where the dialer takes them, else the page. */
	get way(): Way {
		return phone.setup?.enabled ? this.#chosen : 'browser';
	}

	/** Whether the agent hears and is heard. */
	get ok(): boolean {
		return this.way === 'phone' ? phone.up : leg.ok;
	}

	/** Whether it is being opened. */
	get opening(): boolean {
		if (this.way === 'phone') return phone.ringing;
		return leg.state === 'connecting' || leg.state === 'repairing';
	}

	/** Opens the audio and waits for it. False: what stands in the way is shown. */
	async start(): Promise<boolean> {
		if (this.way === 'phone') return phone.start();
		return (await leg.start()) && leg.sound;
	}

	/** Takes up the audio of an earlier page. A phone goes on by itself, and is not called without being asked to. */
	async resume(): Promise<void> {
		if (this.way === 'browser' && !phone.took) await leg.start();
	}

	stop(): Promise<void> {
		return this.way === 'phone' ? phone.stop() : leg.stop();
	}

	/** Another way from now on; with `open`, its audio takes the place of the old one at once. */
	async choose(way: Way, open: boolean): Promise<void> {
		if (way === this.way) return;
		await this.stop();
		this.#remember(way);
		if (open) await this.start();
	}

	/** The phone called the dialer and is the audio now: the page lets go of its own. */
	async follow(): Promise<void> {
		if (this.way === 'phone') return;
		this.#remember('phone');
		await leg.stop();
	}

	#remember(way: Way): void {
		this.#chosen = way;
		kept.set('audio', way);
	}
}

export const audio = new Audio();
