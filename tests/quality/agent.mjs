// An agent in Chromium who takes a call and records what the page plays. Prints `result {...}`.
//
// node agent.mjs '{"url", "username", "password", "microphone", "seconds", "dialer_port", "network_port"}'
// What goes to the dialer's port for browsers goes to network_port instead.
import { createRequire } from 'node:module';

const { chromium } = createRequire(new URL('../../web/package.json', import.meta.url))('playwright-core');

const options = JSON.parse(process.argv[2]);
const STEP_MS = 30_000;
/** The jitter buffers settle before anything is recorded. */
const SETTLE_MS = 3_000;

const said = [];
const browser = await chromium.launch({
	executablePath: '/usr/bin/chromium',
	args: [
		'--no-sandbox',
		'--disable-gpu',
		'--use-fake-device-for-media-stream',
		'--use-fake-ui-for-media-stream',
		`--use-file-for-fake-audio-capture=${options.microphone}`,
		'--allow-loopback-in-peer-connection',
		'--autoplay-policy=no-user-gesture-required',
		'--disable-background-networking',
		'--disable-component-update',
		'--disable-sync',
		'--no-first-run',
	],
});
const context = await browser.newContext({ locale: 'en-US' });
context.setDefaultTimeout(STEP_MS);
const page = await context.newPage();
page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));

try {
	await page.addInitScript(useNetwork, [options.dialer_port, options.network_port]);
	await page.goto(options.url);
	await page.locator('input[name=username]').fill(options.username);
	await page.locator('input[name=password]').fill(options.password);
	await page.keyboard.press('Enter');
	await page.getByTestId('ready').click();
	await page.locator('[data-call-state=talking]').waitFor();
	console.log('talking');
	await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
	const recorded = await page.evaluate(record, options.seconds);
	await page.locator('[data-testid=quality][data-grade]').waitFor();
	const quality = page.getByTestId('quality');
	const sign = { grade: await quality.getAttribute('data-grade'), text: await quality.innerText() };
	const stats = await page.evaluate(counters);
	await page.getByTestId('hangup').click();
	await page.locator('[data-agent-state=wrap_up]').waitFor();
	console.log(`result ${JSON.stringify({ ...recorded, stats, sign })}`);
} catch (error) {
	console.error(error.message);
	for (const line of said) console.error(`the page's console: ${line}`);
	process.exitCode = 1;
} finally {
	await browser.close();
}

/** Runs in the page before its own scripts: the microphone is not worked on, and answers name the network's port. */
function useNetwork([dialer, network]) {
	// The microphone as it is: what the network does is judged, not what the browser makes of two voices at once.
	const devices = navigator.mediaDevices;
	const open = devices.getUserMedia.bind(devices);
	const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
	devices.getUserMedia = ({ audio, ...rest }) => open({ ...rest, audio: { ...(audio === true ? {} : audio), ...raw } });
	const Connection = window.RTCPeerConnection;
	window.connections = [];
	window.RTCPeerConnection = class extends Connection {
		constructor(...given) {
			super(...given);
			window.connections.push(this);
		}
		setRemoteDescription(description) {
			const sdp = description.sdp.replaceAll(` ${dialer} typ `, ` ${network} typ `);
			return super.setRemoteDescription({ type: description.type, sdp });
		}
	};
}

/** Runs in the page: so many seconds of what it plays, 16 bits at 16 kHz in hex, and when they begin. */
async function record(seconds) {
	const rate = 16_000;
	const audio = new AudioContext({ sampleRate: rate });
	const source = audio.createMediaStreamSource(document.querySelector('#caller-audio').srcObject);
	const node = audio.createScriptProcessor(1024, 1, 1);
	const blocks = [];
	let from = 0;
	await new Promise((resolve) => {
		node.onaudioprocess = (event) => {
			if (blocks.length === 0) from = Date.now() - (1000 * 1024) / rate;
			blocks.push(event.inputBuffer.getChannelData(0).slice());
			if (blocks.length * 1024 >= seconds * rate) resolve();
		};
		source.connect(node).connect(audio.destination);
	});
	await audio.close();
	const samples = new Int16Array(blocks.length * 1024);
	blocks.forEach((block, n) => block.forEach((x, at) => (samples[n * 1024 + at] = Math.max(-1, Math.min(1, x)) * 32767)));
	const bytes = new Uint8Array(samples.buffer);
	const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
	return { from_unix_ms: from, rate_hz: rate, audio: hex };
}

/** Runs in the page. */
async function counters() {
	const found = {};
	for (const s of (await window.connections.at(-1).getStats()).values()) {
		if (s.type === 'inbound-rtp') {
			found.received = s.packetsReceived;
			found.lost = s.packetsLost;
			found.concealed = s.concealedSamples / s.totalSamplesReceived;
			found.jitter_buffer_ms = (1000 * s.jitterBufferDelay) / s.jitterBufferEmittedCount;
		}
		if (s.type === 'codec') found.codec = s.mimeType;
	}
	return found;
}
