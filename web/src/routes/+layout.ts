import { i18n } from '$lib/i18n/index.svelte';

export const ssr = false;
export const prerender = false;

export async function load() {
	await i18n.load();
}
