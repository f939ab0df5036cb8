/** The law of calls: suppression lists and compliance profiles, as the API has them. */

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

/** What was erased of a person. */
export interface ErasedView {
	/** Leads with that first phone. */
	leads: number;
	/** Leads that had it as a further phone. */
	phones: number;
	/** Calls whose number and notes went. */
	calls: number;
	recordings: number;
}
