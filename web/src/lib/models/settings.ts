/** A campaign's settings while they are edited: defaults, and what can be said without asking the server. */
import { OUTCOMES, type CampaignSettings, type Mode, type Outcome } from '$lib/api/types';
import type { Key } from '$lib/i18n/index.svelte';

/** The engine's defaults. The labels of dispositions are the words of the person who creates the campaign. */
export function defaultSettings(label: (key: Key) => string): CampaignSettings {
	return {
		name: '',
		description: '',
		mode: 'predictive',
		lines_per_agent: 1,
		max_lines_per_agent: 10,
		max_cps: 0,
		cancel_ringing: false,
		machine_detection: 'off',
		voicemail_message: '',
		callback_message: '',
		machine_sample: 0,
		recording: 'off',
		recording_beep_s: 0,
		abandonment_cap: 0.03,
		trunk: '',
		caller_id: '',
		caller_id_pool: '',
		ring_timeout_s: 25,
		grace_ms: 2000,
		wrap_up_s: 60,
		wrap_up_extension_s: 0,
		wrap_up_disposition: '',
		calling_hours: [{ days: [1, 2, 3, 4, 5], from: '09:00', to: '20:00' }],
		max_attempts: 6,
		max_attempts_day: 0,
		max_attempts_24h: 0,
		mix: 'in_order',
		callback_wait_min: 30,
		retry: {},
		dispositions: [
			{ code: 'sale', label: label('disposition.sale'), follow_up: 'done' },
			{ code: 'not_interested', label: label('disposition.not_interested'), follow_up: 'done' },
			{ code: 'call_back', label: label('disposition.call_back'), follow_up: 'retry' },
			{ code: 'wrong_number', label: label('disposition.wrong_number'), follow_up: 'done' },
			{ code: 'do_not_call', label: label('disposition.do_not_call'), follow_up: 'suppress' },
		],
		country: 'US',
		compliance: '',
		agents: [],
		teams: [],
		routing: 'longest_idle',
		agent_lost: 'end',
		priority: 0,
		abandon_message: '',
		preview_s: 0,
		preview_auto_dial: false,
		max_lines: 10,
		prompt: '',
		opt_out_key: '9',
		queue_key: '1',
		queue_wait_s: 30,
	};
}

/** Outcomes that no delay changes; the others may have a rule of their own. */
const FINAL: readonly Outcome[] = ['invalid', 'unwanted', 'opted_out', 'not_sent'];
export const RETRIABLE = OUTCOMES.filter((o) => !FINAL.includes(o));

/** Modes that dial by themselves for whichever agent is free. */
export const isPaced = (mode: Mode): boolean => ['progressive', 'power', 'predictive'].includes(mode);

/** Keys of a telephone that a campaign can give a meaning; none at all is one too. */
export const PHONE_KEYS = ['', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#'] as const;

export type Field = keyof CampaignSettings;
export type Faults = Partial<Record<Field, Key>>;

const between = (x: number, low: number, high: number): boolean =>
	Number.isFinite(x) && x >= low && x <= high;

/** What is wrong, by field; empty when the server may be asked. */
export function faultsOf(s: CampaignSettings): Faults {
	const faults: Faults = {};
	if (!s.name.trim()) faults.name = 'fault.required';
	if (!between(s.lines_per_agent, 1, 10)) faults.lines_per_agent = 'fault.lines';
	if (!between(s.max_lines_per_agent, 1, 50)) faults.max_lines_per_agent = 'fault.max_lines_per_agent';
	if (!between(s.max_cps, 0, 10_000) || !Number.isInteger(s.max_cps)) faults.max_cps = 'fault.cps';
	if (!between(s.preview_s, 0, 3600)) faults.preview_s = 'fault.wrap_up';
	if (!between(s.max_lines, 1, 1000)) faults.max_lines = 'fault.max_lines';
	if (!between(s.queue_wait_s, 0, 600)) faults.queue_wait_s = 'fault.queue_wait';
	if (s.queue_key && s.queue_key === s.opt_out_key) faults.queue_key = 'fault.same_key';
	if (!between(s.machine_sample, 0, 0.1)) faults.machine_sample = 'fault.sample';
	if (s.machine_detection === 'voicemail' && !s.voicemail_message.trim()) {
		faults.voicemail_message = 'fault.required';
	}
	if (!between(s.abandonment_cap, 0, 0.1)) faults.abandonment_cap = 'fault.cap';
	if (!between(s.ring_timeout_s, 15, 120)) faults.ring_timeout_s = 'fault.ring';
	if (!between(s.grace_ms, 0, 10_000)) faults.grace_ms = 'fault.grace';
	if (!between(s.wrap_up_s, 0, 3600)) faults.wrap_up_s = 'fault.wrap_up';
	if (!between(s.wrap_up_extension_s, 0, 600)) faults.wrap_up_extension_s = 'fault.queue_wait';
	if (s.recording_beep_s !== 0 && !between(s.recording_beep_s, 5, 300)) {
		faults.recording_beep_s = 'fault.beep';
	}
	if (!between(s.max_attempts, 1, 100)) faults.max_attempts = 'fault.attempts';
	if (!between(s.max_attempts_day, 0, 100)) faults.max_attempts_day = 'fault.attempts_or_none';
	if (!between(s.max_attempts_24h, 0, 100)) faults.max_attempts_24h = 'fault.attempts_or_none';
	if (!between(s.callback_wait_min, 0, 10_080)) faults.callback_wait_min = 'fault.callback_wait';
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
