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

const source = ['types', 'carriers', 'compliance', 'people']
	.map((file) => readFileSync(`src/lib/api/${file}.ts`, 'utf8'))
	.join('\n');

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
		['Callback', 'Callback'],
		['CallbackView', 'CallbackView'],
		['Campaign', 'CampaignAnswer'],
		['CampaignSettings', 'CampaignSettings'],
		['CallerIdPool', 'CallerIdPool'],
		['CallerIdPoolView', 'CallerIdPoolView'],
		['CallerIdUse', 'CallerIdUse'],
		['CallerIdView', 'CallerIdView'],
		['CampaignView', 'CampaignView'],
		['Consent', 'Consent'],
		['Disposition', 'Disposition'],
		['DispositionRecord', 'DispositionRecord'],
		['DueLead', 'DueLead'],
		['CallPart', 'CallPart'],
		['ErasedView', 'ErasedView'],
		['ForcedView', 'ForcedView'],
		['GroupMember', 'GroupMember'],
		['IceServerSettings', 'IceServerSettings'],
		['IceSettings', 'IceSettings'],
		['ImportError', 'ImportError'],
		['ImportRecord', 'ImportRecord'],
		['ImportReport', 'ImportReport'],
		['Labels', 'Labels'],
		['LeadPhone', 'LeadPhone'],
		['LeadPick', 'LeadPick'],
		['LeadRecord', 'LeadRecord'],
		['LeadView', 'LeadView'],
		['LegFigures', 'LegFigures'],
		['LegRecord', 'LegRecord'],
		['ListSettings', 'ListSettings'],
		['ListView', 'ListView'],
		['Login', 'Login'],
		['MachineChecks', 'MachineChecks'],
		['NewLead', 'LeadRequest'],
		['NewPhone', 'PhoneRequest'],
		['Page', 'Listing_CallRecord'],
		['NationalCopy', 'NationalCopy'],
		['NumbersReport', 'NumbersReport'],
		['PausedSpan', 'PausedSpan'],
		['PauseReason', 'PauseReason'],
		['Person', 'Person'],
		['PhoneView', 'PhoneView'],
		['PreviewView', 'PreviewView'],
		['Problem', 'Problem'],
		['Quarantine', 'Quarantine'],
		['PromptRecord', 'PromptRecord'],
		['RecordingRecord', 'RecordingRecord'],
		['Reason', 'Reason'],
		['RetryRule', 'RetryRule'],
		['ShiftWindow', 'ShiftWindow'],
		['Skill', 'Skill'],
		['Snapshot', 'Snapshot'],
		['Suppression', 'Suppression'],
		['Team', 'Team'],
		['TeamSettings', 'TeamSettings'],
		['TrunkDetail', 'TrunkDetail'],
		['TrunkFailure', 'TrunkFailure'],
		['TrunkGroup', 'TrunkGroup'],
		['TrunkGroupView', 'TrunkGroupView'],
		['TrunkPlace', 'TrunkPlace'],
		['TrunkProfile', 'TrunkProfile'],
		['TrunkView', 'TrunkView'],
		['TryRecord', 'TryRecord'],
		['UnheardView', 'UnheardView'],
		['User', 'UserView'],
		['WhyView', 'WhyView'],
	])('%s', (ours, theirs) => {
		expect(fieldsOf(ours)).toEqual(propertiesOf(schemas[theirs]));
	});
});

describe('values', () => {
	it.each([
		['AgentState', types.AGENT_STATES],
		['CallState', types.CALL_STATES],
		['CallerIdState', types.CALLER_ID_STATES],
		['CampaignStatus', types.CAMPAIGN_STATUSES],
		['Comparison', types.COMPARISONS],
		['ConsentKind', types.CONSENT_KINDS],
		['Dedupe', types.DEDUPES],
		['FollowUp', types.FOLLOW_UPS],
		['Grade', types.GRADES],
		['ImportState', types.IMPORT_STATES],
		['LeadStatus', types.LEAD_STATUSES],
		['ListOrder', types.LIST_ORDERS],
		['Mix', types.MIXES],
		['Mode', types.MODES],
		['Outcome', types.OUTCOMES],
		['PhoneProblem', types.PHONE_PROBLEMS],
		['PhoneState', types.PHONE_STATES],
		['PhoneStatus', types.PHONE_STATUSES],
		['Prospect', types.PROSPECTS],
		['IdentityKey', types.IDENTITIES],
		['NumberFormat', types.NUMBER_FORMATS],
		['Routing', types.ROUTINGS],
		['QuarantineReason', types.QUARANTINE_REASONS],
		['Rotation', types.ROTATIONS],
		['Side', types.SIDES],
		['TransportKey', types.TRANSPORTS],
		['TrunkLimit', types.TRUNK_LIMITS],
		['Unheard', types.UNHEARD],
	])('%s', (name, ours) => {
		expect([...ours].sort()).toEqual(valuesOf(schemas[name]));
	});
});
