/**
 * An audio leg between this page and the server: an agent's, up from the start of the shift to its end, onto which calls
 * are bridged; or a supervisor's, which follows an agent.
 * It repairs itself: an ICE restart when the path breaks, a new session when the server no longer knows the old one.
 */
import { ice, isTransient, legs, statusOf, type LegApi } from '$lib/api';
import { devices, route } from './devices.svelte';
import { countersOf, judge, type Counters, type Quality } from './quality';

export type LegState = 'off' | 'connecting' | 'up' | 'repairing' | 'failed';
/** Why there is no leg. */
export type LegFault =
	'insecure' | 'denied' | 'no-device' | 'device-busy' | 'refused' | 'unreachable' | 'elsewhere';

const STATS_EVERY_MS = 2_000;
/** `disconnected` often heals by itself within a second. */
const PATIENCE_MS = 1_000;
const CONNECT_WITHIN_MS = 10_000;
const REPAIR_BACK_OFF_MS = [0, 1_000, 2_000, 4_000, 8_000];
/** New sessions in a row before the person is asked; two machines must not take the seat from each other forever. */
const MAX_REPAIRS = 8;

export class Leg {
	state = $state<LegState>('off');
	fault = $state<LegFault | null>(null);
	/** False while the browser refuses to play: one click of the person is needed. */
	sound = $state(true);
	muted = $state(false);
	microphone = $state.raw<MediaStreamTrack | null>(null);
	quality = $state.raw<Quality | null>(null);

	/** Told of each session that was opened, the first one and those that took its place. */
	onsession: () => void = () => {};

	#pc: RTCPeerConnection | null = null;
	#location = '';
	#closing: Promise<unknown> = Promise.resolve();
	#element: HTMLAudioElement | null = null;
	#stats: ReturnType<typeof setInterval> | undefined;
	#before: Counters | null = null;
	#patience: ReturnType<typeof setTimeout> | undefined;
	/** The repair that is under way; 0: none. */
	#repairing = 0;
	#repairsBegun = 0;
	#repairs = 0;
	#tabs: BroadcastChannel | null = null;

	/** `seat` is whose leg it is: of one kind, one tab has it. `element` is the id of what plays. */
	constructor(
		private readonly api: LegApi,
		private readonly seat: string,
		private readonly element: string,
	) {}

	/** Where its session lives; empty without one. */
	get location(): string {
		return this.#location;
	}

	/** Whether the agent hears and is heard. */
	get ok(): boolean {
		return this.state === 'up' && this.sound;
	}

	/** Opens the leg and waits until audio can run. On failure `fault` says why, and it returns false. */
	async start(): Promise<boolean> {
		if (this.state === 'up') return true;
		if (this.state === 'connecting' || this.state === 'repairing') return this.#settled();
		this.fault = null;
		this.#repairs = 0;
		this.state = 'connecting';
		if (!devices.allowedHere) return this.#fail('insecure');
		try {
			await this.#openMicrophone();
		} catch (error) {
			return this.#fail(faultOf(error));
		}
		this.#claimSeat();
		window.addEventListener('online', this.#onNetwork);
		try {
			await this.#connect();
		} catch (error) {
			if (!isTransient(error)) return this.#fail('refused');
			void this.#repair();
		}
		return this.#settled();
	}

	/** Ends the leg; the server is told even if the page goes away. Done when the server has answered. */
	async stop(): Promise<void> {
		const location = this.#location;
		this.#release();
		this.state = 'off';
		if (location) this.#closing = this.api.close(location).catch(() => {});
		await this.#closing;
	}

	setMuted(muted: boolean): void {
		this.muted = muted;
		if (this.microphone) this.microphone.enabled = !muted;
	}

	async useMicrophone(id: string): Promise<void> {
		devices.chooseMicrophone(id);
		if (!this.microphone) return;
		try {
			await this.#openMicrophone();
		} catch (error) {
			this.#fail(faultOf(error));
		}
	}

	async useSpeaker(id: string): Promise<void> {
		devices.chooseSpeaker(id);
		if (this.#element) await route(this.#element);
	}

	/** Starts the sound after a refusal; must be called from a click. */
	async resumeSound(): Promise<void> {
		await this.#play();
	}

	async #openMicrophone(): Promise<void> {
		const old = this.microphone;
		const track = await devices.open();
		track.enabled = !this.muted;
		// Unplugged: go on with whatever microphone is left.
		track.onended = () => void this.useMicrophone('');
		this.microphone = track;
		if (old) {
			old.onended = null;
			old.stop();
		}
		await this.#pc?.getSenders()[0]?.replaceTrack(track);
	}

	async #connect(): Promise<void> {
		this.#closePeer();
		const configuration = await configure();
		// Meanwhile the leg may have been stopped, or begun anew.
		if (!this.microphone) throw new DOMException('no microphone', 'NotFoundError');
		this.#closePeer();
		const pc = new RTCPeerConnection(configuration);
		this.#pc = pc;
		pc.ontrack = ({ track }) => this.#listen(track);
		pc.onconnectionstatechange = () => pc === this.#pc && this.#onConnection(pc.connectionState);
		pc.addTransceiver(this.microphone, { direction: 'sendrecv' });
		await pc.setLocalDescription();
		// The server learns our addresses from our checks: the offer need not wait for candidates.
		const { answer, location } = await this.api.open(pc.localDescription?.sdp ?? '');
		if (pc !== this.#pc) {
			void this.api.close(location).catch(() => {});
			return;
		}
		this.#location = location;
		await pc.setRemoteDescription({ type: 'answer', sdp: answer });
		this.onsession();
		this.#before = null;
		this.#stats ??= setInterval(() => void this.#look(), STATS_EVERY_MS);
	}

	#onConnection(state: RTCPeerConnectionState): void {
		clearTimeout(this.#patience);
		if (state === 'connected') {
			this.state = 'up';
			this.fault = null;
			this.#repairs = 0;
		} else if (state === 'disconnected') {
			this.#patience = setTimeout(() => void this.#repair(), PATIENCE_MS);
		} else if (state === 'failed') {
			void this.#repair();
		}
	}

	#onNetwork = (): void => {
		if (this.state === 'up' || this.state === 'repairing') void this.#repair();
	};

	/** Restarts ICE, or opens a new session, until audio runs or there is no point any more. */
	async #repair(): Promise<void> {
		if (this.#repairing || this.state === 'off' || this.state === 'failed') return;
		const mine = ++this.#repairsBegun;
		this.#repairing = mine;
		this.state = 'repairing';
		let fresh = !this.#location;
		while (this.#repairing === mine) {
			if (this.#repairs >= MAX_REPAIRS) return void this.#fail('unreachable');
			await sleep(REPAIR_BACK_OFF_MS[Math.min(this.#repairs++, REPAIR_BACK_OFF_MS.length - 1)] ?? 8_000);
			if (this.#repairing !== mine) return;
			try {
				if (fresh) await this.#connect();
				else await this.#restartIce();
				if (await this.#connected()) {
					if (this.#repairing === mine) this.#repairing = 0;
					return;
				}
				// The restart did not get through: next time from the start.
				fresh = true;
			} catch (error) {
				if (isTransient(error)) continue;
				const status = statusOf(error);
				// The server doesn't know this leg any more: it was restarted, or let go of it.
				const gone = status === 404 || status === 409 || status === 410 || status === 0;
				if (fresh || !gone) return void this.#fail('refused');
				fresh = true;
			}
		}
	}

	async #restartIce(): Promise<void> {
		const pc = this.#pc;
		if (!pc) return;
		// The credentials of the servers may have run out since.
		pc.setConfiguration(await configure());
		if (pc.signalingState === 'have-local-offer') await pc.setLocalDescription({ type: 'rollback' });
		pc.restartIce();
		await pc.setLocalDescription();
		const answer = await this.api.restart(this.#location, pc.localDescription?.sdp ?? '');
		if (pc === this.#pc) await pc.setRemoteDescription({ type: 'answer', sdp: answer });
	}

	/** Waits for the peer connection to come up. */
	async #connected(): Promise<boolean> {
		for (let waited = 0; waited < CONNECT_WITHIN_MS; waited += 100) {
			if (!this.#pc) return false;
			if (this.#pc.connectionState === 'connected' && this.#pc.signalingState === 'stable') {
				this.#onConnection('connected');
				return true;
			}
			await sleep(100);
		}
		return false;
	}

	async #settled(): Promise<boolean> {
		for (let waited = 0; waited < 2 * CONNECT_WITHIN_MS; waited += 50) {
			if (this.state === 'up') return true;
			if (this.state === 'off' || this.state === 'failed') return false;
			await sleep(50);
		}
		return this.state === 'up' || this.#fail('unreachable');
	}

	#listen(track: MediaStreamTrack): void {
		if (!this.#element) {
			this.#element = document.createElement('audio');
			this.#element.id = this.element;
			this.#element.autoplay = true;
			document.body.append(this.#element);
		}
		this.#element.srcObject = new MediaStream([track]);
		void route(this.#element);
		void this.#play();
	}

	async #play(): Promise<void> {
		try {
			await this.#element?.play();
			this.sound = true;
		} catch (error) {
			// A newer srcObject interrupts the older play(); only a refusal needs the person.
			if (error instanceof DOMException && error.name === 'NotAllowedError') this.sound = false;
		}
	}

	async #look(): Promise<void> {
		if (!this.#pc || this.state !== 'up') return;
		const now = countersOf(await this.#pc.getStats());
		if (now && this.#before) this.quality = judge(this.#before, now);
		this.#before = now;
	}

	/** One seat, one tab: the newest takes it. */
	#claimSeat(): void {
		if (this.#tabs || typeof BroadcastChannel === 'undefined') return;
		this.#tabs = new BroadcastChannel(this.seat);
		this.#tabs.onmessage = () => this.#fail('elsewhere');
		this.#tabs.postMessage('taken');
	}

	#fail(fault: LegFault): false {
		this.#release();
		this.fault = fault;
		this.state = 'failed';
		return false;
	}

	#closePeer(): void {
		if (!this.#pc) return;
		this.#pc.onconnectionstatechange = null;
		this.#pc.ontrack = null;
		this.#pc.close();
		this.#pc = null;
	}

	#release(): void {
		this.#repairing = 0;
		clearTimeout(this.#patience);
		clearInterval(this.#stats);
		this.#stats = undefined;
		window.removeEventListener('online', this.#onNetwork);
		this.#tabs?.close();
		this.#tabs = null;
		this.#closePeer();
		this.#location = '';
		if (this.microphone) {
			this.microphone.onended = null;
			this.microphone.stop();
			this.microphone = null;
		}
		this.#element?.remove();
		this.#element = null;
		this.quality = null;
		this.muted = false;
		this.sound = true;
	}
}

export const leg = new Leg(legs.agent, 'kraliki-seat', 'caller-audio');

/** How the network may be crossed, as the server's configuration has it. */
async function configure(): Promise<RTCConfiguration> {
	const { ice_servers, ice_transport_policy } = await ice();
	return { bundlePolicy: 'max-bundle', iceServers: ice_servers, iceTransportPolicy: ice_transport_policy };
}

function faultOf(error: unknown): LegFault {
	const name = error instanceof DOMException ? error.name : '';
	if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied';
	if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'no-device';
	return 'device-busy';
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
