/** A trunk's profile while it is edited: defaults, and what can be said without asking the server. */
import type { TrunkProfile } from '$lib/api/types';
import type { Key } from '$lib/i18n/index.svelte';

/** The dialer's defaults. */
export function defaultProfile(): TrunkProfile {
	return {
		name: '',
		address: '',
		proxies: [],
		transport: null,
		listen: null,
		from_host: '',
		register: false,
		register_s: 3600,
		identity: 'none',
		private: false,
		reliable: 'supported',
		session_timer_s: 1800,
		redirects: 0,
		large_by_tcp: false,
		codecs: ['pcmu', 'pcma'],
		srtp: 'off',
		accept_from: [],
		tls_ca: null,
		tls_cert: null,
		tls_key: null,
		stir_key: null,
		stir_certificate_url: '',
		stir_attestation: 'A',
		stir_numbers: {},
		inbound_stir: 'off',
		hep_percent: null,
		username: null,
		caller_id: '',
		max_cps: 1,
		max_channels: 10,
		options_keepalive: true,
		breaker_failures: 10,
		breaker_pause_s: 10,
		rtp_from_anywhere: false,
		media_listen: null,
		number_format: 'e164',
		caller_id_format: null,
		number_prefix: '',
		country: '',
		fail_over: [],
		fail_over_on: [408, 500, 502, 503, 504],
		first_response_timeout_s: null,
		allowed_prefixes: [],
		refused_prefixes: [],
		costs: {},
		calls_per_day: 0,
		spend_per_day: 0,
		over_cap: 'finish',
		day_zone: 'UTC',
		longest_call_s: 14_400,
		caller_ids: [],
	};
}

export type TrunkField = keyof TrunkProfile;
export type TrunkFaults = Partial<Record<TrunkField, Key>>;

const whole = (x: unknown, low: number, high: number): boolean =>
	typeof x === 'number' && Number.isInteger(x) && x >= low && x <= high;

/** What is wrong, by field; empty when the server may be asked. `stored`: a password is known already. */
export function trunkFaults(p: TrunkProfile, stored: boolean): TrunkFaults {
	const faults: TrunkFaults = {};
	if (!/^[A-Za-z0-9_-]{1,64}$/.test(p.name)) faults.name = 'fault.trunk_name';
	if (!p.address.trim()) faults.address = 'fault.required';
	if (!whole(p.max_cps, 1, 100_000)) faults.max_cps = 'fault.at_least_one';
	if (!whole(p.max_channels, 1, 100_000)) faults.max_channels = 'fault.at_least_one';
	if (p.caller_id && !/^\+\d{7,15}$/.test(p.caller_id)) faults.caller_id = 'fault.phone';
	if (p.username && !p.password && !stored) faults.password = 'fault.required';
	if (p.register && !p.username) faults.username = 'fault.required';
	if (p.country && !/^[A-Z]{2}$/.test(p.country)) faults.country = 'fault.country';
	if (p.number_format === 'national' && !p.country) faults.country = 'fault.country';
	if (p.first_response_timeout_s !== null && !whole(p.first_response_timeout_s, 0, 32)) {
		faults.first_response_timeout_s = 'fault.first_response';
	}
	if (p.allowed_prefixes.length === 0 || !p.allowed_prefixes.every(isPrefix)) {
		faults.allowed_prefixes = 'fault.prefixes';
	}
	if (!p.refused_prefixes.every(isPrefix)) faults.refused_prefixes = 'fault.prefixes';
	if (!whole(p.calls_per_day, 0, 4_000_000_000)) faults.calls_per_day = 'fault.zero_or_more';
	if (!Number.isFinite(p.spend_per_day) || p.spend_per_day < 0) faults.spend_per_day = 'fault.zero_or_more';
	if (p.longest_call_s !== 0 && !whole(p.longest_call_s, 30, 86_400)) {
		faults.longest_call_s = 'fault.longest_call';
	}
	return faults;
}

/** What is sent: an empty field is one that is not given, and a password that was not typed stays as it is. */
export function trunkBody(p: TrunkProfile): TrunkProfile {
	const { password, ...rest } = p;
	const username = p.username?.trim() ? p.username.trim() : null;
	const timeout: unknown = p.first_response_timeout_s;
	return {
		...rest,
		address: p.address.trim(),
		username,
		first_response_timeout_s: typeof timeout === 'number' ? timeout : null,
		...(username && password ? { password } : {}),
	};
}

/** A plus sign and the first digits of numbers; the plus sign alone is every number. */
export const isPrefix = (text: string): boolean => /^\+(?:[1-9]\d{0,14})?$/.test(text);

/** Prices as they are typed: `+1 0.01, +34 0.02`. Null: they cannot be read. */
export function costsOf(text: string): Record<string, number> | null {
	const costs: Record<string, number> = {};
	for (const part of text.split(/[,\n]+/).map((p) => p.trim())) {
		if (!part) continue;
		const [prefix = '', price = '', ...rest] = part.split(/[\s=:]+/);
		const value = Number(price);
		if (!isPrefix(prefix) || !price || rest.length > 0 || !(value >= 0)) return null;
		costs[prefix] = value;
	}
	return costs;
}

/** As they are typed. */
export const costsText = (costs: Record<string, number>): string =>
	Object.entries(costs)
		.map(([prefix, cost]) => `${prefix} ${cost}`)
		.join(', ');

/** Addresses and networks as they are typed: parted by commas or spaces. */
export const listOf = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);
