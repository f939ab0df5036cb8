/** The chosen language: its texts, numbers and dates. */
import { kept } from '$lib/models/kept';
import {
	detect,
	LANGUAGES,
	translate,
	type Key,
	type Language,
	type Messages,
	type Params,
} from './translate';

export { LANGUAGES, type Key, type Language } from './translate';

const files: Record<Language, () => Promise<{ default: unknown }>> = {
	en: () => import('$messages/en.json'),
	es: () => import('$messages/es.json'),
	cs: () => import('$messages/cs.json'),
};

class I18n {
	language = $state<Language>('en');
	#messages = $state.raw<Messages | null>(null);

	/** Loads the language of the last visit, else the browser's. */
	async load(): Promise<void> {
		if (this.#messages) return;
		const saved = kept.get('language');
		await this.#use(saved && saved in LANGUAGES ? (saved as Language) : detect(navigator.languages));
	}

	async choose(language: Language): Promise<void> {
		await this.#use(language);
		kept.set('language', language);
	}

	async #use(language: Language): Promise<void> {
		const file = await files[language]();
		this.#messages = file.default as Messages;
		this.language = language;
		document.documentElement.lang = language;
	}

	readonly t = (key: Key, params?: Params): string =>
		this.#messages ? translate(this.#messages, this.language, key, params) : '';
}

export const i18n = new I18n();
export const t = i18n.t;

const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();
function cached<T extends Intl.NumberFormat | Intl.DateTimeFormat>(
	key: string,
	make: (language: Language) => T,
): T {
	const full = `${i18n.language} ${key}`;
	let found = cache.get(full) as T | undefined;
	if (!found) cache.set(full, (found = make(i18n.language)));
	return found;
}

export function number(value: number, digits = 0): string {
	const make = (l: Language) => new Intl.NumberFormat(l, { maximumFractionDigits: digits });
	return cached(`n${digits}`, make).format(value);
}

/** A share of 1 as percent. */
export function percent(value: number, digits = 0): string {
	const make = (l: Language) => new Intl.NumberFormat(l, { style: 'percent', maximumFractionDigits: digits });
	return cached(`p${digits}`, make).format(value);
}

export function dateTime(unixMs: number): string {
	const make = (l: Language) => new Intl.DateTimeFormat(l, { dateStyle: 'medium', timeStyle: 'short' });
	return cached('dt', make).format(unixMs);
}

/** The time alone when it was today, else with its date. */
export function when(unixMs: number): string {
	if (new Date(unixMs).toDateString() !== new Date().toDateString()) return dateTime(unixMs);
	const make = (l: Language) => new Intl.DateTimeFormat(l, { timeStyle: 'medium' });
	return cached('t', make).format(unixMs);
}

/** Weekday and time in another time zone; empty when the browser doesn't know the zone. */
export function timeIn(zone: string, unixMs: number): string {
	try {
		const make = (l: Language) =>
			new Intl.DateTimeFormat(l, { weekday: 'short', hour: '2-digit', minute: '2-digit', timeZone: zone });
		return cached(`z${zone}`, make).format(unixMs);
	} catch {
		return '';
	}
}

/** Name of a weekday, 1 is Monday. */
export function weekday(day: number, width: 'short' | 'long' = 'short'): string {
	const make = (l: Language) => new Intl.DateTimeFormat(l, { weekday: width, timeZone: 'UTC' });
	return cached(`w${width}`, make).format(Date.UTC(2024, 0, day));
}

/** m:ss, or h:mm:ss from an hour on. */
export function clockTime(ms: number): string {
	const s = Math.max(0, Math.floor(ms / 1000));
	const two = (n: number) => String(n).padStart(2, '0');
	const minutes = Math.floor(s / 60);
	if (minutes < 60) return `${minutes}:${two(s % 60)}`;
	return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}
