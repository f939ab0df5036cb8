import { redirect } from '@sveltejs/kit';
import { homeOf, session } from '$lib/models/session.svelte';

export async function load() {
	await session.restore();
	if (session.user) redirect(307, homeOf(session.user));
}
