/** The floor as it is now. Views are replaced, never changed, so that a reader may keep one. */
import { tokens } from '$lib/api';
import type {
	AgentView,
	CallQuality,
	CallView,
	CampaignView,
	LiveMessage,
	PhoneView,
	Side,
	TrunkView,
	Unheard,
} from '$lib/api/types';
import { clock } from '$lib/models/clock.svelte';
import { session } from '$lib/models/session.svelte';
import { emptyState, isUrgent, reduce } from './reduce';
import { LiveSocket, type Status } from './socket';

/** Screens of a busy floor are drawn at most this often. */
const BATCH_MS = 150;

class Live {
	status = $state<Status>('connecting');
	/** Counts snapshots: pages that keep more than this store reload their part. */
	snapshots = $state(0);
	#version = $state(0);
	#state = emptyState();
	#socket: LiveSocket | null = null;
	#batch: ReturnType<typeof setTimeout> | undefined;

	start(): void {
		if (this.#socket) return;
		session.ontoken = (token) => (token ? this.#socket?.renew(token) : this.stop());
		this.status = 'connecting';
		this.#socket = new LiveSocket({
			token: () => tokens.fresh(),
			onmessage: (message) => this.apply(message),
			onstatus: (status) => (this.status = status),
		});
	}

	stop(): void {
		this.#socket?.close();
		this.#socket = null;
		this.#state = emptyState();
		this.#version++;
	}

	/** Takes in a message of the socket, or what a request answered. */
	apply(message: LiveMessage): void {
		const me = session.user?.role === 'agent' ? session.user.id : null;
		if (message.type === 'snapshot') clock.correct(message.at_unix_ms);
		reduce(this.#state, message, me);
		if (isUrgent(message, me)) this.#show();
		else this.#batch ??= setTimeout(() => this.#show(), BATCH_MS);
		if (message.type === 'snapshot') this.snapshots++;
	}

	/** The call that the agent's desk is about, as a request answered it. */
	setMine(call: CallView | null): void {
		this.#state.mine = call;
		this.#show();
	}

	#show(): void {
		clearTimeout(this.#batch);
		this.#batch = undefined;
		this.#version++;
	}

	get campaigns(): CampaignView[] {
		void this.#version;
		return [...this.#state.campaigns.values()];
	}
	campaign(id: number): CampaignView | undefined {
		void this.#version;
		return this.#state.campaigns.get(id);
	}
	get agents(): AgentView[] {
		void this.#version;
		return [...this.#state.agents.values()];
	}
	agent(id: number): AgentView | undefined {
		void this.#version;
		return this.#state.agents.get(id);
	}
	get calls(): CallView[] {
		void this.#version;
		return [...this.#state.calls.values()];
	}
	get trunks(): TrunkView[] {
		void this.#version;
		return [...this.#state.trunks.values()];
	}
	phone(agent: number): PhoneView | undefined {
		void this.#version;
		return this.#state.phones.get(agent);
	}
	/** How a call with an agent is heard. */
	quality(call: number): CallQuality | undefined {
		void this.#version;
		return this.#state.quality.get(call);
	}
	/** Who is not heard in a call, and why. */
	unheard(call: number): Partial<Record<Side, Unheard>> {
		void this.#version;
		return this.#state.unheard.get(call) ?? {};
	}
	get mine(): CallView | null {
		void this.#version;
		return this.#state.mine;
	}
	get draining(): boolean {
		void this.#version;
		return this.#state.draining;
	}
	get storeOk(): boolean {
		void this.#version;
		return this.#state.storeOk;
	}
}

export const live = new Live();
