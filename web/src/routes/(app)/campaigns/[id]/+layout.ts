import { error } from '@sveltejs/kit';

export function load({ params }) {
	if (!/^\d{1,15}$/.test(params.id)) error(404);
}
