/** A pool of caller ids while it is edited: defaults, and what can be said without asking the server. */
import type { CallerIdPool } from '$lib/api/types';
import type { Key } from '$lib/i18n/index.svelte';

/** The dialer's defaults. */
export function defaultPool(): CallerIdPool {
	return {
		name: '',
		numbers: [],
		rotation: 'even',
		sticky: false,
		calls_per_day: 0,
		rest_after_days: 0,
		rest_days: 1,
		rest_weekdays: [],
		quarantine_h: 0,
		least_answer_rate: 0,
	};
}

export type PoolFaults = Partial<Record<keyof CallerIdPool, Key>>;

const whole = (x: unknown): boolean => typeof x === 'number' && Number.isInteger(x) && x >= 0;

/** What is wrong, by field; empty when the server may be asked. */
export function poolFaults(p: CallerIdPool): PoolFaults {
	const faults: PoolFaults = {};
	if (!p.name.trim()) faults.name = 'fault.required';
	if (p.numbers.length === 0 || !p.numbers.every((n) => /^\+[1-9]\d{6,14}$/.test(n))) {
		faults.numbers = 'fault.numbers';
	}
	for (const field of ['calls_per_day', 'rest_after_days', 'rest_days', 'quarantine_h'] as const) {
		if (!whole(p[field])) faults[field] = 'fault.zero_or_more';
	}
	if (!(p.least_answer_rate >= 0)) faults.least_answer_rate = 'fault.zero_or_more';
	return faults;
}
