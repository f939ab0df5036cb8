/** Rules of the gate, in words. */
import { t, type Key } from '$lib/i18n/index.svelte';

const NAMES: Record<string, Key> = {
	suppressed: 'rule.suppressed',
	max_attempts: 'rule.max_attempts',
	max_attempts_24h: 'rule.max_attempts_24h',
	max_attempts_day: 'rule.max_attempts_day',
	premium: 'rule.premium',
	prefix: 'rule.prefix',
	number: 'rule.number',
	number_in_use: 'rule.number_in_use',
	hours: 'rule.hours',
	time_zone: 'rule.time_zone',
	profile: 'rule.profile',
	place: 'rule.place',
	consent: 'rule.consent',
	national_list: 'rule.national_list',
	national_list_age: 'rule.national_list_age',
	legal_hours: 'rule.legal_hours',
	number_attempts: 'rule.number_attempts',
	abandoned: 'rule.abandoned',
	recording: 'rule.recording',
};

/** What a rule is called; its own name when it is not known here. */
export const ruleName = (rule: string): string => {
	const key = NAMES[rule];
	return key ? t(key) : rule;
};
