import { expect, it } from 'vitest';
import type { Team } from '$lib/api/types';
import { inOrder } from './teams';

const team = (id: number, name: string, parent: number | null): Team => ({
	id,
	settings: { name, parent, members: [], supervisors: [], time_zone: 'UTC', shifts: [] },
});

it('puts each team below its parent, by name', () => {
	const rows = inOrder([
		team(1, 'Zlín', null),
		team(2, 'Brno', null),
		team(3, 'Morning', 2),
		team(4, 'Evening', 2),
	]);
	expect(rows.map(({ team, depth }) => `${depth} ${team.settings.name}`)).toEqual([
		'0 Brno',
		'1 Evening',
		'1 Morning',
		'0 Zlín',
	]);
});

it('shows a supervisor the top of what they see', () => {
	const rows = inOrder([team(3, 'Morning', 2), team(5, 'Group', 3)]);
	expect(rows.map(({ depth }) => depth)).toEqual([0, 1]);
});
