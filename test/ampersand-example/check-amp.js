/*
 * check-amp.js EXAMPLE OPTIONS.MD MANIFESTS.OUT - looks whether amp.yaml of the example and those that
 * ampsf.manifest() wrote keep the rules, whether each rule notices a file that breaks it, and whether the page's
 * settings and statements fit.
 *
 * out/ holds the page's own modules as JavaScript: run.sh makes them.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { check } from './amp-rules.js';
import { createServer } from './out/sql.js';
import { readSettings } from './out/settings.js';

const [example, optionsFile, expected] = process.argv.slice(2);
const amp = readFileSync(`${example}/amp.yaml`, 'utf8');
let passed = 0;
let failed = 0;

function ok(good, name, why = '')
{
	console.log(`${good ? 'ok' : 'not ok'} - ${name}${good || !why ? '' : `\n# ${String(why).replace(/\n/g, '\n# ')}`}`);
	if (good) passed++;
	else failed++;
}
const told = (found) => found.map((f) => `amp.yaml:${f.line} ${f.path} ${f.rule}: ${f.message}`).join('\n');

ok(check(amp).length === 0, 'amp.yaml keeps the rules', told(check(amp)));

/* psql's output: from the first line of a manifest to what is not one of its lines. */
const written = readFileSync(expected, 'utf8').match(/^specVersion: .*\nintegrations:\n(?: +\S.*\n)+/gm) ?? [];
ok(written.length > 0 && written.every((text) => check(text).length === 0), `ampsf.manifest() keeps them too: ${written.length}`,
	written.length ? written.map((text) => told(check(text))).join('\n') : `there is none in ${expected}`);

/* One edit each: what it breaks must be told, and nothing else. */
const account = /        - objectName: account\n          destination[^]*?days: 0\n/.exec(amp)[0];
const subscribe = (object) => (t) => t.replace('\n  # Marketing', `    subscribe:\n      objects:\n${object}\n  # Marketing`);
const watched = (update) => subscribe(`        - objectName: account
          destination: postgresql
          inheritFieldsAndMapping: true
          updateEvent:
            enabled: always
${update}`);
const uncomment = (t) => t.replace(/^( *)#-/gm, '$1');
const edits = [
	['yaml', (t) => t.replace('provider: salesforce', 'provider: "salesforce')],
	['spec-version', (t) => t.replace('1.0.0', '2.0.0')],
	['spec-version', (t) => t.replace(/^specVersion.*\n/m, '')],
	['required-field', (t) => t.replace('  - name: salesforce\n    displayName', '  - displayName')],
	['required-field', (t) => t.replace('        - objectName: lead\n', '        - inheritMapping: true\n')],
	['required-field', (t) => t.replace('          destination: postgresql\n', '')],
	['required-field', (t) => t.replace('          schedule: "*/30 * * * *"\n', '')],
	['required-field', (t) => t.replace('- fieldName: name', '- mapToDisplayName: Name')],
	['unknown-key', (t) => t.replace('optionalFieldsAuto', 'optionalFieldAuto')],
	['type', (t) => t.replace('enabled: true', 'enabled: often')],
	['empty-list', (t) => t.replace(account, '').replace(/( +)objects:\n +- objectName: contact\n +destination[^]*?days: 0\n/, '$1objects: []\n')],
	['provider-not-supported', (t) => t.replace('provider: salesforce', 'provider: salesfroce')],
	['provider-module', (t) => t.replace('module: crm', 'module: marketing-cloud')],
	['provider-capability-proxy', uncomment],
	['integration-structure', (t) => `${t}  - name: third\n    provider: salesforce\n`],
	['duplicate-integration', (t) => t.replace('name: account-engagement', 'name: salesforce')],
	['duplicate-read-object', (t) => t.replace(account, account + account.replace('account', 'Account'))],
	['duplicate-write-object', (t) => t.replace('- objectName: lead', '- objectName: contact')],
	['duplicate-field-mapping', (t) => t.replace('- fieldName: lastname', '- fieldName: lastname\n              mapToName: n')
		.replace('- fieldName: email', '- fieldName: email\n              mapToName: n')],
	['schedule-syntax', (t) => t.replace('*/30 * * * *', '*/30 * * *')],
	['schedule-syntax', (t) => t.replace('*/30 * * * *', '*/30 24 * * *')],
	['schedule-minimum-interval', (t) => t.replace('*/30 * * * *', '* * * * *')],
	['schedule-minimum-interval', (t) => t.replace('*/30 * * * *', '*/9 * * * *')],
	['schedule-minimum-interval', (t) => t.replace('*/30 * * * *', '5,55,59 1 * * *')],
	['schedule-minimum-interval', (t) => t.replace('*/30 * * * *', '2,55 * * * *')],
	['backfill-config', (t) => t.replace('days: 0', 'days: 0\n              fullHistory: true')],
	['type', (t) => t.replace('days: 0', 'days: -1')],
	['delivery-mode', (t) => t.replace('optionalFieldsAuto', 'delivery:\n            mode: auto\n            pageSize: 100\n          optionalFieldsAuto')],
	['delivery-mode', (t) => t.replace('optionalFieldsAuto', 'delivery:\n            mode: onRequest\n            pageSize: 501\n          optionalFieldsAuto')],
	['delivery-mode', (t) => t.replace('optionalFieldsAuto', 'delivery:\n            mode: onRequest\n          optionalFieldsAuto')],
	['always-enabled-fields', (t) => t.replace(/          requiredFields:\n(            - fieldName: \w+\n)+/, '          enabled: always\n')],
	['always-enabled-fields', (t) => t.replace('- fieldName: name', '- fieldName: name\n              mapToName: n')
		.replace('          requiredFields', '          enabled: always\n          requiredFields')],
	['subscribe-requires-read', (t) => watched('            watchFieldsAuto: all\n')(t)
		.replace(/    # What Ampersand reads[^]*?(?=    subscribe)/, '')],
	['subscribe-inherit-fields', (t) => watched('            watchFieldsAuto: all\n')(t).replace('Mapping: true', 'Mapping: false')],
	['subscribe-minimum-events', subscribe('        - objectName: account\n          destination: postgresql\n')],
	['update-event-watch-fields', watched('')],
	['update-event-watch-fields', watched('            watchFieldsAuto: all\n            requiredWatchFields: [name]\n')],
	['watch-fields-no-nesting', watched('            requiredWatchFields: [name, Address.Street]\n')],
	['salesforce-subscribe-limit', subscribe(['account', 'contact', 'lead', 'case', 'campaign', 'task'].map((o) =>
		`        - objectName: ${o}\n          destination: postgresql\n          otherEvents: [UNDELETE]\n`).join(''))],
];

for (const [rule, edit] of edits) {
	const broken = edit(amp);
	const found = broken === amp ? [] : check(broken);
	ok(found.length === 1 && found[0].rule === rule, `rule ${rule}`, broken === amp ? 'the edit changes nothing' : told(found));
}
for (const [name, edit] of [
	['every ten minutes', (t) => t.replace('*/30 * * * *', '*/10 * * * *')],
	['once a day', (t) => t.replace('*/30 * * * *', '7 4 * * 1-5')],
	['on both sides of an hour that is the only one', (t) => t.replace('*/30 * * * *', '2,55 3 * * *')],
	['watched fields', watched('            requiredWatchFields: [name, city]\n')],
]) {
	ok(edit(amp) !== amp && check(edit(amp)).length === 0, `no rule against: ${name}`, told(check(edit(amp))));
}

/* The page, the manifest and the extension call things by the same names. */
const manifest = parse(uncomment(amp));
const names = manifest.integrations.map((i) => i.name);
const env = Object.fromEntries([...readFileSync(`${example}/page/.env.example`, 'utf8').matchAll(/^([A-Z_]+)=(.*)$/gm)].map((m) => m.slice(1)));
const { settings, missing } = readSettings(env);

ok(missing.join() === 'VITE_AMPERSAND_PROJECT,VITE_AMPERSAND_API_KEY or VITE_AMPERSAND_TOKEN_URL',
	'.env.example leaves the project and the key to be filled in', missing.join());
ok(names.includes(settings.integration), 'its integration is one of amp.yaml', settings.integration);
ok(manifest.integrations.every((i) => i.proxy?.enabled) && manifest.integrations[1].proxy.useModule,
	'each integration has a proxy, that of Account Engagement one of its module', JSON.stringify(names));

const known = new Set([...readFileSync(optionsFile, 'utf8').matchAll(/^\| `(\w+)`/gm)].map((m) => m[1]));
const project = '0d4f6c2e-7a51-4c1c-9a53-2f1f0c9d8e7b';
for (const integration of names) {
	const sql = createServer({ project, integration, groupRef: 'acme' });
	const used = [...sql.matchAll(/(\w+) '/g)].map((m) => m[1]);
	ok(used.length >= 5 && used.every((o) => known.has(o)), `the statements for ${integration} name the extension's options`, sql);
}
ok(createServer({ project, integration: names[1], groupRef: 'acme' }).includes("module 'account_engagement'"),
	'those for Account Engagement its module');
const quoted = createServer({ project, integration: 'salesforce', groupRef: `o'neill "a" \\` });
ok(quoted.includes(String.raw`group_ref E'o''neill "a" \\')`) && quoted.includes(String.raw`"sf_o'neill ""a"" \"`),
	'quotes and backslashes are quoted', quoted);

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
