// A manager's round through the console in Chromium: teams, caller ids, prompts, lists, numbers not to call. On each page something
// is made in a wide window, after an entry that is refused, and changed in one of 390 px. Prints the line `result {...}`; when
// something does not happen in time, the page's console, a screenshot and exit code 1.
//
// node console.mjs '{"url", "username", "password", "campaign", "screenshot"}'
import { readFileSync } from 'node:fs';
import { launch, tellFailure } from './page.mjs';

const options = JSON.parse(process.argv[2]);
const STEP_MS = 10_000;
/** More than any page has. */
const TABS = 120;
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 390, height: 844 };

const said = [];
const browser = await launch('');
const context = await browser.newContext({ viewport: WIDE, locale: 'en-US' });
context.setDefaultTimeout(STEP_MS);
const page = await context.newPage();
page.on('pageerror', (error) => said.push(`uncaught: ${error.message}`));
const button = (name) => page.getByRole('button', { name, exact: true });
const field = (name, within = page) => within.getByLabel(name, { exact: true });
/** How far each page is wider than its window, in px. */
const wider = {};
const took_ms = {};

try {
	await page.goto(options.url);
	await page.locator('input[name=username]').fill(options.username);
	await page.locator('input[name=password]').fill(options.password);
	await page.keyboard.press('Enter');
	const seen = {};
	for (const [name, visit] of Object.entries({ teams, pools, held, lists, prompts, suppressions })) {
		const began = Date.now();
		seen[name] = await visit();
		took_ms[name] = Date.now() - began;
	}
	console.log(`result ${JSON.stringify({ ...seen, wider, said, took_ms })}`);
} catch (error) {
	await tellFailure(error, said, [[options.screenshot, page]]);
} finally {
	await browser.close().catch(() => {});
}

async function teams() {
	await open('Teams');
	await press('New team');
	const form = page.locator('form');
	await field('Time zone', form).fill('Mars/Base');
	await field('Name', form).fill('North');
	await page.keyboard.press('Enter');
	const refused = await fault('Time zone', form);
	await field('Time zone', form).fill('Europe/Prague');
	await tick('Ada');
	await press('Save team', 'Save');
	const made = await page.getByRole('list', { name: 'Tree of teams' }).getByRole('listitem').first().innerText();

	await narrow('teams');
	await press('Change: North');
	await field('Name', form).fill('North-East');
	await measure('team form');
	await page.keyboard.press('Enter');
	await page.getByText('North-East', { exact: true }).waitFor();
	return { refused, made };
}

async function pools() {
	await open('Caller ids');
	await press('New pool');
	await field('Name').fill('East');
	await field('Numbers').fill('12');
	await press('Save pool');
	const refused = await fault('Numbers');
	await field('Numbers').fill('+12025550100, +12025550101');
	await press('Save pool');
	const section = page.getByRole('region', { name: 'East' });
	const good = section.getByText('may be shown', { exact: false }).first();
	const made = await good.innerText();

	await narrow('caller ids');
	await press('Change');
	for (const day of await page.getByRole('group', { name: 'Rests on' }).getByRole('checkbox').all()) {
		await day.focus();
		await page.keyboard.press('Space');
	}
	await measure('pool form');
	await press('Save pool');
	const rests = section.getByText('0 of 2 may be shown');
	await rests.waitFor();
	return { refused, made, changed: await rests.innerText() };
}

/** The campaign that shows only these numbers says so as soon as it does; a manager changes it elsewhere. */
async function held() {
	await open('Campaigns');
	await page.getByRole('link', { name: 'Spring' }).first().click();
	console.log('looks at the campaign');
	const notice = page.getByRole('status').filter({ hasText: 'no caller id may be shown now' });
	await notice.waitFor();
	const said = { en: await notice.innerText() };
	const shown = page.locator('.notice').filter({ hasText: 'East' });
	for (const language of ['es', 'cs', 'en']) {
		await page.getByTestId('language').selectOption(language);
		await page.waitForFunction((l) => document.documentElement.lang === l, language);
		said[language] = await shown.innerText();
		await measure(`wide, ${language}`);
	}
	await narrow('campaign');
	return said;
}

async function lists() {
	await page.getByRole('link', { name: 'Leads', exact: true }).click();
	await press('Make a list');
	const dialog = page.getByRole('dialog');
	await field('Name', dialog).fill('Warm');
	await tick('Only some of its leads');
	await field('Field', dialog).fill('shoe size');
	await field('Text', dialog).fill('44');
	await page.keyboard.press('Enter');
	const refused = await fault('Field', dialog);
	await field('Field', dialog).fill('state');
	await field('Text', dialog).fill('NY');
	await page.keyboard.press('Enter');
	await dialog.waitFor({ state: 'hidden' });
	const row = page.getByRole('listitem').filter({ hasText: 'Warm' });
	const made = await row.innerText();

	// A file with one good line and one bad.
	const csv = 'phone,state\n+12125550177,NY\n12,NY\n';
	const file = { name: 'warm.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) };
	await page.locator('input[type=file]').setInputFiles(file);
	await field('Into the list').fill('Warm');
	await page.getByTestId('import-start').focus();
	await page.keyboard.press('Enter');
	const errors = await page.getByRole('group', { name: 'Lines that were rejected' }).innerText();

	await narrow('lists');
	await row.getByRole('button', { name: 'Change' }).focus();
	await page.keyboard.press('Enter');
	await tick('Dial this list');
	await measure('list dialog');
	await press('Save');
	await row.getByText('Not dialed').waitFor();
	return { refused, made, errors };
}

async function prompts() {
	await open('Prompts');
	const choose = (name, buffer) =>
		page.getByTestId('prompt-file').setInputFiles({ name, mimeType: 'audio/wav', buffer });
	await choose('notes.wav', Buffer.from('This is no sound.'));
	await press('Upload');
	const refused = await page.getByRole('alert').innerText();
	await choose('hello.wav', wav(2));
	await field('Name').fill('Hello');
	await page.keyboard.press('Enter');
	const row = page.getByRole('row').filter({ hasText: 'Hello' });
	const made = await row.innerText();

	await narrow('prompts');
	await press('Delete prompt: Hello');
	await page.getByRole('dialog').getByRole('button', { name: 'Delete prompt' }).focus();
	await page.keyboard.press('Enter');
	await row.waitFor({ state: 'hidden' });
	// One that the server does not read: the browser makes a WAV of it.
	await choose('tone.ogg', readFileSync(new URL('tone.ogg', import.meta.url)));
	await press('Upload');
	const converted = await page.getByRole('row').filter({ hasText: 'tone' }).innerText();
	return { refused, made, converted };
}

async function suppressions() {
	await open('Do not call');
	const own = page.getByRole('region', { name: 'Your own lists' });
	await field('Phone', own).fill('12');
	await page.keyboard.press('Enter');
	const refused = await fault('Phone', own);
	await field('Phone', own).fill('+12125550188');
	await field('Reason', own).fill('asked us');
	await page.keyboard.press('Enter');
	const row = page.getByRole('row').filter({ hasText: '+12125550188' });
	const made = await row.innerText();

	await narrow('suppressions');
	await field('Whose list').selectOption({ label: 'Spring' });
	await own
		.locator('input[type=file]')
		.setInputFiles({ name: 'n.txt', mimeType: 'text/plain', buffer: Buffer.from('+12125550189\nnobody\n') });
	const report = await own.getByText('1 lines rejected', { exact: false }).innerText();
	await page.getByRole('row').filter({ hasText: '+12125550189' }).waitFor();
	return { refused, made, report };
}

/** By the navigation, in a wide window. */
async function open(name) {
	await page.setViewportSize(WIDE);
	await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
	await page.getByRole('heading', { level: 1, name }).waitFor();
}

/** The window of a telephone, with what is on the page. */
async function narrow(what) {
	await page.setViewportSize(NARROW);
	await measure(what);
}

async function measure(what) {
	wider[what] = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}

/** A button is found with Tab and pressed with Enter. */
async function press(...names) {
	for (let tab = 0; tab < TABS; tab++) {
		const name = await page.evaluate(() => {
			const at = document.activeElement;
			return at?.tagName === 'BUTTON' ? (at.getAttribute('aria-label') ?? at.textContent).trim() : '';
		});
		if (names.includes(name)) return page.keyboard.press('Enter');
		await page.keyboard.press('Tab');
	}
	throw new Error(`Tab does not lead to ${names.join(' or ')}`);
}

/** A check box is changed by keyboard. */
async function tick(name) {
	await page.getByRole('checkbox', { name, exact: true }).focus();
	await page.keyboard.press('Space');
}

/** What a field says is wrong with it, by the description that a screen reader is given. */
async function fault(name, within = page) {
	const input = within.getByLabel(name, { exact: true }).and(page.locator('[aria-invalid=true]'));
	await input.waitFor();
	return input.evaluate((at) =>
		at
			.getAttribute('aria-describedby')
			.split(' ')
			.map((id) => document.getElementById(id).textContent)
			.join(' '),
	);
}

/** A tone of so many seconds, 8 kHz, 16 bits. */
function wav(seconds) {
	const samples = seconds * 8_000;
	const file = Buffer.alloc(44 + samples * 2);
	file.write('RIFF', 0);
	file.writeUInt32LE(36 + samples * 2, 4);
	file.write('WAVEfmt ', 8);
	file.writeUInt32LE(16, 16);
	file.writeUInt16LE(1, 20);
	file.writeUInt16LE(1, 22);
	file.writeUInt32LE(8_000, 24);
	file.writeUInt32LE(16_000, 28);
	file.writeUInt16LE(2, 32);
	file.writeUInt16LE(16, 34);
	file.write('data', 36);
	file.writeUInt32LE(samples * 2, 40);
	for (let i = 0; i < samples; i++) {
		file.writeInt16LE(Math.round(8_000 * Math.sin((2 * Math.PI * 440 * i) / 8_000)), 44 + i * 2);
	}
	return file;
}
