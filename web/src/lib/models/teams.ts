/** Teams as a tree that can be read from top to bottom. */
import type { Team } from '$lib/api/types';

export interface TeamRow {
	team: Team;
	/** 0 at the top. */
	depth: number;
}

/** Each team after the one above it; whose parent is not to be seen stands at the top. By name among brothers. */
export function inOrder(teams: Team[]): TeamRow[] {
	const ids = new Set(teams.map((team) => team.id));
	const below = new Map<number | null, Team[]>();
	for (const team of teams) {
		const parent =
			team.settings.parent !== null && ids.has(team.settings.parent) ? team.settings.parent : null;
		below.set(parent, [...(below.get(parent) ?? []), team]);
	}
	const rows: TeamRow[] = [];
	const walk = (parent: number | null, depth: number): void => {
		const brothers = (below.get(parent) ?? []).sort((a, b) => a.settings.name.localeCompare(b.settings.name));
		for (const team of brothers) {
			rows.push({ team, depth });
			walk(team.id, depth + 1);
		}
	};
	walk(null, 0);
	return rows;
}
