// An agent's shift in Chromium, done as a person would, mostly by keyboard. Prints what it saw as the line
// `result {...}`. When something does not happen in time: the page's console, a screenshot, exit code 1.
//
// node agent.mjs '{"url", "username", "password", "microphone", "hears_hz", "preview", "disposition", "screenshot"}'
//
// With "restarts" ICE is begun anew in the call. With "trickles" the candidates, which the offer does not
// have yet, are sent after the answer. With "only_tcp" the page is told of our candidates over TCP alone, as if its network let no UDP out. With "vanishes" the
// browser is killed in the call, and the line `vanished {...}` says what it heard until then.
import { launchServer, tellFailure, toneShares } from './page.mjs';

const options = JSON.parse(process.argv[2]);
const STEP_MS = 20_000;
/** Analysed windows, one after the other, and how far apart they are. */
const WINDOWS = 25;
const WINDOW_EVERY_MS = 100;
const TABS = 40;

const said = [];
const { server, browser } = await launchServer(options.microphone);
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-US' });
context.setDefaultTimeout(STEP_MS);
const page = await context.newPage();
page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
page.on('pageerror', (error) => said.push(`uncaught: ${error.message}`));

try {
	const result = await shift();
	if (result) console.log(`result ${JSON.stringify(result)}`);
} catch (error) {
	await tellFailure(error, said, [[options.screenshot, page]]);
} finally {
	await browser.close().catch(() => {});
	await server.close().catch(() => {});
}

async function shift() {
	await page.addInitScript(keepConnections);
	if (options.only_tcp) await page.route('**/api/agent/session**', withoutUdp);
	const wrong = await signIn();

	// Everything is reached by keyboard.
	await reach('ready');
	const isOpening = (r) => r.request().method() === 'POST' && r.url().endsWith('/api/agent/session');
	const opened = options.trickles && page.waitForResponse(isOpening);
	await page.keyboard.press('Enter');
	const trickled = opened ? await trickle(await opened) : null;
	const previewed = options.preview ? await preview() : null;
	const called = Date.now();
	await page.locator('[data-call-state=talking]').waitFor();
	const waited_ms = Date.now() - called;
	const arrival = await page.getByTestId('arrival').textContent();
	const heading = await page.locator('[data-call-state] h1').textContent();
	const heard = await listen();
	if (options.vanishes) {
		// All of its processes at once: none can say good-bye.
		process.kill(-server.process().pid, 'SIGKILL');
		console.log(`vanished ${JSON.stringify({ heard })}`);
		return null;
	}

	const restarted = options.restarts ? await restart() : null;

	// A reload loses neither the call nor its audio.
	await page.reload();
	await page.locator('[data-call-state=talking]').waitFor();
	await page.locator('[data-leg-state=up]').waitFor();
	const heard_after_reload = await listen();

	await reach('hangup');
	await page.keyboard.press('Enter');
	await page.locator('[data-agent-state=wrap_up]').waitFor();
	await page.getByRole('radio', { name: options.disposition }).focus();
	await page.keyboard.press('Space');
	await reach('save-finish');
	await page.keyboard.press('Enter');
	await page.locator('[data-agent-state=ready]').waitFor();

	const closed = page.waitForResponse(
		(r) => r.request().method() === 'DELETE' && r.url().includes('/api/agent/session/'),
	);
	await page.getByRole('button', { name: 'Sign out' }).focus();
	await page.keyboard.press('Enter');
	const closed_status = (await closed).status();
	await page.locator('input[name=password]').waitFor();
	const states = await page.evaluate(() => window.connections.map((c) => c.connectionState));
	return { wrong, previewed, waited_ms, arrival, heading, heard, restarted, heard_after_reload, trickled, closed_status, states, said };
}

/** The network is another one: the page restarts ICE on the connection that it has, and the call goes on. */
async function restart() {
	const seen = () =>
		page.evaluate(() => ({
			connections: window.connections.length,
			ufrag: window.connections.at(-1).remoteDescription.sdp.match(/a=ice-ufrag:(\S+)/)[1],
		}));
	const before = await seen();
	const answered = page.waitForResponse(
		(r) => r.request().method() === 'PATCH' && r.url().includes('/api/agent/session/'),
	);
	await page.evaluate(() => window.dispatchEvent(new Event('online')));
	const status = (await answered).status();
	await page.locator('[data-leg-state=up]').waitFor();
	return { status, before, after: await seen(), heard: await listen() };
}

/** Takes the candidates over UDP out of the server's answer. */
async function withoutUdp(route) {
	const response = await route.fetch();
	const lines = (await response.text()).split('\r\n');
	const kept = lines.filter((line) => !/^a=candidate:\S+ 1 udp /i.test(line));
	await route.fulfill({ response, body: kept.join('\r\n') });
}

/** Sends the candidates after the answer, one at a time and then the end of them (RFC 8840 §9). */
async function trickle(opened) {
	if (opened.request().postData().includes('a=candidate:')) throw new Error('the offer had candidates already');
	const given = [opened.headers().location, opened.request().headers().authorization];
	return page.evaluate(async ([location, authorization]) => {
		const connection = window.connections.at(-1);
		while (connection.iceGatheringState !== 'complete') await new Promise((resolve) => setTimeout(resolve, 20));
		const lines = connection.localDescription.sdp.split('\r\n');
		const named = (name) => lines.find((line) => line.startsWith(name));
		const head = [named('a=ice-ufrag:'), named('a=ice-pwd:'), named('m=audio '), named('a=mid:')];
		const candidates = lines.filter((line) => line.startsWith('a=candidate:'));
		const statuses = [];
		for (const line of [...candidates, 'a=end-of-candidates']) {
			const response = await fetch(location, {
				method: 'PATCH',
				headers: { authorization, 'content-type': 'application/trickle-ice-sdpfrag' },
				body: [...head, line, ''].join('\r\n'),
			});
			statuses.push(response.status);
		}
		return { candidates: candidates.length, statuses };
	}, given);
}

/** First with a wrong password, then with the right one; gives what the page said to the wrong one. */
async function signIn() {
	await page.goto(options.url);
	await page.locator('input[name=username]').fill(options.username);
	await page.locator('input[name=password]').fill(`not ${options.password}`);
	await page.keyboard.press('Enter');
	const wrong = await page.getByRole('alert').first().textContent();
	await page.locator('input[name=password]').fill(options.password);
	await page.keyboard.press('Enter');
	await page.getByTestId('ready').waitFor();
	return wrong;
}

/** Reads the next lead, also after a reload, then dials it by the key for it. */
async function preview() {
	const name = page.locator('[data-preview] h1');
	const heading = await name.textContent();
	await page.reload();
	const after_reload = await name.textContent();
	await page.locator('[data-leg-state=up]').waitFor();
	await page.keyboard.press('Alt+d');
	await page.locator('[data-preview]').waitFor({ state: 'detached' });
	return { heading, after_reload };
}

/** Tabs to an element, as a person without a mouse. */
async function reach(testId) {
	await page.getByTestId(testId).waitFor();
	for (let pressed = 0; pressed < TABS; pressed++) {
		if (await page.evaluate((id) => document.activeElement?.getAttribute('data-testid') === id, testId)) return;
		await page.keyboard.press('Tab');
	}
	throw new Error(`${testId} is not reached by the Tab key`);
}

/** What the agent hears now: the tone's share in what the page plays, and the connection's counters. */
async function listen() {
	const before = await page.evaluate(counters);
	const shares = await page.evaluate(toneShares, [options.hears_hz, WINDOWS, WINDOW_EVERY_MS]);
	const after = await page.evaluate(counters);
	return { shares, before, after };
}

/** Runs in the page before its own scripts: keeps its connections, so that they can be asked for statistics. */
function keepConnections() {
	const Connection = window.RTCPeerConnection;
	window.connections = [];
	window.RTCPeerConnection = class extends Connection {
		constructor(...given) {
			super(...given);
			window.connections.push(this);
		}
	};
}

/** Runs in the page. */
async function counters() {
	const found = {};
	const stats = await window.connections.at(-1).getStats();
	const all = [...stats.values()];
	const pair = all.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
	const local = all.find((s) => s.id === pair?.localCandidateId);
	found.way = local && { type: local.candidateType, protocol: local.protocol, relay: local.relayProtocol };
	found.remote_protocol = all.find((s) => s.id === pair?.remoteCandidateId)?.protocol;
	for (const s of stats.values()) {
		if (s.type === 'inbound-rtp') {
			found.received = s.packetsReceived;
			found.lost = s.packetsLost;
			found.level = s.audioLevel;
			found.jitter_buffer_ms = (1000 * s.jitterBufferDelay) / s.jitterBufferEmittedCount;
		}
		if (s.type === 'outbound-rtp') found.sent = s.packetsSent;
		if (s.type === 'media-source') found.microphone_level = s.audioLevel;
		if (s.type === 'candidate-pair' && s.nominated) found.round_trip_ms = 1000 * s.currentRoundTripTime;
		if (s.type === 'codec') found.codec = s.mimeType;
	}
	return found;
}
