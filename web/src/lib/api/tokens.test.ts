import { expect, it } from 'vitest';
import { Tokens } from './tokens';
import type { User } from './types';

const user: User = { id: 7, username: 'anna', name: 'Anna', role: 'agent' };

function setUp(answer: (n: number) => Response | Error) {
	let now = 0;
	let asked = 0;
	const seen: (string | null)[] = [];
	const tokens = new Tokens({
		now: () => now,
		exclusive: (work) => work(),
		fetch: () => {
			const got = answer(++asked);
			return got instanceof Error ? Promise.reject(got) : Promise.resolve(got);
		},
	});
	tokens.onchange = (token) => seen.push(token);
	tokens.accept({ access_token: 'first', expires_in_s: 900, user });
	return { tokens, seen, asked: () => asked, at: (s: number) => (now = s * 1000) };
}

const login = (token: string) => Response.json({ access_token: token, expires_in_s: 900, user });

it('uses a token until shortly before its end', async () => {
	const s = setUp((n) => login(`renewed ${n}`));
	s.at(800);
	expect(await s.tokens.fresh()).toBe('first');
	s.at(820);
	expect(await s.tokens.fresh()).toBe('renewed 1');
	s.at(1600);
	expect(await s.tokens.fresh()).toBe('renewed 1');
	expect(s.asked()).toBe(1);
	expect(s.seen).toEqual(['first', 'renewed 1']);
});

it('renews once for all who ask at the same time', async () => {
	const s = setUp((n) => login(`renewed ${n}`));
	s.at(1000);
	const got = await Promise.all([s.tokens.fresh(), s.tokens.fresh(), s.tokens.renew()]);
	expect(got).toEqual(['renewed 1', 'renewed 1', 'renewed 1']);
	expect(s.asked()).toBe(1);
});

it('keeps a token that still holds while the server is away, and signs nobody out', async () => {
	const s = setUp((n) => (n === 1 ? new TypeError('offline') : Response.json({}, { status: 503 })));
	s.at(850);
	expect(await s.tokens.fresh()).toBe('first');
	expect(await s.tokens.fresh()).toBe('first');
	s.at(901);
	await expect(s.tokens.fresh()).rejects.toThrow();
	expect(s.seen).toEqual(['first']);
});

it('ends the session when the server refuses to go on', async () => {
	const s = setUp(() => Response.json({ title: 'Signed out', status: 401 }, { status: 401 }));
	s.at(901);
	await expect(s.tokens.fresh()).rejects.toMatchObject({ status: 401 });
	expect(s.seen).toEqual(['first', null]);
});
