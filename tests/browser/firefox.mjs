// An agent's call in Firefox, driven by Marionette, its own protocol for that (what geckodriver speaks to it): lengths and
// JSON over TCP. Prints what it saw as the line `result {...}`.
//
// node firefox.mjs '{"url", "username", "password", "hears_hz", "speaks_hz", "disposition", "port", "profile"}'
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';

import { recordedToneShares } from './page.mjs';

const options = JSON.parse(process.argv[2]);
const START_MS = 60_000;
const STEP_MS = 30_000;
const EVERY_MS = 100;
const RECORDING_MS = 3_000;
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';
/** The key, as WebDriver names it. */
const ENTER = '\uE007';

const preferences = {
	'marionette.port': options.port,
	// A microphone that gives a tone, and that nobody needs to allow.
	'media.navigator.streams.fake': true,
	'media.navigator.audio.fake_frequency': options.speaks_hz,
	'media.navigator.permission.disabled': true,
	'media.autoplay.default': 0,
	'media.peerconnection.ice.obfuscate_host_addresses': false,
	'intl.accept_languages': 'en-US',
	'browser.shell.checkDefaultBrowser': false,
	'browser.startup.homepage_override.mstone': 'ignore',
	'datareporting.policy.dataSubmissionEnabled': false,
	'app.update.auto': false,
	'network.captive-portal-service.enabled': false,
	'network.connectivity-service.enabled': false,
};
mkdirSync(options.profile, { recursive: true });
const lines = Object.entries(preferences).map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});`);
writeFileSync(`${options.profile}/user.js`, lines.join('\n'));
const firefox = spawn(
	'firefox-esr',
	['--headless', '--marionette', '--no-remote', '--profile', options.profile, 'about:blank'],
	{ stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, HOME: options.profile } },
);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The connection: commands are answered in their order. */
class Marionette {
	#socket;
	#input = Buffer.alloc(0);
	#waiting = [];
	#last = 0;

	static async open(port) {
		for (let waited = 0; ; waited += EVERY_MS) {
			const socket = await new Promise((resolve) => {
				const tried = connect(port, '127.0.0.1', () => resolve(tried));
				tried.once('error', () => resolve(null));
			});
			if (socket) {
				const session = new Marionette();
				session.#socket = socket;
				const greeting = session.#next();
				socket.on('data', (bytes) => session.#take(bytes));
				await greeting;
				return session;
			}
			if (waited > START_MS) throw new Error('Firefox does not listen');
			await sleep(EVERY_MS);
		}
	}

	async do(name, parameters = {}) {
		const answer = this.#next();
		const text = JSON.stringify([0, ++this.#last, name, parameters]);
		this.#socket.write(`${Buffer.byteLength(text)}:${text}`);
		const [, , error, result] = await answer;
		if (error) throw new Error(`${name}: ${error.error}: ${error.message}`);
		return result;
	}

	/** What a function gives in the page. */
	async run(fn, ...args) {
		const script = `return (${fn}).apply(null, arguments);`;
		return (await this.do('WebDriver:ExecuteScript', { script, args })).value;
	}

	/** The element of a selector, once there is one. */
	async find(selector) {
		for (let waited = 0; ; waited += EVERY_MS) {
			try {
				const found = await this.do('WebDriver:FindElement', { using: 'css selector', value: selector });
				return found.value[ELEMENT];
			} catch (error) {
				if (waited > STEP_MS) throw error;
			}
			await sleep(EVERY_MS);
		}
	}

	async click(selector) {
		await this.do('WebDriver:ElementClick', { id: await this.find(selector) });
	}

	async type(selector, text) {
		await this.do('WebDriver:ElementSendKeys', { id: await this.find(selector), text });
	}

	end() {
		this.#socket.destroy();
	}

	#next() {
		return new Promise((resolve) => this.#waiting.push(resolve));
	}

	#take(bytes) {
		this.#input = Buffer.concat([this.#input, bytes]);
		for (;;) {
			const colon = this.#input.indexOf(':');
			const length = Number(this.#input.subarray(0, colon).toString());
			if (colon < 0 || this.#input.length < colon + 1 + length) return;
			const message = JSON.parse(this.#input.subarray(colon + 1, colon + 1 + length).toString());
			this.#input = this.#input.subarray(colon + 1 + length);
			this.#waiting.shift()?.(message);
		}
	}
}

let page;
try {
	page = await Marionette.open(options.port);
	const { capabilities } = await page.do('WebDriver:NewSession', {});
	await page.do('WebDriver:SetTimeouts', { script: 2 * STEP_MS, pageLoad: START_MS });
	await page.do('WebDriver:Navigate', { url: options.url });
	await page.type('input[name=username]', options.username);
	await page.type('input[name=password]', options.password + ENTER);
	await page.click('[data-testid=ready]');
	await page.find('[data-call-state=talking]');
	const heading = await page.run(() => document.querySelector('[data-call-state] h1').textContent);
	const shares = await page.run(recordedToneShares, [options.hears_hz, RECORDING_MS]);
	await page.click('[data-testid=hangup]');
	await page.find('[data-agent-state=wrap_up]');
	await page.run((name) => {
		const labels = [...document.querySelectorAll('label')];
		labels.find((label) => label.textContent.trim().startsWith(name)).click();
	}, options.disposition);
	await page.click('[data-testid=save-finish]');
	await page.find('[data-agent-state=ready]');
	console.log(`result ${JSON.stringify({ version: capabilities.browserVersion, heading, shares })}`);
} catch (error) {
	console.error(error.message);
	const text = await page?.run(() => document.body.innerText).catch(() => '');
	console.error(`the page says: ${text}`);
	process.exitCode = 1;
} finally {
	await page?.do('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => {});
	page?.end();
	firefox.kill('SIGKILL');
}
