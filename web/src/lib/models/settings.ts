/** A campaign's settings while they are edited: defaults, and what can be said without asking the server. */
import { OUTCOMES, type CampaignSettings } from '$lib/api/types';
import type { Key } from '$lib/i18n/index.svelte';

/** The engine's defaults. The labels of dispositions are the words of the person who creates the campaign. */
export function defaultSettings(label: (key: Key) => string): CampaignSettings {
	return {
		name: '',
		description: '',
		mode: 'predictive',
		lines_per_agent: 1,
		abandonment_cap: 0.03,
		trunk: '',
		caller_id: '',
		ring_timeout_s: 25,
		grace_ms: 2000,
		wrap_up_s: 60,
		calling_hours: [{ days: [1, 2, 3, 4, 5], from: '09:00', to: '20:00' }],
		max_attempts: 6,
		retry: {},
		dispositions: [
			{ code: 'sale', label: label('disposition.sale'), follow_up: 'done' },
			{ code: 'not_interested', label: label('disposition.not_interested'), follow_up: 'done' },
			{ code: 'call_back', label: label('disposition.call_back'), follow_up: 'retry' },
			{ code: 'wrong_number', label: label('disposition.wrong_number'), follow_up: 'done' },
			{ code: 'do_not_call', label: label('disposition.do_not_call'), follow_up: 'suppress' },
		],
		country: 'US',
		agents: [],
		priority: 0,
		abandon_message: '',
	};
}

/** Outcomes that no delay changes; the others may have a rule of their own. */
export const RETRIABLE = OUTCOMES.filter((o) => o !== 'invalid' && o !== 'unwanted' && o !== 'not_sent');

export type Field = keyof CampaignSettings;
export type Faults = Partial<Record<Field, Key>>;

const between = (x: number, low: number, high: number): boolean =>
	Number.isFinite(x) && x >= low && x <= high;

/** What is wrong, by field; empty when the server may be asked. */
export function faultsOf(s: CampaignSettings): Faults {
	const faults: Faults = {};
	if (!s.name.trim()) faults.name = 'fault.required';
	if (!between(s.lines_per_agent, 1, 10)) faults.lines_per_agent = 'fault.lines';
	if (!between(s.abandonment_cap, 0, 0.1)) faults.abandonment_cap = 'fault.cap';
	if (!between(s.ring_timeout_s, 15, 120)) faults.ring_timeout_s = 'fault.ring';
	if (!between(s.grace_ms, 0, 10_000)) faults.grace_ms = 'fault.grace';
	if (!between(s.wrap_up_s, 0, 3600)) faults.wrap_up_s = 'fault.wrap_up';
	if (!between(s.max_attempts, 1, 100)) faults.max_attempts = 'fault.attempts';
	if (!between(s.priority, -1000, 1000)) faults.priority = 'fault.priority';
	if (s.caller_id && !/^\+[1-9]\d{6,14}$/.test(s.caller_id)) faults.caller_id = 'fault.phone';
	if (!/^[A-Z]{2}$/.test(s.country)) faults.country = 'fault.country';
	if (s.calling_hours.some((w) => w.days.length === 0 || !w.from || !w.to || w.from >= w.to)) {
		faults.calling_hours = 'fault.hours';
	}
	if (Object.values(s.retry).some((r) => !between(r.delay_s, 60, 90 * 86_400) || !(r.most >= 1))) {
		faults.retry = 'fault.retry';
	}
	const codes = s.dispositions.map((d) => d.code);
	if (
		s.dispositions.some((d) => !d.label.trim() || !/^[a-z0-9_]+$/.test(d.code)) ||
		new Set(codes).size < codes.length
	) {
		faults.dispositions = 'fault.dispositions';
	}
	return faults;
}

/** A key for records made from what a person reads: `Přeje si hovor` becomes `preje_si_hovor`. */
export function codeFrom(label: string): string {
	return label
		.normalize('NFD')
		.replace(/\p{M}/gu, '')
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, '_')
		.replace(/^_+|_+$/g, '')
		.slice(0, 40);
}
