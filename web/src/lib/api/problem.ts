import type { Problem } from './types';

/** The server said no, and why. */
export class ApiError extends Error {
	constructor(
		readonly problem: Problem,
		/** From Retry-After. */
		readonly retryAfterS: number | null = null,
	) {
		super(problem.detail || problem.title);
		this.name = 'ApiError';
	}

	get status(): number {
		return this.problem.status;
	}
}

/** The server was not reached. */
export class NetworkError extends Error {
	constructor(cause: unknown) {
		super('network', { cause });
		this.name = 'NetworkError';
	}
}

/** Whether asking again later may help. */
export function isTransient(error: unknown): boolean {
	if (error instanceof NetworkError) return true;
	return error instanceof ApiError && (error.status >= 500 || error.status === 429);
}

export async function errorOf(response: Response): Promise<ApiError> {
	const fallback: Problem = {
		title: response.statusText || `HTTP ${response.status}`,
		status: response.status,
	};
	let problem = fallback;
	if (response.headers.get('content-type')?.includes('json')) {
		try {
			problem = { ...fallback, ...((await response.json()) as Partial<Problem>), status: response.status };
		} catch {
			// Not what it claimed to be: the status alone has to do.
		}
	}
	const after = Number.parseInt(response.headers.get('retry-after') ?? '', 10);
	return new ApiError(problem, Number.isFinite(after) ? after : null);
}
