import { expect, it } from 'vitest';
import { costsOf, costsText, defaultProfile, isPrefix, listOf, trunkBody, trunkFaults } from './trunk';

const profile = {
	...defaultProfile(),
	name: 'main-1',
	address: 'sip.example.com',
	allowed_prefixes: ['+1'],
};

it('names what is wrong with a trunk', () => {
	expect(trunkFaults(profile, false)).toEqual({});
	expect(Object.keys(trunkFaults(defaultProfile(), false))).toEqual(['name', 'address', 'allowed_prefixes']);
	const wrong = { ...profile, max_cps: 0, max_channels: 1.5, caller_id: '202', register: true };
	expect(Object.keys(trunkFaults(wrong, false))).toEqual([
		'max_cps',
		'max_channels',
		'caller_id',
		'username',
	]);
	expect(trunkFaults({ ...profile, number_format: 'national' }, false)).toHaveProperty('country');
	expect(trunkFaults({ ...profile, first_response_timeout_s: 33 }, false)).toHaveProperty(
		'first_response_timeout_s',
	);
});

it('wants a password once', () => {
	const user = { ...profile, username: 'u' };
	expect(trunkFaults(user, false)).toHaveProperty('password');
	expect(trunkFaults(user, true)).toEqual({});
	expect(trunkBody(user)).not.toHaveProperty('password');
	expect(trunkBody({ ...user, password: 'p' })).toHaveProperty('password', 'p');
	expect(trunkBody({ ...user, username: ' ', password: 'p' })).toMatchObject({ username: null });
	expect(trunkBody({ ...user, username: ' ', password: 'p' })).not.toHaveProperty('password');
});

it('reads lists as people type them', () => {
	expect(listOf(' 10.0.0.0/8, 192.0.2.1\n')).toEqual(['10.0.0.0/8', '192.0.2.1']);
	expect(listOf(' ')).toEqual([]);
});

it('reads prefixes and prices as people type them', () => {
	expect(['+', '+34', '34', '+0', '+3a', ''].map(isPrefix)).toEqual([true, true, false, false, false, false]);
	expect(costsOf('+1 0.01, +34 = 0.02')).toEqual({ '+1': 0.01, '+34': 0.02 });
	expect(costsOf('')).toEqual({});
	for (const wrong of ['+1', '1 0.01', '+1 x', '+1 0.1 2', '+1 -1']) expect(costsOf(wrong)).toBeNull();
	expect(costsOf(costsText({ '+1': 0.01, '+34': 2 }))).toEqual({ '+1': 0.01, '+34': 2 });
});
