/** What the live socket says, applied to what is known. */
import type { AgentView, CallView, CampaignView, LiveMessage, PhoneView, TrunkView } from '$lib/api/types';

export interface LiveState {
	campaigns: Map<number, CampaignView>;
	agents: Map<number, AgentView>;
	/** Calls in progress. */
	calls: Map<number, CallView>;
	trunks: Map<number, TrunkView>;
	/** By agent. */
	phones: Map<number, PhoneView>;
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
			if (call.state === 'ended') state.calls.delete(call.id);
			else state.calls.set(call.id, call);
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
		case 'ping':
			break;
	}
}

/** Whether a message must be on the screen at once instead of with the next batch. */
export function isUrgent(message: LiveMessage, me: number | null): boolean {
	if (message.type === 'snapshot') return true;
	if (me === null) return false;
	if (message.type === 'agent') return message.id === me;
	return (message.type === 'call' || message.type === 'phone') && message.agent === me;
}
