/**
 * The server's JSON, as openapi.json describes it. Ids are integers, times are milliseconds since 1970.
 * types.test.ts compares the two.
 */
import type { TrunkView } from './carriers';

export * from './carriers';
export * from './compliance';
export * from './people';

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
	'voicemail',
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
	/** The next attempt waits for another part of the lead's day. */
	other_daypart: boolean;
	/** The lead's next phone is tried soon, before the delay. */
	next_phone: boolean;
}

export const MIXES = ['in_order', 'even', 'random', 'weights'] as const;
export type Mix = (typeof MIXES)[number];

export const LIST_ORDERS = ['priority', 'imported', 'newest', 'random'] as const;
export type ListOrder = (typeof LIST_ORDERS)[number];

export const COMPARISONS = ['equals', 'prefix'] as const;
export const PHONE_STATUSES = ['ok', 'invalid', 'fax', 'suppressed'] as const;
export const PROSPECTS = ['now', 'soon', 'waits', 'never'] as const;
export const DEDUPES = ['list', 'campaign', 'system'] as const;
export type Dedupe = (typeof DEDUPES)[number];

export const IMPORT_STATES = ['receiving', 'running', 'done', 'failed', 'cancelled', 'interrupted'] as const;

/** Which leads of a list are dialed. */
export interface LeadPick {
	/** A column of its own, or `custom.` and the name of a further one. */
	field: string;
	comparison: (typeof COMPARISONS)[number];
	value: string;
}

export interface ListSettings {
	name: string;
	priority: number;
	weight: number;
	enabled: boolean;
	order: ListOrder;
	filter: LeadPick | null;
}

export interface ListRecord {
	id: number;
	campaign: number;
	settings: ListSettings;
	/** Its leads are being arranged anew or reset. */
	working: boolean;
}

/** A list with its leads counted. */
export interface ListView extends ListRecord {
	counts: Partial<Record<LeadStatus, number>>;
}

/** An import that goes on by itself. */
export interface ImportRecord {
	id: number;
	campaign: number;
	/** null: a dry run, or not begun. */
	list: number | null;
	name: string;
	dry_run: boolean;
	state: (typeof IMPORT_STATES)[number];
	started_unix_ms: number;
	ended_unix_ms: number | null;
	bytes: number;
	read_bytes: number;
	rows: number;
	imported: number;
	duplicates: number;
	rejected: number;
	message: string;
	/** The first ones. */
	errors: ImportError[];
}

/** A phone of a lead that has several. */
export interface LeadPhone {
	phone: string;
	kind: string;
	attempts: number;
	status: (typeof PHONE_STATUSES)[number];
}

/** A time at which a person was promised another call. */
export interface Callback {
	/** null: whoever is free keeps it. */
	agent: number | null;
	due_unix_ms: number;
}

export interface CallbackView {
	lead: number;
	campaign: number;
	phone: string;
	first_name: string;
	last_name: string;
	time_zone: string;
	due_unix_ms: number;
	agent: number | null;
}

/** Something that holds a lead. */
export interface Reason {
	rule: string;
	detail: string;
	/** When it ends by itself. */
	next_unix_ms: number | null;
}

export interface WhyView {
	lead: number;
	campaign: number;
	list: number;
	status: LeadStatus;
	prospect: (typeof PROSPECTS)[number];
	/** The strongest first. */
	reasons: Reason[];
	before: number | null;
	more_before: boolean;
}

export interface Disposition {
	code: string;
	label: string;
	follow_up: FollowUp;
}

export const ROUTINGS = ['longest_idle', 'fewest_calls', 'skill', 'sticky'] as const;
export type Routing = (typeof ROUTINGS)[number];

export interface CampaignSettings {
	name: string;
	description: string;
	mode: Mode;
	lines_per_agent: number;
	max_lines_per_agent: number;
	max_cps: number;
	cancel_ringing: boolean;
	machine_detection: 'off' | 'hang_up' | 'voicemail';
	/** What machines are left. */
	voicemail_message: string;
	/** What people hear who call back. */
	callback_message: string;
	/** The share of calls taken for machines that agents check. */
	machine_sample: number;
	recording: 'off' | 'all';
	recording_beep_s: number;
	abandonment_cap: number;
	trunk: string;
	caller_id: string;
	/** The name of a pool, which stands in for `caller_id`. */
	caller_id_pool: string;
	ring_timeout_s: number;
	grace_ms: number;
	wrap_up_s: number;
	wrap_up_extension_s: number;
	wrap_up_disposition: string;
	calling_hours: CallingWindow[];
	max_attempts: number;
	max_attempts_day: number;
	max_attempts_24h: number;
	mix: Mix;
	callback_wait_min: number;
	retry: Partial<Record<Outcome, RetryRule>>;
	dispositions: Disposition[];
	country: string;
	/** A profile's name; empty: that of the country; none: no profile. */
	compliance: string;
	agents: number[];
	teams: number[];
	routing: Routing;
	agent_lost: 'end' | 'offer';
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

/** Of the last 30 days. */
export interface MachineChecks {
	/** Calls taken for machines that no agent had. */
	ended: number;
	/** Those of which an agent said who it was. */
	checked: number;
	/** Of these, people. */
	persons: number;
	/** The share of people, and where it is with 95 % certainty. */
	share: number | null;
	share_least: number | null;
	share_most: number | null;
	/** People among `ended` by that share; the ledger counts them as abandoned. */
	estimated: number;
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
	/** How good its verdicts "machine" are. */
	machines: MachineChecks;
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
	/** Why none of its caller ids may be shown, and so nobody is dialed. */
	no_caller_id: NoCallerId | null;
}

/** How many of a campaign's caller ids each thing keeps from being shown. */
export interface NoCallerId {
	/** Empty: it has no pool. */
	pool: string;
	quarantined: number;
	resting: number;
	used_up: number;
	unlawful: number;
	not_of_trunk: number;
	/** What the law says of one, in English. */
	law: string;
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
	callback: Callback | null;
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
	/** Why its agent may think that a machine answered. */
	machine: 'sounds' | 'sampled' | null;
	caller_id: string;
	/** When the dialer ends it for its length; null: not in the next minute. */
	ends_unix_ms: number | null;
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
	/** When the limits of this pause are used up. */
	pause_ends_unix_ms: number | null;
	wrap_up_ends_unix_ms: number | null;
	/** How much longer the agent may make this wrap-up. */
	wrap_up_extension_s: number;
	shift_ends_unix_ms: number | null;
	/** Offline after the next call. */
	last_call: boolean;
	/** The state that a supervisor set, now or after this call. */
	forced: ForcedView | null;
	preview: PreviewView | null;
}

export interface ForcedView {
	state: AgentState;
	by: number;
	by_name: string;
	reason: string;
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
	/** A machine was left the message, to its end. */
	message_left: boolean;
	machine_check: MachineCheck | null;
	recorded: boolean;
}

/** A call with all that belongs to it. */
/** What an agent said of a call that was taken for a machine's. */
export type MachineCheck = 'asked' | 'machine' | 'person';

/** A sound that was uploaded. */
export interface PromptRecord {
	id: number;
	/** Campaigns name it `prompt:NAME`. */
	name: string;
	lasted_ms: number;
	at_unix_ms: number;
}

export interface CallDetail extends CallRecord {
	/** Under which rules it was made; empty: under none. */
	evidence: string;
	tries: TryRecord[];
	dispositions: DispositionRecord[];
	/** What each agent had of it, where more than one agent had it. */
	parts: CallPart[];
	/** None while the call lasts, or when nobody answered. */
	legs: LegRecord[];
	recording: RecordingRecord | null;
}

/** What an agent had of a call that more than one agent had. */
export interface CallPart {
	agent: number;
	from_unix_ms: number;
	lasted_ms: number;
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
	/** All of them, when it has several. */
	phones: LeadPhone[];
	/** The one to dial next; null: the first one. */
	dial: string | null;
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
	callback: Callback | null;
	/** Its list's filter leaves it out. */
	left_out: boolean;
	custom: Record<string, string>;
}

/** Another phone of a person. */
export interface NewPhone {
	phone: string;
	kind?: string;
}

export interface NewLead {
	phone: string;
	phones?: NewPhone[];
	first_name?: string;
	last_name?: string;
	time_zone?: string;
	country?: string;
	state?: string;
	consent?: Partial<Consent>;
	priority?: number;
	custom?: Record<string, string>;
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
