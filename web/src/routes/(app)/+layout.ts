import { redirect } from '@sveltejs/kit';
import { homeOf, mayOpen, session } from '$lib/models/session.svelte';

export async function load({ url }) {
	await session.restore();
	if (!session.user) redirect(307, `/sign-in?to=${encodeURIComponent(url.pathname)}`);
	if (!mayOpen(session.user, url.pathname)) redirect(307, homeOf(session.user));
}
