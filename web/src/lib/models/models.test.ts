import { expect, it } from 'vitest';
import { judge } from '$lib/softphone/quality';
import { csvOf } from './csv';
import { codeFrom, defaultSettings, faultsOf } from './settings';

it('makes formulas text and quotes what needs it', () => {
	expect(
		csvOf([
			['line', '=1+1'],
			[7, 'has "two", no'],
		]),
	).toBe('line,\'=1+1\r\n7,"has ""two"", no"\r\n');
});

it('names what is wrong with settings', () => {
	const settings = { ...defaultSettings((key) => key), name: 'Spring' };
	expect(faultsOf(settings)).toEqual({});
	expect(Object.keys(faultsOf({ ...settings, name: ' ' }))).toEqual(['name']);
	expect(Object.keys(faultsOf({ ...settings, ring_timeout_s: 10, caller_id: '202' }))).toEqual([
		'ring_timeout_s',
		'caller_id',
	]);
	expect(
		Object.keys(
			faultsOf({ ...settings, max_lines_per_agent: 0, max_cps: 1.5, max_lines: 1001, queue_key: '9' }),
		),
	).toEqual(['max_lines_per_agent', 'max_cps', 'max_lines', 'queue_key']);
	expect(faultsOf({ ...settings, queue_key: '', opt_out_key: '' })).toEqual({});
	const midnight = [{ days: [6], from: '10:00', to: '24:00' }];
	expect(faultsOf({ ...settings, calling_hours: midnight })).toEqual({});
	expect(
		faultsOf({ ...settings, calling_hours: [{ days: [6], from: '18:00', to: '09:00' }] }),
	).toHaveProperty('calling_hours');
	const twice = [...settings.dispositions, ...settings.dispositions];
	expect(faultsOf({ ...settings, dispositions: twice })).toHaveProperty('dispositions');
});

it('makes keys from labels', () => {
	expect(codeFrom('Přeje si hovor!')).toBe('preje_si_hovor');
});

it('judges the time since the last look, not the whole shift', () => {
	const before = { received: 1000, lost: 500, jitterMs: 5, rttMs: 20 };
	expect(judge(before, { ...before, received: 1100 })).toMatchObject({ grade: 'good', loss: 0 });
	expect(judge(before, { ...before, received: 1097, lost: 503 }).grade).toBe('fair');
	expect(judge(before, { ...before, received: 1090, lost: 510 }).grade).toBe('poor');
	expect(judge(before, { ...before, rttMs: 450 }).grade).toBe('poor');
});
