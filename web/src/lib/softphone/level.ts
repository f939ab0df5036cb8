/** How loud a track is, 0 to 1, told about 15 times a second until the returned function is called. */
export function watchLevel(track: MediaStreamTrack, onlevel: (level: number) => void): () => void {
	const context = new AudioContext();
	const analyser = context.createAnalyser();
	analyser.fftSize = 1024;
	context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
	const samples = new Float32Array(analyser.fftSize);
	const timer = setInterval(() => {
		if (context.state === 'suspended') void context.resume().catch(() => {});
		analyser.getFloatTimeDomainData(samples);
		let sum = 0;
		for (const s of samples) sum += s * s;
		const db = 10 * Math.log10(sum / samples.length + 1e-10);
		// From -60 dB, a quiet room, to -10 dB, a loud voice.
		onlevel(Math.min(1, Math.max(0, (db + 60) / 50)));
	}, 66);
	return () => {
		clearInterval(timer);
		void context.close();
	};
}

/** Two short tones on the given element, to hear whether the speaker works. */
export async function playTestTone(element: HTMLAudioElement): Promise<void> {
	const context = new AudioContext();
	const out = context.createMediaStreamDestination();
	const gain = context.createGain();
	gain.gain.value = 0;
	gain.connect(out);
	const tone = context.createOscillator();
	tone.connect(gain);
	const start = context.currentTime + 0.05;
	[440, 660].forEach((hz, i) => {
		const from = start + i * 0.45;
		tone.frequency.setValueAtTime(hz, from);
		gain.gain.setValueAtTime(0, from);
		gain.gain.linearRampToValueAtTime(0.2, from + 0.03);
		gain.gain.linearRampToValueAtTime(0, from + 0.4);
	});
	tone.start(start);
	tone.stop(start + 0.95);
	element.srcObject = out.stream;
	try {
		await element.play();
		await new Promise((resolve) => (tone.onended = resolve));
	} finally {
		element.srcObject = null;
		void context.close();
	}
}
