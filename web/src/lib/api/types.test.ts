/** The types here are written by hand, and must say the same as docs/openapi.json, which the server's tests keep. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as types from './types';

interface Schema {
	enum?: string[];
	oneOf?: Schema[];
	const?: string;
	allOf?: Schema[];
	properties?: Record<string, unknown>;
	$ref?: string;
}
const { schemas } = (
	JSON.parse(readFileSync('../docs/openapi.json', 'utf8')) as {
		components: { schemas: Record<string, Schema> };
	}
).components;

const source = readFileSync('src/lib/api/types.ts', 'utf8');

/** The fields of an interface, those that it inherits included. */
function fieldsOf(name: string): string[] {
	const found = new RegExp(`interface ${name}(?:<T>)?(?: extends (\\w+))? \\{([^}]*)\\}`).exec(source);
	if (!found) throw new Error(`no interface ${name}`);
	const own = [...(found[2] ?? '').matchAll(/^\t(\w+)\??:/gm)].map((m) => m[1] ?? '');
	return [...(found[1] ? fieldsOf(found[1]) : []), ...own].sort();
}

function propertiesOf(schema: Schema | undefined): string[] {
	const inherited = (schema?.allOf ?? []).flatMap((part) =>
		part.$ref ? propertiesOf(schemas[part.$ref.split('/').pop() ?? '']) : propertiesOf(part),
	);
	return [...inherited, ...Object.keys(schema?.properties ?? {})].sort();
}

const valuesOf = (schema: Schema | undefined): string[] =>
	(
		schema?.enum ??
		schema?.oneOf?.flatMap((one) => one.enum ?? (one.const ? [one.const] : [])) ??
		[]
	).toSorted();

describe('fields', () => {
	it.each([
		['AgentView', 'AgentView'],
		['AgentDesk', 'Desk'],
		['CallView', 'CallView'],
		['CallDetail', 'CallDetail'],
		['CallQuality', 'CallQuality'],
		['CallRecord', 'CallRecord'],
		['CallingWindow', 'CallingWindow'],
		['Campaign', 'CampaignAnswer'],
		['CampaignSettings', 'CampaignSettings'],
		['CampaignView', 'CampaignView'],
		['Consent', 'Consent'],
		['Disposition', 'Disposition'],
		['DispositionRecord', 'DispositionRecord'],
		['DueLead', 'DueLead'],
		['IceServerSettings', 'IceServerSettings'],
		['IceSettings', 'IceSettings'],
		['ImportError', 'ImportError'],
		['ImportReport', 'ImportReport'],
		['LeadRecord', 'LeadRecord'],
		['LeadView', 'LeadView'],
		['LegFigures', 'LegFigures'],
		['LegRecord', 'LegRecord'],
		['Login', 'Login'],
		['NewLead', 'LeadRequest'],
		['Page', 'Listing_CallRecord'],
		['NationalCopy', 'NationalCopy'],
		['NumbersReport', 'NumbersReport'],
		['PausedSpan', 'PausedSpan'],
		['PhoneView', 'PhoneView'],
		['PreviewView', 'PreviewView'],
		['Problem', 'Problem'],
		['RecordingRecord', 'RecordingRecord'],
		['RetryRule', 'RetryRule'],
		['Snapshot', 'Snapshot'],
		['Suppression', 'Suppression'],
		['TrunkDetail', 'TrunkDetail'],
		['TrunkFailure', 'TrunkFailure'],
		['TrunkPlace', 'TrunkPlace'],
		['TrunkProfile', 'TrunkProfile'],
		['TrunkView', 'TrunkView'],
		['TryRecord', 'TryRecord'],
		['UnheardView', 'UnheardView'],
		['User', 'UserView'],
	])('%s', (ours, theirs) => {
		expect(fieldsOf(ours)).toEqual(propertiesOf(schemas[theirs]));
	});
});

describe('values', () => {
	it.each([
		['AgentState', types.AGENT_STATES],
		['CallState', types.CALL_STATES],
		['CampaignStatus', types.CAMPAIGN_STATUSES],
		['ConsentKind', types.CONSENT_KINDS],
		['FollowUp', types.FOLLOW_UPS],
		['Grade', types.GRADES],
		['LeadStatus', types.LEAD_STATUSES],
		['Mode', types.MODES],
		['Outcome', types.OUTCOMES],
		['PhoneProblem', types.PHONE_PROBLEMS],
		['PhoneState', types.PHONE_STATES],
		['IdentityKey', types.IDENTITIES],
		['NumberFormat', types.NUMBER_FORMATS],
		['Side', types.SIDES],
		['TransportKey', types.TRANSPORTS],
		['Unheard', types.UNHEARD],
	])('%s', (name, ours) => {
		expect([...ours].sort()).toEqual(valuesOf(schemas[name]));
	});
});
