import { errorOf, NetworkError } from './problem';
import { Tokens } from './tokens';

export const tokens = new Tokens({
	fetch: (input, init) => fetch(input, init),
	now: () => Date.now(),
	exclusive: (work) =>
		// Web Locks exist in secure contexts only; elsewhere tabs renew on their own.
		typeof navigator !== 'undefined' && navigator.locks
			? navigator.locks.request('kraliki-refresh', work)
			: work(),
});

export interface RequestOptions {
	/** Sent as JSON, unless `raw` is given. */
	body?: unknown;
	raw?: { type: string; body: string | Blob };
	/** Lets the request outlive the page. */
	keepalive?: boolean;
}

/** One request as the person signed in; throws ApiError or NetworkError. */
export async function request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
	let response = await send(await tokens.fresh(), method, path, options);
	if (response.status === 401) response = await send(await tokens.renew(), method, path, options);
	if (!response.ok) throw await errorOf(response);
	return response;
}

export async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
	const response = await request(method, path, { body });
	return (await response.json()) as T;
}

/** The same without a token, for signing in. */
export async function anonymous(method: string, path: string, body?: unknown): Promise<Response> {
	const response = await send(null, method, path, { body });
	if (!response.ok) throw await errorOf(response);
	return response;
}

async function send(
	token: string | null,
	method: string,
	path: string,
	{ body, raw, keepalive = false }: RequestOptions,
): Promise<Response> {
	const headers: Record<string, string> = {
		accept: 'application/json, application/problem+json;q=0.9, */*;q=0.5',
	};
	if (token) headers.authorization = `Bearer ${token}`;
	if (raw) headers['content-type'] = raw.type;
	else if (body !== undefined) headers['content-type'] = 'application/json';
	const content = raw ? raw.body : body === undefined ? null : JSON.stringify(body);
	try {
		return await fetch(path, { method, headers, body: content, keepalive });
	} catch (error) {
		throw new NetworkError(error);
	}
}

/** A query string of the values that are set, with its question mark. */
export function query(values: Record<string, string | number | null | undefined>): string {
	const set = Object.entries(values).filter(([, v]) => v !== null && v !== undefined && v !== '');
	if (set.length === 0) return '';
	return `?${new URLSearchParams(set.map(([k, v]) => [k, String(v)]))}`;
}
