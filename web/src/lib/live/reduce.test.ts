import { expect, it } from 'vitest';
import type { AgentView, CallView, LegFigures, LiveMessage, Snapshot } from '$lib/api/types';
import { emptyState, isOvertaken, isUrgent, reduce } from './reduce';

const ME = 7;
const agent = (id: number, change: Partial<AgentView> = {}): AgentView => ({
	id,
	name: `Agent ${id}`,
	state: 'ready',
	since_unix_ms: 0,
	reason: '',
	call: null,
	audio: true,
	next: null,
	pause_ends_unix_ms: null,
	wrap_up_ends_unix_ms: null,
	wrap_up_extension_s: 0,
	shift_ends_unix_ms: null,
	last_call: false,
	forced: null,
	calls: 0,
	preview: null,
	...change,
});
const call = (id: number, change: Partial<CallView> = {}): CallView => ({
	id,
	campaign: 1,
	state: 'ringing',
	since_unix_ms: 0,
	dialed_unix_ms: 0,
	connected_unix_ms: null,
	trunk: 1,
	agent: null,
	outcome: null,
	disposition: null,
	recording: null,
	machine: null,
	caller_id: '',
	ends_unix_ms: null,
	lead: {
		id: 1,
		phone: '+12025550100',
		first_name: '',
		last_name: '',
		time_zone: '',
		country: '',
		state: '',
		consent: 'none',
		attempts: 0,
		callback: null,
		custom: {},
	},
	...change,
});
const snapshot = (change: Partial<Snapshot> = {}): LiveMessage => ({
	type: 'snapshot',
	at_unix_ms: 0,
	campaigns: [],
	agents: [],
	calls: [],
	trunks: [],
	phones: [],
	draining: false,
	store_ok: true,
	...change,
});

it('takes a snapshot for the whole truth', () => {
	const state = emptyState();
	reduce(state, { type: 'call', ...call(1) }, null);
	reduce(state, { type: 'agent', ...agent(2) }, null);
	reduce(state, snapshot({ agents: [agent(3)], calls: [call(9)], draining: true }), null);
	expect([...state.calls.keys()]).toEqual([9]);
	expect([...state.agents.keys()]).toEqual([3]);
	expect(state.draining).toBe(true);
});

it('follows calls and agents until they are gone', () => {
	const state = emptyState();
	reduce(state, { type: 'call', ...call(1) }, null);
	reduce(state, { type: 'call', ...call(1, { state: 'talking', agent: 2 }) }, null);
	expect(state.calls.get(1)).toEqual(call(1, { state: 'talking', agent: 2 }));
	reduce(state, { type: 'call', ...call(1, { state: 'ended' }) }, null);
	expect(state.calls.size).toBe(0);
	reduce(state, { type: 'agent', ...agent(2) }, null);
	reduce(state, { type: 'agent', ...agent(2, { state: 'offline' }) }, null);
	expect(state.agents.size).toBe(0);
});

it('keeps an agent their own call past its end, and over a reload of the desk', () => {
	const state = emptyState();
	reduce(state, { type: 'call', ...call(5, { state: 'talking', agent: ME }) }, ME);
	reduce(state, { type: 'call', ...call(5, { state: 'ended', agent: ME }) }, ME);
	reduce(state, snapshot(), ME);
	expect(state.mine).toMatchObject({ id: 5, state: 'ended' });

	const reloaded = emptyState();
	reduce(reloaded, snapshot({ calls: [call(5, { state: 'ended', agent: ME })] }), ME);
	expect(reloaded.mine).toMatchObject({ id: 5, state: 'ended' });
	expect(reloaded.calls.size).toBe(0);
});

it('follows a phone until it may not be used any more', () => {
	const state = emptyState();
	const phone = {
		agent: ME,
		state: 'registered' as const,
		user_agent: 'baresip',
		session: null,
		problem: null,
		locked_until_unix_ms: null,
	};
	reduce(state, snapshot({ phones: [phone] }), ME);
	reduce(state, { type: 'phone', ...phone, state: 'ringing', session: 'a' }, ME);
	expect(state.phones.get(ME)).toEqual({ ...phone, state: 'ringing', session: 'a' });
	expect(isUrgent({ type: 'phone', ...phone }, ME)).toBe(true);
	expect(isUrgent({ type: 'phone', ...phone }, 8)).toBe(false);
	reduce(state, { type: 'phone', ...phone, state: 'none' }, ME);
	expect(state.phones.size).toBe(0);
});

it('shows how a call is heard until it ends', () => {
	const state = emptyState();
	const heard: LegFigures = {
		codec: 'PCMA',
		lasted_ms: 3_000,
		packets_received: 150,
		packets_sent: 150,
		packets_lost: 0,
		loss: 0,
		longest_loss: 0,
		burst_density: 0,
		reordered: 0,
		repeated: 0,
		jitter_ms: 1,
		jitter_most_ms: 2,
		round_trip_ms: null,
		far_loss: null,
		far_jitter_ms: null,
		mos: 4.4,
		far_mos: null,
		clipped: 0,
		silent: 0.3,
		unheard: null,
		unheard_ms: 0,
	};
	const quality = { call: 1, agent: ME, grade: 'good' as const, carrier: heard, desk: heard };
	reduce(state, { type: 'quality', calls: [quality] }, ME);
	expect(state.quality.size, 'of no call').toBe(0);
	reduce(state, { type: 'call', ...call(1, { state: 'talking', agent: ME }) }, ME);
	reduce(state, { type: 'quality', calls: [quality] }, ME);
	expect(state.quality.get(1)).toEqual(quality);
	const unheard = { call: 1, agent: ME, one_way: true };
	reduce(state, { type: 'unheard', ...unheard, side: 'agent', why: 'digital_silence' }, ME);
	reduce(state, { type: 'unheard', ...unheard, side: 'carrier', why: 'no_packets' }, ME);
	expect(state.unheard.get(1)).toEqual({ agent: 'digital_silence', carrier: 'no_packets' });
	reduce(state, { type: 'unheard', ...unheard, side: 'agent', why: null }, ME);
	expect(state.unheard.get(1)).toEqual({ carrier: 'no_packets' });
	const deaf = { ...quality, desk: { ...heard, unheard: 'no_packets' as const } };
	reduce(state, { type: 'quality', calls: [deaf] }, ME);
	expect(state.unheard.get(1)).toEqual({ agent: 'no_packets' });
	reduce(state, { type: 'call', ...call(1, { state: 'ended', agent: ME }) }, ME);
	expect([state.quality.size, state.unheard.size]).toEqual([0, 0]);
});

it('does not let an answer that comes late take the place of what came after it', () => {
	const ready = agent(ME, { since_unix_ms: 10 });
	expect(isOvertaken(ready, undefined)).toBe(false);
	expect(isOvertaken(ready, agent(ME, { state: 'paused', since_unix_ms: 9 }))).toBe(false);
	expect(isOvertaken(ready, agent(ME, { state: 'talking', since_unix_ms: 11 }))).toBe(true);
	// The lead came with Ready, in the same millisecond.
	expect(isOvertaken(ready, agent(ME, { state: 'preview', since_unix_ms: 10 }))).toBe(true);
	// What is to come after the present state is no state of its own.
	expect(isOvertaken(agent(ME, { since_unix_ms: 10, next: 'paused' }), ready)).toBe(false);
});

it('shows at once what concerns the one who watches', () => {
	expect(isUrgent({ type: 'call', ...call(1, { agent: ME }) }, ME)).toBe(true);
	expect(isUrgent({ type: 'call', ...call(1, { agent: 8 }) }, ME)).toBe(false);
	expect(isUrgent({ type: 'agent', ...agent(ME) }, ME)).toBe(true);
	expect(isUrgent({ type: 'agent', ...agent(ME) }, null)).toBe(false);
	expect(isUrgent(snapshot(), null)).toBe(true);
});
