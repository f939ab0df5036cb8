/** Every request that the console makes. */
import { anonymous, json, query, request, tokens } from './client';
import { ApiError, errorOf, NetworkError } from './problem';
import type {
	AgentDesk,
	Campaign,
	CampaignSettings,
	CallDetail,
	ComplianceSummary,
	ErasedView,
	CallRecord,
	CallerIdPool,
	CallerIdPoolView,
	DueLead,
	CallbackView,
	Dedupe,
	ImportRecord,
	LeadRecord,
	LeadStatus,
	ListSettings,
	ListView,
	Login,
	NationalCopy,
	NewLead,
	NumbersReport,
	Outcome,
	Page,
	PauseReason,
	Person,
	Skill,
	Team,
	TeamSettings,
	IceSettings,
	PhoneSetup,
	PromptRecord,
	TrunkDetail,
	TrunkGroup,
	TrunkGroupView,
	TrunkProfile,
	TrunkView,
	SupervisionMode,
	Suppression,
	WhyView,
} from './types';

export { ApiError, isTransient, NetworkError } from './problem';
export { tokens } from './client';

export const auth = {
	async login(username: string, password: string): Promise<void> {
		const response = await anonymous('POST', '/api/auth/login', { username, password });
		tokens.accept((await response.json()) as Login);
	},
	logout: () => anonymous('POST', '/api/auth/logout'),
};

export const campaigns = {
	list: () => json<Campaign[]>('GET', '/api/campaigns'),
	get: (id: number) => json<Campaign>('GET', `/api/campaigns/${id}`),
	create: (settings: CampaignSettings) => json<Campaign>('POST', '/api/campaigns', settings),
	update: (id: number, settings: CampaignSettings) => json<Campaign>('PUT', `/api/campaigns/${id}`, settings),
	remove: (id: number) => request('DELETE', `/api/campaigns/${id}`),
	start: (id: number) => json<Campaign>('POST', `/api/campaigns/${id}/start`),
	pause: (id: number) => json<Campaign>('POST', `/api/campaigns/${id}/pause`),
};

export const leads = {
	list: (
		campaign: number,
		filter: {
			status?: LeadStatus | '';
			list?: number | '';
			limit?: number;
			after?: Page<unknown>['next'];
		},
	) => json<Page<LeadRecord>>('GET', `/api/campaigns/${campaign}/leads${query(filter)}`),
	add: (campaign: number, lead: NewLead) =>
		json<LeadRecord>('POST', `/api/campaigns/${campaign}/leads`, lead),
	why: (lead: number) => json<WhyView>('GET', `/api/leads/${lead}/why`),
	callbacks: (campaign: number) => json<CallbackView[]>('GET', `/api/campaigns/${campaign}/callbacks`),
	export: async (campaign: number, filter: { status?: LeadStatus | ''; list?: number | '' }): Promise<Blob> =>
		(await request('GET', `/api/campaigns/${campaign}/leads.csv${query(filter)}`)).blob(),
};

export const lists = {
	list: (campaign: number) => json<ListView[]>('GET', `/api/campaigns/${campaign}/lists`),
	create: (campaign: number, settings: ListSettings) =>
		json<ListView>('POST', `/api/campaigns/${campaign}/lists`, settings),
	update: (id: number, settings: ListSettings) => json<ListView>('PUT', `/api/lists/${id}`, settings),
	remove: (id: number) => request('DELETE', `/api/lists/${id}`),
	reset: (id: number, outcomes: Outcome[]) => json<ListView>('POST', `/api/lists/${id}/reset`, { outcomes }),
};

/** How a file of leads is read. */
export interface ImportChoice {
	list: string;
	map: Record<string, string>;
	dedupe: Dedupe;
	dry_run: boolean;
}

export const imports = {
	list: (campaign: number) => json<ImportRecord[]>('GET', `/api/campaigns/${campaign}/imports`),
	get: (id: number) => json<ImportRecord>('GET', `/api/imports/${id}`),
	cancel: (id: number) => request('DELETE', `/api/imports/${id}`),
	errors: async (id: number): Promise<Blob> => (await request('GET', `/api/imports/${id}/errors`)).blob(),
	/** Sends a CSV file; `onprogress` gets 0 to 1 meanwhile. From then on the server goes on by itself. */
	start: importCsv,
};

export const trunks = {
	list: () => json<TrunkView[]>('GET', '/api/trunks'),
	get: (id: number) => json<TrunkDetail>('GET', `/api/trunks/${id}`),
	create: (profile: TrunkProfile) => json<TrunkDetail>('POST', '/api/trunks', profile),
	update: (id: number, profile: TrunkProfile) => json<TrunkDetail>('PUT', `/api/trunks/${id}`, profile),
	remove: (id: number) => request('DELETE', `/api/trunks/${id}`),
};

export const trunkGroups = {
	list: () => json<TrunkGroupView[]>('GET', '/api/trunk-groups'),
	create: (group: TrunkGroup) => json<TrunkGroupView>('POST', '/api/trunk-groups', group),
	update: (id: number, group: TrunkGroup) => json<TrunkGroupView>('PUT', `/api/trunk-groups/${id}`, group),
	remove: (id: number) => request('DELETE', `/api/trunk-groups/${id}`),
};

export const callerIds = {
	pools: () => json<CallerIdPoolView[]>('GET', '/api/caller-id-pools'),
	create: (pool: CallerIdPool) => json<CallerIdPoolView>('POST', '/api/caller-id-pools', pool),
	update: (id: number, pool: CallerIdPool) =>
		json<CallerIdPoolView>('PUT', `/api/caller-id-pools/${id}`, pool),
	remove: (id: number) => request('DELETE', `/api/caller-id-pools/${id}`),
	lift: (number: string) => request('POST', '/api/caller-ids/lift', { body: { number } }),
};

export const compliance = {
	profiles: () => json<ComplianceSummary[]>('GET', '/api/compliance/profiles'),
};

export const suppressions = {
	erase: (phone: string) => json<ErasedView>('POST', '/api/erase', { phone }),
	list: (filter: { campaign?: number | ''; limit?: number; after?: Page<unknown>['next'] }) =>
		json<Page<Suppression>>('GET', `/api/suppressions${query(filter)}`),
	add: (phone: string, reason: string, campaign: number | null) =>
		json<unknown>('POST', '/api/suppressions', { phone, reason, campaign }),
	/** A file with a number on each line. */
	import: async (file: File, campaign: number | null): Promise<NumbersReport> => {
		const path = `/api/suppressions${query({ campaign: campaign ?? '', reason: file.name.slice(0, 100) })}`;
		const response = await request('POST', path, { raw: { type: 'text/csv', body: file } });
		return (await response.json()) as NumbersReport;
	},
	national: () => json<NationalCopy[]>('GET', '/api/suppressions/national'),
	importNational: async (
		file: File,
		list: { country: string; name: string; as_of_unix_ms: number },
	): Promise<{ list: NationalCopy; report: NumbersReport }> => {
		const raw = { type: 'text/csv', body: file };
		const response = await request('POST', `/api/suppressions/national${query(list)}`, { raw });
		return (await response.json()) as { list: NationalCopy; report: NumbersReport };
	},
};

export const agent = {
	state: () => json<AgentDesk>('GET', '/api/agent/state'),
	set: (state: 'ready' | 'paused' | 'offline', reason?: string) =>
		json<AgentDesk>('POST', '/api/agent/state', reason ? { state, reason } : { state }),
	/** Offline after the next call. */
	lastCall: () => request('POST', '/api/agent/leaving', { body: {} }),
	extendWrapUp: () => request('POST', '/api/agent/wrap-up/extend'),
	/** The next leads of a manual campaign. */
	due: (campaign: number) => json<DueLead[]>('GET', `/api/agent/leads${query({ campaign })}`),
	/** What this agent promised to people. */
	callbacks: () => json<CallbackView[]>('GET', '/api/agent/callbacks'),
	/** Dials by hand; what forbids it comes back as an error. */
	dial: (campaign: number, whom: { lead: number } | { phone: string }) =>
		request('POST', '/api/agent/dial', { body: { campaign, ...whom } }),
	dialPreview: (lead: number) => request('POST', '/api/agent/preview/dial', { body: { lead } }),
	skipPreview: (lead: number, delay_s: number, reason: string) =>
		request('POST', '/api/agent/preview/skip', { body: { lead, delay_s, reason } }),
	/** Calls the agent's SIP phone; gives the session's id. */
	async callPhone(): Promise<string> {
		return (await json<{ id: string }>('POST', '/api/agent/session', { device: 'phone' })).id;
	},
};

export const teams = {
	list: () => json<Team[]>('GET', '/api/teams'),
	create: (settings: TeamSettings) => json<Team>('POST', '/api/teams', settings),
	update: (id: number, settings: TeamSettings) => json<Team>('PUT', `/api/teams/${id}`, settings),
	remove: (id: number) => request('DELETE', `/api/teams/${id}`),
	/** Agents and supervisors, signed in or not. */
	people: () => json<Person[]>('GET', '/api/agents'),
	skills: () => json<Skill[]>('GET', '/api/skills'),
	setSkills: (skills: Skill[]) => request('PUT', '/api/skills', { body: skills }),
	pauseReasons: () => json<PauseReason[]>('GET', '/api/pause-reasons'),
	setPauseReasons: (reasons: PauseReason[]) => json<PauseReason[]>('PUT', '/api/pause-reasons', reasons),
	/** Sets an agent's state; the agent sees who did it. */
	force: (id: number, state: 'ready' | 'paused' | 'offline', reason: string) =>
		request('POST', `/api/agents/${id}/state`, { body: { state, reason } }),
	setShift: (id: number, ends_unix_ms: number | null) =>
		request('PUT', `/api/agents/${id}/shift`, { body: { ends_unix_ms } }),
};

/** Where audio legs of one kind are opened: an SDP offer for an answer and the place where the leg lives. */
export class LegApi {
	constructor(private readonly path: string) {}

	async open(offer: string): Promise<{ answer: string; location: string }> {
		const raw = { type: 'application/sdp', body: offer };
		const response = await request('POST', this.path, { raw });
		const location = response.headers.get('location') ?? '';
		return { answer: await response.text(), location: new URL(location, window.location.href).pathname };
	}

	async restart(location: string, offer: string): Promise<string> {
		const response = await request('PATCH', location, { raw: { type: 'application/sdp', body: offer } });
		return response.text();
	}

	close(location: string): Promise<Response> {
		return request('DELETE', location, { keepalive: true });
	}
}

/** The STUN and TURN servers for audio legs; credentials are for a time only. */
export const ice = () => json<IceSettings>('GET', '/api/ice');

export const legs = {
	agent: new LegApi('/api/agent/session'),
	supervisor: new LegApi('/api/supervision'),
};

export const supervision = {
	/** Follows an agent from call to call, by the supervisor's leg at `location`. */
	follow: (location: string, agent: number, mode: SupervisionMode) =>
		request('PUT', location, { body: { agent, mode } }),
};

export const phones = {
	setup: () => json<PhoneSetup>('GET', '/api/agent/phone'),
	/** Makes a new password; the one before is good no more. */
	renew: () => json<PhoneSetup>('POST', '/api/agent/phone', {}),
	remove: () => request('DELETE', '/api/agent/phone'),
};

export const calls = {
	list: (filter: {
		campaign?: number;
		agent?: number;
		outcome?: Outcome | '';
		limit?: number;
		before?: Page<unknown>['next'];
	}) => json<Page<CallRecord>>('GET', `/api/calls${query(filter)}`),
	get: (id: number) => json<CallDetail>('GET', `/api/calls/${id}`),
	hangup: (id: number) => request('POST', `/api/calls/${id}/hangup`),
	hold: (id: number, on: boolean) => request('POST', `/api/calls/${id}/hold`, { body: { on } }),
	dtmf: (id: number, digits: string) => request('POST', `/api/calls/${id}/dtmf`, { body: { digits } }),
	/** Who answered: a machine is hung up on. */
	machine: (id: number, machine: boolean) =>
		request('POST', `/api/calls/${id}/machine`, { body: { machine } }),
	dispose: (
		id: number,
		body: { code: string; note?: string; callback_unix_ms?: number; personal?: boolean },
	) => request('POST', `/api/calls/${id}/disposition`, { body }),
	/** Leaves silence in the recording from now on, or goes on. */
	pauseRecording: (id: number, on: boolean) =>
		request('POST', `/api/calls/${id}/recording/${on ? 'pause' : 'resume'}`),
};

export const recordings = {
	audio: async (call: number): Promise<Blob> =>
		(await request('GET', `/api/recordings/${call}/audio`)).blob(),
};

export const prompts = {
	list: () => json<PromptRecord[]>('GET', '/api/prompts'),
	upload: (name: string, file: Blob) =>
		request('POST', `/api/prompts${query({ name })}`, {
			raw: { type: file.type || 'application/octet-stream', body: file },
		}),
	audio: async (id: number): Promise<Blob> => (await request('GET', `/api/prompts/${id}/audio`)).blob(),
	remove: (id: number) => request('DELETE', `/api/prompts/${id}`),
};

async function importCsv(
	campaign: number,
	file: File,
	choice: ImportChoice,
	onprogress: (sent: number) => void,
	signal: AbortSignal,
): Promise<ImportRecord> {
	const token = await tokens.fresh();
	// fetch does not tell how far an upload is.
	const xhr = new XMLHttpRequest();
	const done = new Promise<Response>((resolve, reject) => {
		xhr.upload.onprogress = (e) => e.lengthComputable && onprogress(e.loaded / e.total);
		xhr.upload.onload = () => onprogress(1);
		xhr.onload = () => {
			const type = xhr.getResponseHeader('content-type') ?? '';
			resolve(new Response(xhr.responseText, { status: xhr.status, headers: { 'content-type': type } }));
		};
		xhr.onerror = () => reject(new NetworkError('upload'));
		xhr.onabort = () => reject(new DOMException('aborted', 'AbortError'));
	});
	signal.addEventListener('abort', () => xhr.abort(), { once: true });
	const { list, map, dedupe, dry_run } = choice;
	const how = query({ list, map: JSON.stringify(map), dedupe, dry_run: String(dry_run) });
	xhr.open('POST', `/api/campaigns/${campaign}/imports${how}`);
	xhr.setRequestHeader('authorization', `Bearer ${token}`);
	xhr.setRequestHeader('content-type', 'text/csv');
	xhr.send(file);
	const response = await done;
	if (!response.ok) throw await errorOf(response);
	return (await response.json()) as ImportRecord;
}

/** What a failed request says to a program: its status, or 0 when the server was not reached. */
export function statusOf(error: unknown): number {
	return error instanceof ApiError ? error.status : 0;
}
