/**
 * The server's JSON, as openapi.json describes it. Ids are integers, times are milliseconds since 1970.
 * types.test.ts compares the two.
 */

export type Role = 'admin' | 'manager' | 'supervisor' | 'analyst' | 'agent';

export interface User {
	id: number;
	username: string;
	name: string;
	role: Role;
}

export interface Login {
	access_token: string;
	expires_in_s: number;
	user: User;
}

/** RFC 9457. */
export interface Problem {
	type?: string;
	title: string;
	status: number;
	detail?: string;
	field?: string;
}

export const CAMPAIGN_STATUSES = ['draft', 'running', 'paused', 'completed'] as const;
export type CampaignStatus = (typeof CAMPAIGN_STATUSES)[number];

export const MODES = ['predictive', 'progressive', 'power', 'preview', 'manual', 'agentless'] as const;
export type Mode = (typeof MODES)[number];

export const OUTCOMES = [
	'connected',
	'abandoned',
	'caller_hangup',
	'prompt_played',
	'opted_out',
	'no_media',
	'machine',
	'screened',
	'fax',
	'false_answer',
	'busy',
	'no_answer',
	'congestion',
	'cancelled',
	'not_sent',
	'invalid',
	'rejected',
	'blocked',
	'unwanted',
	'trunk_fault',
	'unknown_crash',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const AGENT_STATES = [
	'offline',
	'ready',
	'preview',
	'reserved',
	'talking',
	'hold',
	'wrap_up',
	'paused',
] as const;
export type AgentState = (typeof AGENT_STATES)[number];

export const CALL_STATES = [
	'dialing',
	'ringing',
	'detecting',
	'waiting',
	'talking',
	'hold',
	'message',
	'ended',
] as const;
export type CallState = (typeof CALL_STATES)[number];

export const LEAD_STATUSES = ['new', 'dialing', 'retry', 'done', 'suppressed'] as const;
export type LeadStatus = (typeof LEAD_STATUSES)[number];

export const FOLLOW_UPS = ['done', 'retry', 'suppress'] as const;
export type FollowUp = (typeof FOLLOW_UPS)[number];

export const PHONE_STATES = ['none', 'unregistered', 'registered', 'ringing', 'connected'] as const;
export type PhoneState = (typeof PHONE_STATES)[number];

export const PHONE_PROBLEMS = [
	'declined',
	'no_answer',
	'unreachable',
	'incompatible',
	'hung_up',
	'lost',
] as const;
export type PhoneProblem = (typeof PHONE_PROBLEMS)[number];

export const GRADES = ['good', 'fair', 'poor'] as const;
export type Grade = (typeof GRADES)[number];

export const SIDES = ['carrier', 'agent'] as const;
export type Side = (typeof SIDES)[number];

export const UNHEARD = ['no_packets', 'digital_silence'] as const;
export type Unheard = (typeof UNHEARD)[number];

export const CONSENT_KINDS = ['none', 'existing_customer', 'express', 'written'] as const;
export type ConsentKind = (typeof CONSENT_KINDS)[number];

/** What a person agreed to, when, and how that is known. */
export interface Consent {
	kind: ConsentKind;
	at_unix_ms: number | null;
	source: string;
}

export interface CallingWindow {
	/** 1 is Monday, 7 is Sunday. */
	days: number[];
	/** HH:MM */
	from: string;
	/** HH:MM, 24:00 is midnight. */
	to: string;
}

export interface RetryRule {
	delay_s: number;
	most: number;
}

export interface Disposition {
	code: string;
	label: string;
	follow_up: FollowUp;
}

export interface CampaignSettings {
	name: string;
	description: string;
	mode: Mode;
	lines_per_agent: number;
	max_lines_per_agent: number;
	max_cps: number;
	cancel_ringing: boolean;
	machine_detection: 'off' | 'hang_up';
	recording: 'off' | 'all';
	recording_beep_s: number;
	abandonment_cap: number;
	trunk: string;
	caller_id: string;
	ring_timeout_s: number;
	grace_ms: number;
	wrap_up_s: number;
	calling_hours: CallingWindow[];
	max_attempts: number;
	retry: Partial<Record<Outcome, RetryRule>>;
	dispositions: Disposition[];
	country: string;
	/** A profile's name; empty: that of the country; none: no profile. */
	compliance: string;
	agents: number[];
	priority: number;
	abandon_message: string;
	preview_s: number;
	preview_auto_dial: boolean;
	max_lines: number;
	prompt: string;
	opt_out_key: string;
	queue_key: string;
	queue_wait_s: number;
}

export interface CampaignView {
	id: number;
	name: string;
	status: CampaignStatus;
	mode: Mode;
	hopper: number;
	lines: number;
	talking: number;
	waiting: number;
	agents: number;
	ready: number;
	outcomes: Partial<Record<Outcome, number>>;
	attempts: number;
	answered: number;
	abandoned: number;
	occupancy: number;
	decision: string;
	/** The compliance profile by which it goes; empty: none. */
	profile: string;
	/** The regulator's period, of `answered` and `abandoned`. */
	period_h: number;
	abandonment_cap: number;
	/** How often a lead was not dialed, by rule. */
	refused: Record<string, number>;
	/** What keeps leads from being dialed and can be mended, in English. */
	notice: string;
}

export interface Campaign {
	id: number;
	status: CampaignStatus;
	settings: CampaignSettings;
	live: CampaignView | null;
}

export interface LeadView {
	id: number;
	phone: string;
	first_name: string;
	last_name: string;
	time_zone: string;
	/** Two letters; may be empty. */
	country: string;
	state: string;
	consent: ConsentKind;
	attempts: number;
	custom: Record<string, string>;
}

export interface CallView {
	id: number;
	campaign: number;
	state: CallState;
	since_unix_ms: number;
	dialed_unix_ms: number;
	connected_unix_ms: number | null;
	trunk: number;
	agent: number | null;
	outcome: Outcome | null;
	disposition: string | null;
	/** Whether it is recorded now. */
	recording: 'on' | 'paused' | null;
	caller_id: string;
	lead: LeadView;
}

export interface AgentView {
	id: number;
	name: string;
	state: AgentState;
	since_unix_ms: number;
	reason: string;
	call: number | null;
	audio: boolean;
	next: AgentState | null;
	calls: number;
	preview: PreviewView | null;
}

/** A lead on an agent's screen that is not dialed yet. */
export interface PreviewView {
	campaign: number;
	lead: LeadView;
	/** When it is dialed or skipped by itself. */
	ends_unix_ms: number | null;
	auto_dial: boolean;
}

/** A lead that an agent may choose to dial. */
export interface DueLead {
	id: number;
	phone: string;
	first_name: string;
	last_name: string;
	time_zone: string;
	attempts: number;
}

export interface AgentDesk extends AgentView {
	current_call: CallView | null;
}

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

/** What a peer connection is made with. */
export interface IceSettings {
	ice_servers: IceServerSettings[];
	ice_transport_policy: RTCIceTransportPolicy;
}

/** A STUN or TURN server, as `RTCPeerConnection` takes it. */
export interface IceServerSettings {
	urls: string[];
	username?: string;
	credential?: string;
}

/** An agent's SIP phone. */
export interface PhoneView {
	agent: number;
	state: PhoneState;
	/** What it calls itself; empty when none is registered. */
	user_agent: string;
	/** The audio session that it is called for, or that runs over it. */
	session: string | null;
	/** Why the last session came to nothing or ended. */
	problem: PhoneProblem | null;
	/** Somebody gave wrong passwords too often, and is not listened to until then. */
	locked_until_unix_ms: number | null;
}

/** What is to be typed into a phone. */
export interface PhoneSetup {
	/** Whether the dialer takes phones at all. */
	enabled: boolean;
	servers: { transport: string; address: string }[];
	username: string;
	realm: string | null;
	/** Once, when it was just made. */
	password?: string;
	phone: PhoneView | null;
}

export interface Snapshot {
	at_unix_ms: number;
	campaigns: CampaignView[];
	agents: AgentView[];
	/** In progress, and those that are wrapped up, as ended. */
	calls: CallView[];
	trunks: TrunkView[];
	/** Of agents who may use one. */
	phones: PhoneView[];
	draining: boolean;
	store_ok: boolean;
}

export type LiveEvent =
	| ({ type: 'agent' } & AgentView)
	| ({ type: 'call' } & CallView)
	| ({ type: 'campaign' } & CampaignView)
	| { type: 'campaign_deleted'; id: number }
	| ({ type: 'trunk' } & TrunkView)
	| { type: 'trunk_deleted'; id: number }
	| ({ type: 'phone' } & PhoneView)
	| { type: 'quality'; calls: CallQuality[] }
	| ({ type: 'unheard' } & UnheardView);

export type LiveMessage = ({ type: 'snapshot' } & Snapshot) | { type: 'ping'; n: number } | LiveEvent;

/** How one side of a call was heard, and what its far end says of us. Shares are between 0 and 1. */
export interface LegFigures {
	/** What it sent last; empty: nothing. */
	codec: string;
	lasted_ms: number;
	packets_received: number;
	packets_sent: number;
	packets_lost: number;
	loss: number;
	/** The most packets lost in a row. */
	longest_loss: number;
	burst_density: number;
	reordered: number;
	repeated: number;
	jitter_ms: number;
	jitter_most_ms: number;
	/** null: the far end does not report. */
	round_trip_ms: number | null;
	far_loss: number | null;
	far_jitter_ms: number | null;
	/** 1 to 4.5. */
	mos: number;
	far_mos: number | null;
	/** null: not known of this codec. */
	clipped: number | null;
	silent: number | null;
	unheard: Unheard | null;
	unheard_ms: number;
}

/** One side of a call that is over. */
export interface LegRecord {
	side: Side;
	/** Of which try. */
	number: number;
	trunk: number;
	agent: number | null;
	ended_unix_ms: number;
	figures: LegFigures;
}

/** How a call with an agent is heard, in the last seconds. */
export interface CallQuality {
	call: number;
	agent: number;
	/** By the worst of both sides and both directions. */
	grade: Grade;
	carrier: LegFigures;
	desk: LegFigures;
}

/** A side of a call with an agent is not heard, or is heard again. */
export interface UnheardView {
	call: number;
	agent: number;
	side: Side;
	/** null: heard again. */
	why: Unheard | null;
	/** The other side is heard. */
	one_way: boolean;
}

/** A call as it was stored. */
export interface CallRecord {
	id: number;
	campaign: number;
	lead: number;
	phone: string;
	caller_id: string;
	agent: number | null;
	started_unix_ms: number;
	answered_unix_ms: number | null;
	connected_unix_ms: number | null;
	ended_unix_ms: number | null;
	wait_ms: number | null;
	talk_ms: number;
	late: boolean;
	outcome: Outcome | null;
	disposition: string | null;
	note: string;
	/** Whether there is a recording of it. */
	recorded: boolean;
}

/** A call with all that belongs to it. */
export interface CallDetail extends CallRecord {
	/** Under which rules it was made; empty: under none. */
	evidence: string;
	tries: TryRecord[];
	dispositions: DispositionRecord[];
	/** None while the call lasts, or when nobody answered. */
	legs: LegRecord[];
	recording: RecordingRecord | null;
}

/** A recording of a call: the called person left, the agent right. */
export interface RecordingRecord {
	call: number;
	campaign: number;
	agent: number | null;
	state: 'recording' | 'ended' | 'failed';
	place: 'disk' | 'store';
	format: 'opus' | 'wav';
	encrypted: boolean;
	started_unix_ms: number;
	/** 0 while it lasts, and `bytes` too. */
	lasted_ms: number;
	bytes: number;
	paused: PausedSpan[];
	error: string;
}

/** A part of a recording that is silence because somebody paused it. */
export interface PausedSpan {
	from_ms: number;
	/** None: until the recording's end. */
	to_ms: number | null;
}

/** What an agent said of a call. */
export interface DispositionRecord {
	code: string;
	note: string;
	at_unix_ms: number;
}

/** One INVITE. */
export interface TryRecord {
	number: number;
	trunk: number;
	caller_id: string;
	started_unix_ms: number;
	answered_unix_ms: number | null;
	ended_unix_ms: number | null;
	status: number | null;
	q850: number | null;
}

/** A lead as it is stored. */
export interface LeadRecord {
	id: number;
	campaign: number;
	list: number;
	phone: string;
	first_name: string;
	last_name: string;
	time_zone: string;
	/** As the list says; may be empty. */
	country: string;
	state: string;
	consent: Consent;
	priority: number;
	status: LeadStatus;
	/** Not dialed before this time; 0: at once. */
	next_unix_ms: number;
	attempts: number;
	last_outcome: Outcome | null;
	repeats: number;
	custom: Record<string, string>;
}

export interface NewLead {
	phone: string;
	first_name?: string;
	last_name?: string;
	time_zone?: string;
	country?: string;
	state?: string;
	consent?: Partial<Consent>;
	priority?: number;
	custom?: Record<string, string>;
}

/** A number that must not be called. */
export interface Suppression {
	id: number;
	phone: string;
	reason: string;
	at_unix_ms: number;
}

/** A copy of a national do-not-call list. */
export interface NationalCopy {
	country: string;
	name: string;
	as_of_unix_ms: number;
	imported_unix_ms: number;
	numbers: number;
}

/** What came of a file of numbers. */
export interface NumbersReport {
	lines: number;
	numbers: number;
	rejected: number;
	/** The line, and what is wrong with it. */
	errors: [number, string][];
}

/** What the console reads of a compliance profile; docs/compliance.md explains the rest. */
export interface ComplianceSummary {
	name: string;
	title: string;
	countries: string[];
	reviewed: string;
	rules: { national: { list: string; most_age_days: number } | null };
}

export interface Page<T> {
	items: T[];
	next: number | null;
}

export interface ImportError {
	line: number;
	/** Empty when it is about the whole line. */
	column: string;
	message: string;
}

export interface ImportReport {
	rows: number;
	imported: number;
	duplicates: number;
	rejected: number;
	errors: ImportError[];
	errors_truncated: boolean;
}

/** By whom a supervisor is heard: nobody, the agent, both sides. */
export type SupervisionMode = 'listen' | 'whisper' | 'barge';
