/**
 * A call's result while the agent works on it, and until the server has it on disk. Kept in the tab, so that neither
 * a reload nor a lost network loses it.
 */
export interface Draft {
	call: number;
	code: string;
	note: string;
	/** As the person typed it: local time, `YYYY-MM-DDTHH:MM`. */
	callback: string;
	/** The agent keeps that promise. */
	personal: boolean;
	/** The person pressed save; the server has not confirmed yet. */
	submitted: boolean;
	/** The wrap-up is over once the server has it. */
	finish: boolean;
}

const KEY = 'kraliki.results';
/** Calls whose result was never saved; older ones are dropped first. */
const MOST = 20;

export const emptyDraft = (call: number): Draft => ({
	call,
	code: '',
	note: '',
	callback: '',
	personal: false,
	submitted: false,
	finish: false,
});

function load(): Draft[] {
	try {
		return JSON.parse(sessionStorage.getItem(KEY) ?? '[]') as Draft[];
	} catch {
		return [];
	}
}

function store(drafts: Draft[]): void {
	try {
		sessionStorage.setItem(KEY, JSON.stringify(drafts.slice(-MOST)));
	} catch {
		// Storage is refused: the draft lives as long as the page.
	}
}

export const pending = {
	get: (call: number): Draft => load().find((d) => d.call === call) ?? emptyDraft(call),
	put: (draft: Draft): void => store([...load().filter((d) => d.call !== draft.call), draft]),
	drop: (call: number): void => store(load().filter((d) => d.call !== call)),
	submitted: (): Draft[] => load().filter((d) => d.submitted),
};
