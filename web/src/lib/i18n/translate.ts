import type en from '$messages/en.json';

export type Key = keyof typeof en;
export type Plural = { [C in Intl.LDMLPluralRule]?: string } & { other: string };
export type Messages = Record<Key, string | Plural>;
export type Params = Record<string, string | number>;

export const LANGUAGES = { en: 'English', es: 'Español', cs: 'Čeština' } as const;
export type Language = keyof typeof LANGUAGES;

/** The first language of the list that we speak. */
export function detect(wanted: readonly string[]): Language {
	for (const tag of wanted) {
		const base = tag.toLowerCase().split('-')[0] ?? '';
		if (base in LANGUAGES) return base as Language;
		// A Slovak reads Czech more easily than English.
		if (base === 'sk') return 'cs';
	}
	return 'en';
}

/** The text of a key: the plural form that `n` asks for, then `{name}` replaced. */
export function translate(messages: Messages, language: Language, key: Key, params: Params = {}): string {
	const message = messages[key];
	let text: string;
	if (typeof message === 'string') {
		text = message;
	} else {
		const rule = pluralRules(language).select(Number(params.n ?? 0));
		text = message[rule] ?? message.other;
	}
	return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
		const value = params[name];
		if (value === undefined) return whole;
		return typeof value === 'number' ? numberFormat(language).format(value) : value;
	});
}

const rules = new Map<Language, Intl.PluralRules>();
function pluralRules(language: Language): Intl.PluralRules {
	let found = rules.get(language);
	if (!found) rules.set(language, (found = new Intl.PluralRules(language)));
	return found;
}

const numbers = new Map<Language, Intl.NumberFormat>();
function numberFormat(language: Language): Intl.NumberFormat {
	let found = numbers.get(language);
	if (!found) numbers.set(language, (found = new Intl.NumberFormat(language)));
	return found;
}
