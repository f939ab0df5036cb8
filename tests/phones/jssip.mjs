// A softphone that is a page: JsSIP in Chromium. It registers, picks up what comes, and says on its standard output
// `registered URL` and, for each call, `heard [share, …]`: of windows of what it plays, the share of the energy at one
// frequency. When it was called, it then holds the call, takes it back, and says `held and back`. SIGUSR2 reloads the
// page, which then uses the next server and calls by itself; SIGTERM ends it.
//
// node jssip.mjs '{"servers", "user", "password", "microphone", "hears_hz", "screenshot"}'
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

// JsSIP, what bundles it and what drives the browser are among the console's development packages.
const web = createRequire(new URL('../../web/package.json', import.meta.url));
const { chromium } = web('playwright-core');
const { build } = await import(pathToFileURL(web.resolve('vite')).href);

const options = JSON.parse(process.argv[2]);
const STEP_MS = 40_000;
const WINDOWS = 25;
const WINDOW_EVERY_MS = 100;

/** JsSIP as one script. */
async function bundle() {
	const outDir = await mkdtemp(join(tmpdir(), 'jssip-'));
	const entry = web.resolve('jssip');
	await build({
		configFile: false,
		logLevel: 'error',
		root: outDir,
		define: { 'process.env.NODE_ENV': '"production"' },
		build: {
			outDir,
			lib: {
				entry,
				name: 'JsSIP',
				formats: ['iife'],
				fileName: () => 'jssip.js',
			},
		},
	});
	const text = await readFile(join(outDir, 'jssip.js'), 'utf8');
	await rm(outDir, { recursive: true });
	return text;
}

const jssip = await bundle();
// Served by loopback: such a page gets the microphone, and may connect to loopback.
const server = createServer((_, answer) => {
	answer.setHeader('content-type', 'text/html');
	answer.end('<!doctype html><title>Phone</title><audio autoplay></audio>');
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = `http://localhost:${server.address().port}/`;
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
		// The test's own certificate for wss.
		'--ignore-certificate-errors',
		'--disable-background-networking',
		'--disable-component-update',
		'--no-first-run',
	],
});
const page = await browser.newPage();
page.setDefaultTimeout(STEP_MS);
page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
page.on('pageerror', (error) => said.push(`uncaught: ${error.message}`));
await page.exposeFunction('say', (line) => console.log(line));

let loads = 0;
async function load() {
	const server = options.servers[Math.min(loads++, options.servers.length - 1)];
	await page.goto(address);
	await page.addScriptTag({ content: jssip });
	const calls = loads > 1;
	await page.evaluate(run, {
		...options,
		server,
		calls,
		windows: WINDOWS,
		everyMs: WINDOW_EVERY_MS,
	});
}

/** Runs in the page. */
function run({ server, user, password, hears_hz, calls, windows, everyMs }) {
	const JsSIP = window.JsSIP.default ?? window.JsSIP;
	const ua = new JsSIP.UA({
		sockets: [new JsSIP.WebSocketInterface(server)],
		uri: `sip:${user}@${new URL(server).host}`,
		password,
		register: true,
		session_timers: false,
	});
	const mediaConstraints = { audio: true, video: false };
	ua.on('registered', async () => {
		await window.say(`registered ${server}`);
		if (calls) ua.call('desk', { mediaConstraints });
	});
	ua.on('registrationFailed', ({ cause }) => console.error(`not registered: ${cause}`));
	ua.on('newRTCSession', ({ session }) => {
		session.on('failed', ({ cause }) => console.error(`call failed: ${cause}`));
		session.on('confirmed', async () => {
			const [receiver] = session.connection.getReceivers();
			const stream = new MediaStream([receiver.track]);
			document.querySelector('audio').srcObject = stream;
			await hear(stream);
			if (calls) return;
			// Hold and back, each a re-INVITE that must be answered.
			await new Promise((resolve) => session.hold({}, resolve));
			await new Promise((resolve) => session.unhold({}, resolve));
			await window.say('held and back');
		});
		// The call comes without an offer: without this JsSIP would offer no audio.
		const rtcOfferConstraints = { offerToReceiveAudio: true };
		if (session.direction === 'incoming') session.answer({ mediaConstraints, rtcOfferConstraints });
	});
	ua.start();

	/** Waits for sound, then tells the tone's share in each window (Goertzel). */
	async function hear(stream) {
		const audio = new AudioContext();
		const analyser = new AnalyserNode(audio, { fftSize: 8192 });
		audio.createMediaStreamSource(stream).connect(analyser);
		const samples = new Float32Array(analyser.fftSize);
		// A whole number of periods of 10 Hz, so that the tone falls on one bin.
		const n = audio.sampleRate / 10;
		const coefficient = 2 * Math.cos((2 * Math.PI * hears_hz) / audio.sampleRate);
		const shares = [];
		while (shares.length < windows) {
			await new Promise((resolve) => setTimeout(resolve, everyMs));
			analyser.getFloatTimeDomainData(samples);
			let [energy, s1, s2] = [0, 0, 0];
			for (const x of samples.subarray(samples.length - n)) {
				energy += x * x;
				[s1, s2] = [x + coefficient * s1 - s2, s1];
			}
			const power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
			const share = energy / n < 1e-6 ? 0 : (2 * power) / (n * energy);
			// Silence before the call says nothing.
			if (share > 0 || shares.length > 0) shares.push(share);
		}
		await audio.close();
		await window.say(`heard ${JSON.stringify(shares)}`);
	}
}

async function fail(error) {
	console.error(error.message);
	for (const line of said) console.error(`the page's console: ${line}`);
	await page.screenshot({ path: options.screenshot }).catch(() => {});
	process.exit(1);
}

process.on('SIGUSR2', () => load().catch(fail));
process.on('SIGTERM', async () => {
	await browser.close();
	process.exit(0);
});
setInterval(() => said.splice(0).forEach((line) => console.error(`the page's console: ${line}`)), 500);
await load().catch(fail);
