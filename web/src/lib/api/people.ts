/** Teams, skills and pauses, as the API has them. */
import type { Role } from './types';

export interface ShiftWindow {
	/** 1 is Monday, 7 is Sunday. */
	days: number[];
	/** HH:MM */
	from: string;
	/** HH:MM, 24:00 is midnight. */
	to: string;
}

export interface TeamSettings {
	name: string;
	parent: number | null;
	members: number[];
	supervisors: number[];
	time_zone: string;
	shifts: ShiftWindow[];
}

export interface Team {
	id: number;
	settings: TeamSettings;
}

/** An agent or a supervisor, signed in or not. */
export interface Person {
	id: number;
	username: string;
	name: string;
	role: Role;
}

export interface Skill {
	agent: number;
	campaign: number;
	/** 1 to 10. */
	level: number;
	/** Whom the agent takes first of those who wait. */
	priority: number;
}

export interface Labels {
	en: string;
	es: string;
	cs: string;
}

export interface PauseReason {
	code: string;
	label: Labels;
	/** 0: no limit. */
	limit_min: number;
	/** 0: no limit. */
	day_limit_min: number;
	paid: boolean;
}
