/** What the browser measures of the audio path. */
export interface Quality {
	grade: 'good' | 'fair' | 'poor';
	/** Of the packets that should have come since the last look, 0 to 1. */
	loss: number;
	jitterMs: number;
	rttMs: number | null;
}

export interface Counters {
	received: number;
	lost: number;
	jitterMs: number;
	rttMs: number | null;
}

/** Sums up a stats report; null before audio has come. */
export function countersOf(stats: RTCStatsReport): Counters | null {
	let inbound: RTCInboundRtpStreamStats | undefined;
	let rttS: number | undefined;
	stats.forEach((entry: RTCStats) => {
		if (entry.type === 'inbound-rtp') inbound = entry as RTCInboundRtpStreamStats;
		if (entry.type === 'candidate-pair') {
			const pair = entry as RTCIceCandidatePairStats;
			if (pair.nominated && pair.currentRoundTripTime !== undefined) rttS = pair.currentRoundTripTime;
		}
	});
	if (!inbound) return null;
	return {
		received: inbound.packetsReceived ?? 0,
		lost: inbound.packetsLost ?? 0,
		jitterMs: (inbound.jitter ?? 0) * 1000,
		rttMs: rttS === undefined ? null : rttS * 1000,
	};
}

/** Judges the time between two looks. Limits: where listeners begin to notice, and where talk breaks down. */
export function judge(before: Counters, after: Counters): Quality {
	const received = Math.max(0, after.received - before.received);
	const lost = Math.max(0, after.lost - before.lost);
	const loss = received + lost > 0 ? lost / (received + lost) : 0;
	const { jitterMs, rttMs } = after;
	const poor = loss > 0.05 || jitterMs > 60 || (rttMs ?? 0) > 400;
	const fair = loss > 0.01 || jitterMs > 30 || (rttMs ?? 0) > 200;
	return { grade: poor ? 'poor' : fair ? 'fair' : 'good', loss, jitterMs, rttMs };
}
