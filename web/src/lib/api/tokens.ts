import { ApiError, errorOf, NetworkError } from './problem';
import type { Login, User } from './types';

/** A token is renewed this long before it ends, so that no request meets a dead one. */
const RENEW_BEFORE_MS = 90_000;

export interface TokenHost {
	fetch: typeof fetch;
	now: () => number;
	/** Runs one renewal at a time over all tabs: refresh tokens are used once. */
	exclusive: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Keeps the access token in memory only, and renews it without a break. */
export class Tokens {
	#host: TokenHost;
	#access = '';
	#endsAt = 0;
	#renewal: Promise<string> | null = null;
	/** Called with each new token, and with null when the shift's sign-in has ended. */
	onchange: (token: string | null, user: User | null) => void = () => {};

	constructor(host: TokenHost) {
		this.#host = host;
	}

	/** Takes over what sign-in or a renewal answered. */
	accept(login: Login): void {
		this.#access = login.access_token;
		this.#endsAt = this.#host.now() + login.expires_in_s * 1000;
		this.onchange(login.access_token, login.user);
	}

	clear(): void {
		this.#access = '';
		this.#endsAt = 0;
		this.onchange(null, null);
	}

	/** A token that is good now; renewed first if it is about to end. */
	async fresh(): Promise<string> {
		if (!this.#access) throw new ApiError({ title: 'Signed out', status: 401 });
		if (this.#access && this.#host.now() < this.#endsAt - RENEW_BEFORE_MS) return this.#access;
		try {
			return await this.renew();
		} catch (error) {
			// A server that can't renew right now is no reason to drop a token that still holds.
			const stillGood = this.#access && this.#host.now() < this.#endsAt;
			if (stillGood && !(error instanceof ApiError && error.status === 401)) return this.#access;
			throw error;
		}
	}

	/** Renews the token; callers at the same time share one request. */
	renew(): Promise<string> {
		this.#renewal ??= this.#host.exclusive(() => this.#post()).finally(() => (this.#renewal = null));
		return this.#renewal;
	}

	async #post(): Promise<string> {
		let response: Response;
		try {
			response = await this.#host.fetch('/api/auth/refresh', { method: 'POST' });
		} catch (error) {
			throw new NetworkError(error);
		}
		if (!response.ok) {
			const error = await errorOf(response);
			if (error.status === 401) this.clear();
			throw error;
		}
		this.accept((await response.json()) as Login);
		return this.#access;
	}
}
