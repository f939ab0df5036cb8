/** Trunks, their groups and the caller ids that they show. */
export interface TrunkView {
	id: number;
	name: string;
	up: boolean;
	channels: number;
	max_channels: number;
	cps: number;
	max_cps: number;
	/** Whether calls are held back because it failed too often. */
	breaker: 'closed' | 'open' | 'half_open';
	/** For how long no call goes there, in seconds. */
	resting_s: number;
	/** Calls in a row that failed for the trunk's sake. */
	failures: number;
	calls_today: number;
	/** 0: no limit. */
	calls_per_day: number;
	spent_today: number;
	/** 0: no limit. */
	spend_per_day: number;
	/** Which limit keeps it from calling anybody now. */
	limit: (typeof TRUNK_LIMITS)[number] | null;
}

/** What becomes of the calls that run when what a trunk may spend is used up. */
export const OVER_CAPS = ['finish', 'end'] as const;
export type OverCap = (typeof OVER_CAPS)[number];

export const TRUNK_LIMITS = ['no_prefixes', 'calls_per_day', 'spend_per_day'] as const;

/** A trunk of a group. */
export interface GroupMember {
	trunk: string;
	/** The lowest goes first. */
	priority: number;
	weight: number;
	prefixes: string[];
}

/** Trunks that stand in for each other. */
export interface TrunkGroup {
	name: string;
	least_cost: boolean;
	members: GroupMember[];
}

export interface TrunkGroupView {
	id: number;
	/** It stands in the configuration file, and cannot be changed here. */
	configured: boolean;
	group: TrunkGroup;
}

export const ROTATIONS = ['even', 'random', 'local'] as const;
export const CALLER_ID_STATES = ['good', 'used_up', 'resting', 'quarantined'] as const;
export const QUARANTINE_REASONS = ['blocked', 'answer_rate'] as const;

/** Caller ids that stand in for each other; docs/caller-ids.md explains each field. */
export interface CallerIdPool {
	name: string;
	numbers: string[];
	rotation: (typeof ROTATIONS)[number];
	sticky: boolean;
	calls_per_day: number;
	rest_after_days: number;
	rest_days: number;
	rest_weekdays: number[];
	quarantine_h: number;
	least_answer_rate: number;
}

/** What a caller id did. */
export interface CallerIdUse {
	attempts: number;
	answers: number;
	blocks: number;
	unwanted: number;
}

/** A caller id that is not shown for now. */
export interface Quarantine {
	number: string;
	reason: (typeof QUARANTINE_REASONS)[number];
	status: number | null;
	/** Where the block can be contested. */
	redress: string;
	since_unix_ms: number;
	/** null: until a person lifts it. */
	until_unix_ms: number | null;
}

export interface CallerIdView {
	number: string;
	state: (typeof CALLER_ID_STATES)[number];
	today: CallerIdUse;
	month: CallerIdUse;
	answer_rate: number | null;
	quarantine: Quarantine | null;
}

export interface CallerIdPoolView {
	id: number;
	pool: CallerIdPool;
	good: number;
	ids: CallerIdView[];
}

export const TRANSPORTS = ['udp', 'tcp', 'tls'] as const;
export const IDENTITIES = ['none', 'asserted', 'preferred', 'remote_party'] as const;
export const NUMBER_FORMATS = ['e164', 'digits', 'international', 'national'] as const;
export type NumberFormat = (typeof NUMBER_FORMATS)[number];

/** A trunk as it is set up; docs/trunks.md explains each key. */
export interface TrunkProfile {
	name: string;
	address: string;
	proxies: string[];
	transport: (typeof TRANSPORTS)[number] | null;
	listen: string | null;
	from_host: string;
	register: boolean;
	register_s: number;
	identity: (typeof IDENTITIES)[number];
	private: boolean;
	reliable: 'no' | 'supported' | 'required';
	session_timer_s: number;
	redirects: number;
	large_by_tcp: boolean;
	codecs: ('pcmu' | 'pcma' | 'g722' | 'opus' | 'l16')[];
	srtp: 'off' | 'optional' | 'required';
	accept_from: string[];
	tls_ca: string | null;
	tls_cert: string | null;
	tls_key: string | null;
	stir_key: string | null;
	stir_certificate_url: string;
	stir_attestation: 'A' | 'B' | 'C';
	stir_numbers: Record<string, 'A' | 'B' | 'C'>;
	inbound_stir: 'off' | 'record' | 'require';
	hep_percent: number | null;
	username: string | null;
	/** Only sent: left out it stays as it is. */
	password?: string;
	caller_id: string;
	max_cps: number;
	max_channels: number;
	options_keepalive: boolean;
	breaker_failures: number;
	breaker_pause_s: number;
	rtp_from_anywhere: boolean;
	media_listen: string | null;
	number_format: NumberFormat;
	caller_id_format: NumberFormat | null;
	number_prefix: string;
	country: string;
	fail_over: string[];
	fail_over_on: number[];
	first_response_timeout_s: number | null;
	allowed_prefixes: string[];
	refused_prefixes: string[];
	costs: Record<string, number>;
	calls_per_day: number;
	spend_per_day: number;
	over_cap: OverCap;
	day_zone: string;
	longest_call_s: number;
	caller_ids: string[];
}

/** Where a trunk was found. */
export interface TrunkPlace {
	address: string;
	transport: string;
	up: boolean;
}

/** Calls that failed for one cause. */
export interface TrunkFailure {
	status: number | null;
	q850: number | null;
	count: number;
}

/** A trunk's profile and how it does. */
export interface TrunkDetail {
	id: number;
	name: string;
	places: TrunkPlace[];
	/** null: it wants no registration. */
	registered: boolean | null;
	attempts: number;
	answers: number;
	retransmissions: number;
	failures: TrunkFailure[];
	/** It stands in the configuration file, and cannot be changed here. */
	configured: boolean;
	/** Why it takes no calls until it is changed. */
	problem: string | null;
	profile: TrunkProfile;
}
