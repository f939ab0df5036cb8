// Two agents and a supervisor in three Chromium browsers, each with a tone of its own for a microphone. The supervisor
// listens, whispers, barges in and moves on, by keyboard. Prints `phase NAME` when a phase begins and when it has ended
// `heard {"phase", "by"}`, where `by` has for each listener the shares of its windows by the speaker's tone.
//
// node supervise.mjs '{"url", "password", "people": {"ada": {"microphone", "hz"}, ...}, "caller_hz", "screenshot"}'
import { launch, tellFailure, toneShares } from './page.mjs';

const options = JSON.parse(process.argv[2]);
const STEP_MS = 20_000;
const WINDOWS = 24;
const WINDOW_EVERY_MS = 100;
const TABS = 60;

const said = [];
const browsers = [];
const pages = {};
const listener = { boss: '#supervised-audio' };

try {
	for (const [name, { microphone }] of Object.entries(options.people)) {
		const browser = await launch(microphone);
		browsers.push(browser);
		const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-US' });
		context.setDefaultTimeout(STEP_MS);
		pages[name] = await context.newPage();
		pages[name].on('console', (message) => said.push(`${name}: ${message.type()}: ${message.text()}`));
		pages[name].on('pageerror', (error) => said.push(`${name}: uncaught: ${error.message}`));
		await signIn(pages[name], name);
	}
	await shift();
	console.log('result {}');
} catch (error) {
	await tellFailure(error, said, Object.entries(pages).map(([name, page]) => [`${options.screenshot}_${name}.png`, page]));
} finally {
	for (const browser of browsers) await browser.close();
}

async function shift() {
	const { ada, bob, boss } = pages;
	// One call, for whoever is ready first.
	await ada.getByTestId('ready').click();
	await ada.locator('[data-call-state=talking]').waitFor();
	await bob.getByTestId('ready').click();
	await bob.locator('[data-agent-state=ready]').waitFor();

	await reach(boss, 'Listen to ada');
	await boss.keyboard.press('Enter');
	await boss.locator('[data-supervision=up]').waitFor();
	await phase('listen');
	await mode('whisper');
	await phase('whisper');
	await mode('barge');
	await phase('barge');
	await boss.screenshot({ path: `${options.screenshot}.png`, fullPage: true });
	await mode('listen');
	await phase('listen again');
	await reach(boss, 'Listen to bob');
	await boss.keyboard.press('Enter');
	await boss.getByText('Following bob').waitFor();
	await mode('whisper');
	await phase('on to bob');
	await boss.getByTestId('stop-supervising').click();
	await boss.locator('[data-supervision]').waitFor({ state: 'detached' });
	await phase('gone');
}

async function signIn(page, name) {
	await page.goto(options.url);
	await page.locator('input[name=username]').fill(name);
	await page.locator('input[name=password]').fill(options.password);
	await page.keyboard.press('Enter');
	await page.locator('input[name=password]').waitFor({ state: 'detached' });
}

/** Tabs to a button, as a person without a mouse. */
async function reach(page, label) {
	await page.getByRole('button', { name: label }).waitFor();
	for (let pressed = 0; pressed < TABS; pressed++) {
		if (await page.evaluate((l) => document.activeElement?.getAttribute('aria-label') === l, label)) return;
		await page.keyboard.press('Tab');
	}
	throw new Error(`${label} is not reached by the Tab key`);
}

async function mode(value) {
	const told = pages.boss.waitForResponse((r) => r.request().method() === 'PUT');
	await pages.boss.locator(`input[value=${value}]`).focus();
	await pages.boss.keyboard.press('Space');
	const status = (await told).status();
	if (status !== 204) throw new Error(`${value}: status ${status}`);
}

async function phase(name) {
	// What was said before is still on its way for a moment: jitter buffers hold up to 200 ms.
	await new Promise((resolve) => setTimeout(resolve, 600));
	console.log(`phase ${name}`);
	const tones = Object.entries(options.people).map(([speaker, { hz }]) => [speaker, hz]);
	tones.push(['caller', options.caller_hz]);
	const by = {};
	await Promise.all(
		Object.entries(pages).map(async ([who, page]) => {
			const element = listener[who] ?? '#caller-audio';
			const heard = tones.map(async ([speaker, hz]) => {
				if (!(await page.locator(element).count())) return [speaker, []];
				return [speaker, await page.evaluate(toneShares, [hz, WINDOWS, WINDOW_EVERY_MS, element])];
			});
			by[who] = Object.fromEntries(await Promise.all(heard));
		}),
	);
	console.log(`heard ${JSON.stringify({ phase: name, by })}`);
}
