import { expect, it } from 'vitest';
import { defaultPool, poolFaults } from './pool';

it('names what is wrong with a pool', () => {
	const good = { ...defaultPool(), name: 'East', numbers: ['+12025550100'] };
	expect(poolFaults(good)).toEqual({});
	expect(Object.keys(poolFaults(defaultPool()))).toEqual(['name', 'numbers']);
	const wrong = { ...good, numbers: ['2025550100'], calls_per_day: 1.5, least_answer_rate: NaN };
	expect(Object.keys(poolFaults(wrong))).toEqual(['numbers', 'calls_per_day', 'least_answer_rate']);
});
