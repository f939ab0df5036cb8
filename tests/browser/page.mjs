// What the scripts that drive browsers share.
import { createRequire } from 'node:module';

// The driver is among the console's development packages.
const { chromium } = createRequire(new URL('../../web/package.json', import.meta.url))('playwright-core');

/** Chromium whose microphone is a WAV file, over and over. */
export function launch(microphone) {
	return chromium.launch(settings(microphone));
}

/** The same, and its processes, for those who end it as no page could. */
export async function launchServer(microphone) {
	const server = await chromium.launchServer(settings(microphone));
	return { server, browser: await chromium.connect(server.wsEndpoint()) };
}

function settings(microphone) {
	return {
		executablePath: '/usr/bin/chromium',
		args: [
			'--no-sandbox',
			'--disable-gpu',
			'--use-fake-device-for-media-stream',
			'--use-fake-ui-for-media-stream',
			`--use-file-for-fake-audio-capture=${microphone}`,
			'--allow-loopback-in-peer-connection',
			'--autoplay-policy=no-user-gesture-required',
			'--disable-background-networking',
			'--disable-component-update',
			'--disable-sync',
			'--no-first-run',
		],
	};
}

/** Says why a script ends early: the error, what the pages' consoles said, and how the pages look, each in a file. */
export async function tellFailure(error, said, pages) {
	console.error(error.message);
	for (const line of said) console.error(`the page's console: ${line}`);
	for (const [path, page] of pages) {
		await page.screenshot({ path, fullPage: true }).catch(() => {});
		console.error(`screenshot: ${path}`);
	}
	process.exitCode = 1;
}

/** Runs in the page: of windows of what it plays, the share of the energy that lies at one frequency (Goertzel). */
export async function toneShares([hz, windows, everyMs, element = '#caller-audio']) {
	const audio = new AudioContext();
	const analyser = new AnalyserNode(audio, { fftSize: 8192 });
	audio.createMediaStreamSource(document.querySelector(element).srcObject).connect(analyser);
	const samples = new Float32Array(analyser.fftSize);
	// A whole number of periods of 10 Hz, so that the tone falls on one bin.
	const n = audio.sampleRate / 10;
	const coefficient = 2 * Math.cos((2 * Math.PI * hz) / audio.sampleRate);
	const shares = [];
	for (let window = 0; window < windows; window++) {
		await new Promise((resolve) => setTimeout(resolve, everyMs));
		analyser.getFloatTimeDomainData(samples);
		let [energy, s1, s2] = [0, 0, 0];
		for (const x of samples.subarray(samples.length - n)) {
			energy += x * x;
			[s1, s2] = [x + coefficient * s1 - s2, s1];
		}
		const power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
		shares.push(energy / n < 1e-6 ? 0 : (2 * power) / (n * energy));
	}
	await audio.close();
	return shares;
}

/** Runs in the page: the same of a recording, where no sound card lets an AudioContext run. */
export async function recordedToneShares([hz, ms]) {
	const recorder = new MediaRecorder(document.querySelector('#caller-audio').srcObject);
	const pieces = [];
	recorder.ondataavailable = ({ data }) => pieces.push(data);
	const stopped = new Promise((resolve) => (recorder.onstop = resolve));
	recorder.start();
	await new Promise((resolve) => setTimeout(resolve, ms));
	recorder.stop();
	await stopped;
	const bytes = await new Blob(pieces).arrayBuffer();
	const audio = await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(bytes);
	const samples = audio.getChannelData(0);
	const n = audio.sampleRate / 10;
	const coefficient = 2 * Math.cos((2 * Math.PI * hz) / audio.sampleRate);
	const shares = [];
	for (let at = 0; at + n <= samples.length; at += n) {
		let [energy, s1, s2] = [0, 0, 0];
		for (const x of samples.slice(at, at + n)) {
			energy += x * x;
			[s1, s2] = [x + coefficient * s1 - s2, s1];
		}
		const power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
		shares.push(energy / n < 1e-6 ? 0 : (2 * power) / (n * energy));
	}
	return shares;
}
