/** Which colour a state has, the same on every page. */
import type { AgentState, CallState, CampaignStatus, Grade, LeadStatus, Outcome } from '$lib/api/types';
import type { Key } from '$lib/i18n/index.svelte';
import type { Tone } from '$lib/ui/Badge.svelte';

export const campaignTone: Record<CampaignStatus, Tone> = {
	draft: 'grey',
	running: 'green',
	paused: 'amber',
	completed: 'blue',
};

export const agentTone: Record<AgentState, Tone> = {
	offline: 'grey',
	ready: 'green',
	preview: 'blue',
	reserved: 'blue',
	talking: 'blue',
	hold: 'amber',
	wrap_up: 'amber',
	paused: 'grey',
};

export const gradeTone: Record<Grade, Tone> = { good: 'green', fair: 'amber', poor: 'red' };

export const callTone: Record<CallState, Tone> = {
	dialing: 'grey',
	ringing: 'grey',
	detecting: 'grey',
	waiting: 'red',
	talking: 'blue',
	hold: 'amber',
	message: 'red',
	voicemail: 'grey',
	ended: 'grey',
};

export const leadTone: Record<LeadStatus, Tone> = {
	new: 'green',
	dialing: 'blue',
	retry: 'amber',
	done: 'grey',
	suppressed: 'red',
};

/** Person reached · person lost · nobody there · our or the carrier's fault. */
export function outcomeTone(outcome: Outcome): Tone {
	switch (outcome) {
		case 'connected':
			return 'green';
		case 'abandoned':
		case 'unknown_crash':
		case 'trunk_fault':
		case 'blocked':
		case 'no_media':
			return 'red';
		case 'caller_hangup':
		case 'opted_out':
		case 'unwanted':
		case 'rejected':
		case 'congestion':
		case 'false_answer':
			return 'amber';
		default:
			return 'grey';
	}
}

/** A lead's name, or its number when it has none. */
export function nameOf(lead: { phone: string; first_name?: string; last_name?: string }): string {
	return [lead.first_name, lead.last_name].filter(Boolean).join(' ') || lead.phone;
}

/** What an agent asked for during a call. */
export function nextKey(next: AgentState): Key {
	return next === 'offline' ? 'agent.next.offline' : 'agent.next.paused';
}
