/** The agent's desk: what the agent asks for, and what the server made of it. */
import { agent, calls, campaigns, isTransient } from '$lib/api';
import type { AgentDesk, AgentState, AgentView, CallView, Disposition, PreviewView } from '$lib/api/types';
import { live } from '$lib/live/index.svelte';
import { isOvertaken } from '$lib/live/reduce';
import { audio, type Way } from '$lib/softphone/audio.svelte';
import { phone } from '$lib/softphone/phone.svelte';
import { pending, type Draft } from './pending';
import { session } from './session.svelte';

/** What the desk needs to know of a campaign. */
export interface CallForm {
	name: string;
	dispositions: Disposition[];
}

/** Then the server is asked all the same, and says what is wrong. */
const HEARD_WITHIN_MS = 3_000;
const RETRY_RESULT_MS = [1_000, 2_000, 5_000, 10_000];

class Desk {
	/** The state was read once. */
	loaded = $state(false);
	busy = $state(false);
	error = $state.raw<unknown>(null);
	/** The server let go of the agent (it was restarted), and the desk signed in again. */
	restored = $state(false);
	/** A result that the server could not take yet. */
	unsaved = $state(0);
	/** The call whose result the server has. */
	savedCall = $state(0);
	#forms = $state.raw(new Map<number, CallForm>());
	/** The agent pressed sign-out: the session ends with the shift. */
	leaving = $state(false);
	/** The agent means to be at work. */
	#onShift = false;
	#loading = false;
	#seenSnapshots = 0;
	#keys: Promise<void> = Promise.resolve();
	#flushing = false;
	#left: Promise<void> | null = null;

	get me(): AgentView | undefined {
		return session.user ? live.agent(session.user.id) : undefined;
	}

	get state(): AgentState {
		return this.me?.state ?? 'offline';
	}

	/** The call in progress, or the one whose result is due. */
	get call(): CallView | null {
		const id = this.me?.call;
		return id != null && live.mine?.id === id ? live.mine : null;
	}

	/** The lead to look at before it is dialed. */
	get preview(): PreviewView | null {
		return this.me?.preview ?? null;
	}

	/** The call is by hand and nobody answered yet. */
	get dialing(): boolean {
		return this.state === 'reserved' && this.call?.connected_unix_ms === null;
	}

	/** The last call by hand, when nobody was reached: how it ended. The next lead may be there already. */
	get unanswered(): CallView | null {
		const last = live.mine;
		const over = last?.state === 'ended' && last.connected_unix_ms === null && last.outcome !== null;
		return over && !this.call ? last : null;
	}

	form(campaign: number): CallForm | undefined {
		return this.#forms.get(campaign);
	}

	/** Reads the state; a shift that goes on gets its audio back. */
	async load(): Promise<void> {
		if (this.#loading) return;
		this.#loading = true;
		this.error = null;
		try {
			this.#take(await agent.state());
			await phone.load();
			this.loaded = true;
			void this.flush();
			if (this.state !== 'offline') {
				this.#onShift = true;
				await audio.resume();
			}
		} catch (error) {
			this.error = error;
		} finally {
			this.#loading = false;
		}
	}

	/** Called whenever the agent's state or the count of snapshots changes. */
	sync(): void {
		const fresh = live.snapshots !== this.#seenSnapshots;
		this.#seenSnapshots = live.snapshots;
		if (!this.loaded) {
			// The first try may have failed for want of a network.
			if (fresh) void this.load();
			return;
		}
		if (fresh) {
			void this.#resync();
		} else if (!this.me) {
			this.#onShift = false;
			void audio.stop();
		}
		if (this.leaving && !this.me) void this.#leave();
	}

	/** Ends the shift and the session; after the call, if there is one. */
	async signOut(): Promise<void> {
		if (this.me) {
			this.leaving = true;
			await this.offline();
			if (this.error) this.leaving = false;
			if (this.me) return;
		}
		await this.#leave();
	}

	/** Once, whoever learns first that the shift is over. */
	#leave(): Promise<void> {
		this.#left ??= this.#signOff().finally(() => (this.#left = null));
		return this.#left;
	}

	async #signOff(): Promise<void> {
		this.leaving = false;
		this.loaded = false;
		this.#onShift = false;
		this.restored = false;
		await audio.stop();
		phone.setup = null;
		await session.signOut();
	}

	/** The socket came back: whatever was missed is read again. */
	async #resync(): Promise<void> {
		void this.flush();
		try {
			if (this.#onShift && !this.me) {
				this.#take(await agent.set('paused', 'reconnected'));
				this.restored = true;
				await audio.start();
			} else if (this.me?.call != null && !this.call) {
				this.#take(await agent.state());
			}
		} catch (error) {
			this.error = error;
		}
	}

	ready = (): Promise<void> =>
		this.#do(async () => {
			this.restored = false;
			if (this.state === 'offline') {
				this.#take(await agent.set('paused', 'sound_check'));
				this.#onShift = true;
			}
			if (!(await audio.start())) return;
			await this.#heard();
			this.#take(await agent.set('ready'));
		});

	/** Until the server has the audio too, a moment after this page has it; it refuses Ready before. */
	#heard(): Promise<void> {
		return new Promise((resolve) => {
			const timer = setTimeout(done, HEARD_WITHIN_MS);
			const stop = $effect.root(() => {
				$effect(() => {
					if (this.me?.audio) done();
				});
			});
			function done() {
				clearTimeout(timer);
				stop();
				resolve();
			}
		});
	}

	pause = (reason: string): Promise<void> =>
		this.#do(async () => {
			this.#take(await agent.set('paused', reason));
			this.#onShift = true;
			await audio.start();
		});

	/** Ends the shift; during a call it takes effect after wrap-up. */
	offline = (): Promise<void> =>
		this.#do(async () => {
			this.#take(await agent.set('offline'));
			this.#onShift = false;
			if (this.state === 'offline') await audio.stop();
		});

	/** One more call, then offline; in a call it is this one. */
	lastCall = (): Promise<void> => this.#do(async () => void (await agent.lastCall()));
	extendWrapUp = (): Promise<void> => this.#do(async () => void (await agent.extendWrapUp()));

	/** What the agent listens and speaks with from now on. */
	useAudio = (way: Way): Promise<void> => this.#do(() => audio.choose(way, this.me !== undefined));
	/** Calls the agent's phone (again). */
	callPhone = (): Promise<void> => this.#do(async () => void (await phone.start()));

	hangup = (): Promise<void> => this.#do(() => this.#onCall((id) => calls.hangup(id)));
	/** Says who answered; a machine is hung up on. */
	machine = (machine: boolean): Promise<void> =>
		this.#do(() => this.#onCall((id) => calls.machine(id, machine)));
	pauseRecording = (on: boolean): Promise<void> =>
		this.#do(() => this.#onCall((id) => calls.pauseRecording(id, on)));
	hold = (on: boolean): Promise<void> => this.#do(() => this.#onCall((id) => calls.hold(id, on)));

	/** Dials by hand; true when the call is on its way. */
	dial = async (campaign: number, whom: { lead: number } | { phone: string }): Promise<boolean> => {
		await this.#do(async () => void (await agent.dial(campaign, whom)));
		return this.error === null;
	};

	dialPreview = (lead: number): Promise<void> => this.#do(async () => void (await agent.dialPreview(lead)));
	skipPreview = (lead: number, delayS: number, reason: string): Promise<void> =>
		this.#do(async () => void (await agent.skipPreview(lead, delayS, reason)));

	/** Sends keys one request after the other, so that they arrive as they were pressed. */
	dtmf(digits: string): void {
		this.#keys = this.#keys.then(() => this.#onCall((id) => calls.dtmf(id, digits))).catch(this.#show);
	}

	/** Keeps the result and sends it; what the server can't take now goes on being sent. */
	save = (draft: Draft): Promise<void> =>
		this.#do(async () => {
			pending.put({ ...draft, submitted: true });
			try {
				await this.#send(draft);
			} catch (error) {
				if (!isTransient(error)) throw error;
				void this.flush();
			}
		});

	/** Sends results that are still waiting for the server. */
	async flush(): Promise<void> {
		if (this.#flushing) return;
		this.#flushing = true;
		try {
			for (let attempt = 0; ; attempt++) {
				const waiting = pending.submitted();
				this.unsaved = waiting.length;
				if (waiting.length === 0 || !session.user) return;
				for (const draft of waiting) {
					await this.#send(draft).catch((error) => isTransient(error) || this.#show(error));
				}
				this.unsaved = pending.submitted().length;
				if (this.unsaved === 0) return;
				const wait = RETRY_RESULT_MS[Math.min(attempt, RETRY_RESULT_MS.length - 1)];
				await new Promise((resolve) => setTimeout(resolve, wait));
			}
		} finally {
			this.#flushing = false;
		}
	}

	async loadForm(campaign: number): Promise<void> {
		if (this.#forms.has(campaign)) return;
		try {
			const { settings } = await campaigns.get(campaign);
			const form = { name: settings.name, dispositions: settings.dispositions };
			this.#forms = new Map(this.#forms).set(campaign, form);
		} catch (error) {
			// Without it a call in hand could not be finished; of an older call only the code is shown then.
			if (this.call?.campaign === campaign) this.error = error;
		}
	}

	async #send(draft: Draft): Promise<void> {
		const callback = draft.callback ? new Date(draft.callback).getTime() : NaN;
		try {
			await calls.dispose(draft.call, {
				code: draft.code,
				...(draft.note.trim() ? { note: draft.note.trim() } : {}),
				...(Number.isFinite(callback)
					? { callback_unix_ms: callback, personal: draft.personal === true }
					: {}),
			});
		} catch (error) {
			// What the server will never take like this goes back to the agent.
			if (!isTransient(error)) pending.put({ ...draft, submitted: false });
			throw error;
		} finally {
			this.unsaved = pending.submitted().length;
		}
		pending.drop(draft.call);
		this.unsaved = pending.submitted().length;
		this.savedCall = draft.call;
		// What was asked for during the call begins by itself once the result is there.
		const over = draft.finish && this.me?.call === draft.call && this.me.next === null;
		if (over && this.state === 'wrap_up') this.#take(await agent.set('ready'));
	}

	async #onCall(work: (id: number) => Promise<unknown>): Promise<void> {
		const id = this.call?.id;
		if (id !== undefined) await work(id);
	}

	/** An answer that was overtaken by the live socket says nothing new. */
	#take({ current_call, ...view }: AgentDesk): void {
		if (isOvertaken(view, live.agent(view.id))) return;
		if (current_call !== undefined) live.setMine(current_call);
		live.apply({ type: 'agent', ...view });
	}

	#show = (error: unknown): void => {
		this.error = error;
	};

	async #do(work: () => Promise<void>): Promise<void> {
		this.busy = true;
		this.error = null;
		try {
			await work();
		} catch (error) {
			this.error = error;
		} finally {
			this.busy = false;
		}
	}
}

export const desk = new Desk();
