import { redirect } from '@sveltejs/kit';
import { homeOf, session } from '$lib/models/session.svelte';

export async function load() {
	await session.restore();
	redirect(307, session.user ? homeOf(session.user) : '/sign-in');
}
