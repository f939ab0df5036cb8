/** The server's time on the screen: ticks once a second, corrected by the snapshots. */
class Clock {
	now = $state(Date.now());
	#aheadMs = 0;

	constructor() {
		if (typeof window === 'undefined') return;
		setInterval(() => (this.now = Date.now() + this.#aheadMs), 1000);
	}

	/** The server said what time it is. */
	correct(serverUnixMs: number): void {
		this.#aheadMs = serverUnixMs - Date.now();
		this.now = serverUnixMs;
	}
}

export const clock = new Clock();
