// An agent sets up and uses a SIP phone at the desk, by keyboard. Says on its standard output what happens, a line each:
// `password TEXT`, `connected`, `hung_up TEXT`, `followed`, `done`. The phone itself is the test's.
//
// node desk.mjs '{"url", "username", "password", "screenshot"}'
import { createRequire } from 'node:module';

import { tellFailure } from '../browser/page.mjs';

const { chromium } = createRequire(new URL('../../web/package.json', import.meta.url))('playwright-core');

const options = JSON.parse(process.argv[2]);
const STEP_MS = 30_000;
const TABS = 40;

const said = [];
const browser = await chromium.launch({
	executablePath: '/usr/bin/chromium',
	args: [
		'--no-sandbox',
		'--disable-gpu',
		'--use-fake-device-for-media-stream',
		'--use-fake-ui-for-media-stream',
		'--allow-loopback-in-peer-connection',
		'--disable-background-networking',
		'--disable-component-update',
		'--no-first-run',
	],
});
const page = await browser.newPage({
	viewport: { width: 390, height: 844 },
	locale: 'en-US',
});
page.setDefaultTimeout(STEP_MS);
page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
page.on('pageerror', (error) => said.push(`uncaught: ${error.message}`));

const phone = (state) => page.locator(`[data-phone-state=${state}]`).waitFor();
const way = (name) => page.locator(`input[name=way][value=${name}]`);

try {
	await page.goto(options.url);
	await page.locator('input[name=username]').fill(options.username);
	await page.locator('input[name=password]').fill(options.password);
	await page.keyboard.press('Enter');
	await page.getByTestId('ready').waitFor();

	// The arrow keys move within the choice.
	await way('browser').focus();
	await page.keyboard.press('ArrowRight');
	await phone('none');
	await reach('phone-make');
	await page.keyboard.press('Enter');
	const secret = page.locator('[data-testid=phone-password] .secret');
	console.log(`password ${await secret.textContent()}`);

	await phone('registered');
	await reach('ready');
	await page.keyboard.press('Enter');
	await phone('connected');
	await page.locator('[data-agent-state=ready]').waitFor();
	// The choice is remembered, and the phone is neither hung up nor called again.
	await page.reload();
	await phone('connected');
	const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
	if (wide > 0) throw new Error(`the page is ${wide} pixels too wide`);
	console.log('connected');

	await phone('registered');
	console.log(`hung_up ${await page.getByRole('alert').first().textContent()}`);
	await reach('call-phone');
	await page.keyboard.press('Enter');
	await phone('connected');

	// Back to this browser, until the phone calls by itself. The choice is locked until the phone is heard.
	await page.locator('input[name=way][value=phone]:enabled').waitFor();
	await way('phone').focus();
	await page.keyboard.press('ArrowLeft');
	await page.locator('[data-leg-state=up]').waitFor();
	console.log('browser');
	await phone('connected');
	if (!(await way('phone').isChecked())) throw new Error('the choice does not show the phone');
	console.log('followed');
	await page.getByRole('button', { name: 'Sign out' }).focus();
	await page.keyboard.press('Enter');
	await page.locator('input[name=password]').waitFor();
	console.log('done');
} catch (error) {
	await tellFailure(error, said, [[options.screenshot, page]]);
} finally {
	await browser.close();
}

/** Tabs to an element, as a person without a mouse. */
async function reach(testId) {
	await page.getByTestId(testId).waitFor();
	for (let pressed = 0; pressed < TABS; pressed++) {
		if (await page.evaluate((id) => document.activeElement?.getAttribute('data-testid') === id, testId))
			return;
		await page.keyboard.press('Tab');
	}
	throw new Error(`${testId} is not reached by the Tab key`);
}
