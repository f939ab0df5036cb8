/** The live socket: signs in by its first message, answers pings, comes back after a break. */
import type { LiveMessage } from '$lib/api/types';

/** The server pings every 3 s; three missed ones mean that nobody is there. */
const SILENCE_MS = 10_000;
const STALE_AFTER_MS = 7_000;
const CHECK_EVERY_MS = 2_000;
const BACK_OFF_MS = [300, 1_000, 2_000, 4_000, 8_000];

export type Status = 'connecting' | 'live' | 'stale';

export interface SocketHost {
	/** A token that is good now. */
	token: () => Promise<string>;
	onmessage: (message: LiveMessage) => void;
	onstatus: (status: Status) => void;
}

export class LiveSocket {
	#host: SocketHost;
	#socket: WebSocket | null = null;
	#closed = false;
	#attempt = 0;
	#lastHeard = 0;
	#retry: ReturnType<typeof setTimeout> | undefined;
	#check: ReturnType<typeof setInterval>;

	constructor(host: SocketHost) {
		this.#host = host;
		this.#check = setInterval(() => this.#watch(), CHECK_EVERY_MS);
		window.addEventListener('online', this.#now);
		document.addEventListener('visibilitychange', this.#now);
		void this.#open();
	}

	/** Gives the server a renewed token. */
	renew(token: string): void {
		if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ token }));
	}

	close(): void {
		this.#closed = true;
		clearInterval(this.#check);
		clearTimeout(this.#retry);
		window.removeEventListener('online', this.#now);
		document.removeEventListener('visibilitychange', this.#now);
		this.#socket?.close();
	}

	/** The network or the page is back: don't wait for the back-off. */
	#now = (): void => {
		if (this.#closed || this.#socket || document.visibilityState === 'hidden') return;
		clearTimeout(this.#retry);
		this.#attempt = 0;
		void this.#open();
	};

	async #open(): Promise<void> {
		let token: string;
		try {
			token = await this.#host.token();
		} catch {
			this.#again();
			return;
		}
		if (this.#closed || this.#socket) return;
		const url = new URL('/api/live', window.location.href);
		url.protocol = url.protocol.replace('http', 'ws');
		const socket = new WebSocket(url);
		this.#socket = socket;
		this.#lastHeard = Date.now();
		socket.onopen = () => socket.send(JSON.stringify({ token }));
		socket.onmessage = (event) => this.#receive(socket, String(event.data));
		socket.onclose = () => this.#gone(socket);
	}

	#receive(socket: WebSocket, data: string): void {
		if (socket !== this.#socket) return;
		this.#lastHeard = Date.now();
		let message: LiveMessage;
		try {
			message = JSON.parse(data) as LiveMessage;
		} catch {
			return;
		}
		if (message.type === 'ping') {
			socket.send(JSON.stringify({ type: 'pong', n: message.n }));
			// A ping wakes hidden pages too, which their timers do not: the token is renewed from here.
			void this.#host.token().catch(() => {});
			return;
		}
		if (message.type === 'snapshot') {
			this.#attempt = 0;
			this.#host.onstatus('live');
		}
		this.#host.onmessage(message);
	}

	#watch(): void {
		if (!this.#socket) return;
		const silent = Date.now() - this.#lastHeard;
		if (silent > STALE_AFTER_MS) this.#host.onstatus('stale');
		if (silent > SILENCE_MS) {
			const dead = this.#socket;
			dead.close();
			// close() waits for an answer that will not come.
			this.#gone(dead);
		}
	}

	#gone(socket: WebSocket): void {
		if (socket !== this.#socket) return;
		this.#socket = null;
		this.#host.onstatus('stale');
		this.#again();
	}

	#again(): void {
		if (this.#closed) return;
		const base = BACK_OFF_MS[Math.min(this.#attempt++, BACK_OFF_MS.length - 1)] ?? 8_000;
		// Spread, so that a floor of browsers does not come back in the same moment.
		clearTimeout(this.#retry);
		this.#retry = setTimeout(() => void this.#open(), base * (0.5 + Math.random()));
	}
}
