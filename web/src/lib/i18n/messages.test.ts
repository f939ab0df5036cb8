import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import cs from '$messages/cs.json';
import en from '$messages/en.json';
import es from '$messages/es.json';
import { detect, translate, type Messages } from './translate';

const all = { en, es, cs } as unknown as Record<'en' | 'es' | 'cs', Messages>;

const forms = (m: Messages[keyof Messages]): string[] => (typeof m === 'string' ? [m] : Object.values(m));
const names = (text: string): string => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort().join();

describe.each(['es', 'cs'] as const)('%s', (language) => {
	it('has the keys of en', () => {
		expect(Object.keys(all[language])).toEqual(Object.keys(all.en));
	});

	it('fills in the same values', () => {
		for (const [key, message] of Object.entries(all.en)) {
			const theirs = all[language][key as keyof Messages];
			expect(typeof theirs, key).toBe(typeof message);
			for (const form of forms(theirs)) expect(names(form), key).toBe(names(forms(message)[0] ?? ''));
		}
	});
});

describe.each(['en', 'es', 'cs'] as const)('%s', (language) => {
	it('has a form for each number', () => {
		const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
		// Spanish has `many` for a million of something, which reads as `other`.
		const needed = language === 'es' ? ['one', 'other'] : categories;
		for (const [key, message] of Object.entries(all[language])) {
			if (typeof message === 'string') continue;
			expect(Object.keys(message).sort(), key).toEqual([...needed].sort());
		}
	});
});

it('declines Czech', () => {
	const calls = (n: number) => translate(all.cs, 'cs', 'calls.count', { n });
	expect([1, 3, 5, 1.5].map(calls)).toEqual(['1 hovor', '3 hovory', '5 hovorů', '1,5 hovoru']);
});

it('takes the first language it speaks', () => {
	expect(detect(['fr-FR', 'es-MX', 'en'])).toBe('es');
	expect(detect(['sk'])).toBe('cs');
	expect(detect(['ja'])).toBe('en');
});

it('has no text that nothing shows', () => {
	const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
		.filter((f) => /\.(svelte|ts)$/.test(f) && !f.endsWith('.test.ts'))
		.map((f) => readFileSync(join('src', f), 'utf8'))
		.join('\n');
	// Keys made of a prefix and a state: `outcome.${outcome}`.
	const made = [...sources.matchAll(/`([a-z_.]+\.)\$\{/g)].map((m) => m[1] ?? '');
	const unused = Object.keys(all.en).filter(
		(key) => !sources.includes(`'${key}'`) && !made.some((prefix) => key.startsWith(prefix)),
	);
	expect(unused).toEqual([]);
});
