/** What the live socket says, applied to what is known. */
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

export interface LiveState {
	campaigns: Map<number, CampaignView>;
	agents: Map<number, AgentView>;
	/** Calls in progress. */
	calls: Map<number, CallView>;
	trunks: Map<number, TrunkView>;
	/** By agent. */
	phones: Map<number, PhoneView>;
	/** How calls with agents are heard, by call. */
	quality: Map<number, CallQuality>;
	/** The sides that are not heard, by call. */
	unheard: Map<number, Partial<Record<Side, Unheard>>>;
	/** The last call of the person who watches, kept past its end for the wrap-up. */
	mine: CallView | null;
	draining: boolean;
	storeOk: boolean;
}

export function emptyState(): LiveState {
	return {
		campaigns: new Map(),
		agents: new Map(),
		calls: new Map(),
		trunks: new Map(),
		phones: new Map(),
		quality: new Map(),
		unheard: new Map(),
		mine: null,
		draining: false,
		storeOk: true,
	};
}

const byId = <T extends { id: number }>(items: T[]): Map<number, T> =>
	new Map(items.map((item) => [item.id, item]));

/** Changes `state` by one message; `me` is the agent who watches, if one does. */
export function reduce(state: LiveState, message: LiveMessage, me: number | null): void {
	switch (message.type) {
		case 'snapshot':
			state.campaigns = byId(message.campaigns);
			state.agents = byId(message.agents);
			// Calls that are wrapped up come as ended ones: only their agent still looks at them.
			state.calls = byId(message.calls.filter((call) => call.state !== 'ended'));
			state.trunks = byId(message.trunks);
			state.phones = new Map(message.phones.map((phone) => [phone.agent, phone]));
			// What was missed of these comes again within seconds.
			state.quality = new Map();
			state.unheard = new Map();
			state.draining = message.draining;
			state.storeOk = message.store_ok;
			if (me !== null) state.mine = message.calls.find((call) => call.agent === me) ?? state.mine;
			break;
		case 'agent': {
			const { type: _, ...agent } = message;
			if (agent.state === 'offline') state.agents.delete(agent.id);
			else state.agents.set(agent.id, agent);
			break;
		}
		case 'call': {
			const { type: _, ...call } = message;
			if (call.state === 'ended') {
				state.calls.delete(call.id);
				state.quality.delete(call.id);
				state.unheard.delete(call.id);
			} else state.calls.set(call.id, call);
			if (me !== null && call.agent === me) state.mine = call;
			break;
		}
		case 'campaign': {
			const { type: _, ...campaign } = message;
			state.campaigns.set(campaign.id, campaign);
			break;
		}
		case 'campaign_deleted':
			state.campaigns.delete(message.id);
			break;
		case 'trunk': {
			const { type: _, ...trunk } = message;
			state.trunks.set(trunk.id, trunk);
			break;
		}
		case 'trunk_deleted':
			state.trunks.delete(message.id);
			break;
		case 'phone': {
			const { type: _, ...phone } = message;
			if (phone.state === 'none') state.phones.delete(phone.agent);
			else state.phones.set(phone.agent, phone);
			break;
		}
		case 'quality':
			for (const quality of message.calls) {
				// It may have been measured just before the call ended.
				if (!state.calls.has(quality.call)) continue;
				state.quality.set(quality.call, quality);
				const [carrier, agent] = [quality.carrier.unheard, quality.desk.unheard];
				state.unheard.set(quality.call, { ...(carrier && { carrier }), ...(agent && { agent }) });
			}
			break;
		case 'unheard': {
			const { [message.side]: _, ...other } = state.unheard.get(message.call) ?? {};
			const sides = message.why === null ? other : { ...other, [message.side]: message.why };
			if (state.calls.has(message.call)) state.unheard.set(message.call, sides);
			break;
		}
		case 'ping':
			break;
	}
}

/**
 * Whether an agent's view that a request answered is older than the one that is known. Ready and the lead that it brings
 * may be of the same millisecond: of two states then, the socket's is the later one, or the socket is about to say so.
 */
export function isOvertaken(answer: AgentView, known: AgentView | undefined): boolean {
	if (!known) return false;
	if (known.since_unix_ms === answer.since_unix_ms) return known.state !== answer.state;
	return known.since_unix_ms > answer.since_unix_ms;
}

/** Whether a message must be on the screen at once instead of with the next batch. */
export function isUrgent(message: LiveMessage, me: number | null): boolean {
	if (message.type === 'snapshot') return true;
	if (me === null) return false;
	if (message.type === 'agent') return message.id === me;
	const own = message.type === 'call' || message.type === 'phone' || message.type === 'unheard';
	return own && message.agent === me;
}
