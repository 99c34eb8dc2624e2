/*
 * browse-page.js CHROMIUM DIST WORK key|token - opens the built page, with this process in the place of Ampersand's
 * platform API, and looks what the page asks it for.
 *
 * Nothing leaves the machine: Chromium is told that api.withampersand.com is a port here, and that no other
 * host exists.  WORK holds key.pem and cert.pem.  A page that was built for tokens gets them here, too.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer as http } from 'node:http';
import { createServer as https } from 'node:https';
import { extname, join, normalize } from 'node:path';

const [chromium, dist, work, mode] = process.argv.slice(2);
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };
const asked = [];
const tokens = [];
let passed = 0;
let failed = 0;

function ok(good, name, why)
{
	console.log(`${good ? 'ok' : 'not ok'} - ${name}${good ? '' : `\n# ${String(why).replace(/\n/g, '\n# ')}`}`);
	if (good) passed++;
	else failed++;
}

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const now = Math.floor(Date.now() / 1000);
const token = [part({ alg: 'RS256', kid: 'k' }), part({ sub: 's', iat: now, exp: now + 600 }), 'signature'].join('.');
const page = http(async (request, answer) => {
	const name = normalize(new URL(request.url, 'http://x').pathname);

	if (request.method === 'POST' && name === '/token') {
		let body = '';
		for await (const data of request) body += data;
		tokens.push(body);
		answer.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ token }));
		return;
	}
	try {
		const body = readFileSync(join(dist, name === '/' ? 'index.html' : name));
		answer.writeHead(200, { 'Content-Type': types[extname(name)] ?? 'text/html' }).end(body);
	} catch {
		answer.writeHead(404).end();
	}
});
const answers = {
	'/v1/projects/project-4711': { id: 'project-4711', name: 'p', appName: 'App', orgId: 'o', createTime: '2026-01-01T00:00:00Z' },
	'/v1/projects/project-4711/integrations': [{
		id: 'i', name: 'salesforce', projectId: 'project-4711', provider: 'salesforce', createTime: '2026-01-01T00:00:00Z',
		latestRevision: { id: 'r', specVersion: '1.0.0', createTime: '2026-01-01T00:00:00Z',
			content: { name: 'salesforce', provider: 'salesforce', module: 'crm', proxy: { enabled: true } } },
	}],
	'/v1/providers/salesforce': {
		name: 'salesforce', displayName: 'Salesforce', authType: 'oauth2', baseURL: 'https://{{.workspace}}.my.salesforce.com',
		oauth2Opts: {
			grantType: 'authorizationCodePKCE', authURL: 'https://{{.workspace}}.my.salesforce.com/services/oauth2/authorize',
			tokenURL: 'https://{{.workspace}}.my.salesforce.com/services/oauth2/token',
			explicitScopesRequired: false, explicitWorkspaceRequired: true, tokenMetadataFields: {},
		},
		support: { proxy: true, read: true, write: true, subscribe: true, bulkWrite: {} },
		defaultModule: 'crm', modules: {},
		metadata: { input: [{ name: 'workspace', displayName: 'Subdomain', moduleDependencies: { crm: {} } }] },
	},
};
const platform = https({ key: readFileSync(join(work, 'key.pem')), cert: readFileSync(join(work, 'cert.pem')) }, (request, answer) => {
	const allowed = {
		'Access-Control-Allow-Origin': '*',
		'Access-Control-Allow-Headers': request.headers['access-control-request-headers'] ?? '*',
		'Access-Control-Allow-Methods': 'GET, POST, PATCH, DELETE',
		'Content-Type': 'application/json',
	};

	if (request.method !== 'OPTIONS') {
		asked.push({ url: request.url, key: request.headers['x-api-key'], authorization: request.headers.authorization });
	}
	answer.writeHead(200, allowed).end(JSON.stringify(answers[request.url.split('?')[0]] ?? []));
});
const listen = (server) => new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));
const [port, api] = [await listen(page), await listen(platform)];

const browser = spawn(chromium, [
	'--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--ignore-certificate-errors',
	'--disable-background-networking', '--no-first-run', `--user-data-dir=${join(work, `profile-${mode}`)}`,
	`--host-resolver-rules=MAP api.withampersand.com:443 127.0.0.1:${api}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
	'--virtual-time-budget=10000', '--dump-dom', `http://127.0.0.1:${port}/`,
], { stdio: ['ignore', 'pipe', 'pipe'] });
let dom = '';
let complaints = '';
browser.stdout.on('data', (data) => (dom += data));
browser.stderr.on('data', (data) => (complaints += data));
const killer = setTimeout(() => browser.kill('SIGKILL'), 120000);
await new Promise((done) => browser.on('close', done));
clearTimeout(killer);
for (const server of [page, platform]) {
	server.closeAllConnections();
	server.close();
}

const log = asked.map((a) => `${a.url} ${a.key} ${a.authorization}`).join('\n');
ok(dom.includes('<h1>Connect Salesforce</h1>'), 'the page is rendered', `${complaints}\n${dom}`.slice(0, 2000));
ok(asked.some((a) => a.url.startsWith('/v1/projects/project-4711')), 'it asks for the project of its settings', log);
ok(asked.some((a) => /installations\?.*groupRef=acme\b/.test(a.url)), 'for the group\'s installation', log);
if (mode === 'key') {
	ok(asked.every((a) => a.key === 'key-0815' && !a.authorization), 'each time with the key', log);
} else {
	ok(asked.every((a) => !a.key && a.authorization === `Bearer ${token}`), 'each time with a token', log);
	ok(tokens.length > 0 && tokens.every((t) => part(JSON.parse(t)) === part({ consumerRef: 'ada', groupRef: 'acme' })),
		'which is for the person and the group', tokens.join('\n'));
}
const shown = dom.replace(/<style[^]*?<\/style>/g, '').replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ');
ok(/Subdomain/i.test(shown), 'and shows Ampersand\'s form to connect Salesforce', shown);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
