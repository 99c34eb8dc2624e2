#!/usr/bin/env node
/*
 * Drives the sandbox org with jsforce, a client that was written for the real one: what jsforce makes of
 * the answers shows whether they are as Salesforce sends them.
 *
 * Use: SANDBOX_URL=http://127.0.0.1:8089 SANDBOX_LOG=its.log node check.js     (run.sh starts a sandbox and installs jsforce)
 * Fills the org anew first.
 * Prints a line for each check, then "N passed, N failed".
 */
'use strict';
const assert = require('assert');
const fs = require('fs');
const jsforce = require('jsforce');

const url = process.env.SANDBOX_URL;
const version = '62.0';
let passed = 0;
let failed = 0;

async function check(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok ${name}`);
  } catch (e) {
    failed += 1;
    console.log(`not ok ${name}\n    ${String(e.stack || e).split('\n').slice(0, 6).join('\n    ')}`);
  }
}

/* The call must fail with that errorCode. */
async function refused(errorCode, call) {
  let answer;
  try {
    answer = await call();
  } catch (e) {
    assert.strictEqual(e.errorCode || e.name, errorCode, e.message);
    return e;
  }
  throw new Error(`accepted: ${JSON.stringify(answer).slice(0, 200)}`);
}

const oauth2 = { loginUrl: url, clientId: 'sandbox', clientSecret: 'sandbox' };

async function byClientCredentials() {
  const conn = new jsforce.Connection({ loginUrl: url, instanceUrl: url, oauth2, version });
  const user = await conn.authorize({ grant_type: 'client_credentials' });
  assert.ok(user.id && user.organizationId);
  return conn;
}

async function login(conn) {
  await check('identity', async () => {
    const me = await conn.identity();
    assert.strictEqual(me.username, 'admin@sandbox.example');
    assert.strictEqual(me.organization_id.slice(0, 3), '00D');
  });
  await check('login by refresh token, when the session has ended', async () => {
    const other = new jsforce.Connection({
      instanceUrl: url, oauth2, version, accessToken: 'dead', refreshToken: 'sandbox',
    });
    let refreshed = 0;
    other.on('refresh', () => { refreshed += 1; });
    const r = await other.query('SELECT Id FROM User');
    assert.ok(r.totalSize >= 1);
    assert.strictEqual(refreshed, 1);
  });
  await check('a refresh token that is no good', async () => {
    const other = new jsforce.Connection({
      instanceUrl: url, oauth2, version, accessToken: 'dead', refreshToken: 'none',
    });
    await assert.rejects(other.query('SELECT Id FROM User'), /expired access\/refresh token/);
  });
  await check('a session that is no good', async () => {
    const other = new jsforce.Connection({ instanceUrl: url, accessToken: 'dead', version });
    await refused('INVALID_SESSION_ID', () => other.query('SELECT Id FROM User'));
  });
  await check('wrong client secret', async () => {
    const bad = new jsforce.Connection({
      loginUrl: url, instanceUrl: url, oauth2: { ...oauth2, clientSecret: 'x' }, version,
    });
    await refused('invalid_client', () => bad.authorize({ grant_type: 'client_credentials' }));
  });
}

async function metadata(conn) {
  await check('describeGlobal', async () => {
    const g = await conn.describeGlobal();
    assert.strictEqual(g.maxBatchSize, 200);
    const names = g.sobjects.map((s) => s.name);
    for (const n of ['Account', 'Contact', 'Opportunity', 'Invoice__c']) assert.ok(names.includes(n), n);
  });
  await check('describe', async () => {
    const d = await conn.sobject('Account').describe();
    const name = d.fields.find((f) => f.name === 'Name');
    assert.strictEqual(name.type, 'string');
    assert.strictEqual(name.length, 255);
    assert.ok(d.childRelationships.find((c) => c.relationshipName === 'Contacts'));
    const owner = d.fields.find((f) => f.name === 'OwnerId');
    assert.strictEqual(owner.relationshipName, 'Owner');
  });
  await check('describe from the cache, and again', async () => {
    const a = await conn.sobject('Contact').describe$();
    const b = await conn.sobject('Contact').describe$();
    assert.strictEqual(a.fields.length, b.fields.length);
  });
  await check('describe of no object', () => refused('NOT_FOUND', () => conn.describe('Nothing__c')));
  await check('limits', async () => {
    const l = await conn.limits();
    assert.ok(l.DailyApiRequests.Max > l.DailyApiRequests.Remaining);
    assert.ok(conn.limitInfo.apiUsage.used > 0);
  });
  await check('versions', async () => {
    const v = await conn.request('/services/data');
    assert.ok(v.find((x) => x.version === version));
  });
}

async function rows(conn) {
  let id;
  await check('create', async () => {
    const r = await conn.sobject('Account').create({ Name: 'jsforce "one" \\ é 😀' });
    assert.strictEqual(r.success, true);
    assert.strictEqual(r.id.length, 18);
    id = r.id;
  });
  await check('retrieve', async () => {
    const a = await conn.sobject('Account').retrieve(id);
    assert.strictEqual(a.Name, 'jsforce "one" \\ é 😀');
    assert.strictEqual(a.attributes.type, 'Account');
  });
  await check('update', async () => {
    const r = await conn.sobject('Account').update({ Id: id, Name: 'changed', Phone: '1' });
    assert.strictEqual(r.success, true);
    assert.strictEqual((await conn.sobject('Account').retrieve(id)).Phone, '1');
  });
  await check('upsert inserts, then updates', async () => {
    const a = await conn.sobject('Invoice__c').upsert({ Ext_Id__c: 'js-1', Amount__c: 12.5 }, 'Ext_Id__c');
    assert.ok(a.success && a.id);
    const b = await conn.sobject('Invoice__c').upsert({ Ext_Id__c: 'js-1', Amount__c: 13 }, 'Ext_Id__c');
    assert.strictEqual(b.id, a.id);
    assert.strictEqual(b.created, false);
    assert.strictEqual((await conn.sobject('Invoice__c').retrieve(a.id)).Amount__c, 13);
  });
  await check('delete', async () => {
    assert.ok((await conn.sobject('Account').destroy(id)).success);
    await refused('NOT_FOUND', () => conn.sobject('Account').retrieve(id));
    await refused('ENTITY_IS_DELETED', () => conn.sobject('Account').destroy(id));
  });
  await check('a required field is missing', async () => {
    const e = await refused('REQUIRED_FIELD_MISSING', () => conn.sobject('Contact').create({ FirstName: 'x' }));
    assert.deepStrictEqual(e.data.fields, ['LastName']);
  });
  await check('an unknown field', () => refused('INVALID_FIELD', () => conn.sobject('Contact').create({ LastName: 'x', Foo: 1 })));
}

async function arrays(conn) {
  const n = 450; // three calls of at most 200
  let ids;
  await check('create an array', async () => {
    const list = Array.from({ length: n }, (_, i) => ({ LastName: `js ${i}` }));
    const r = await conn.sobject('Contact').create(list, { allowRecursive: true });
    assert.strictEqual(r.filter((x) => x.success).length, n);
    ids = r.map((x) => x.id);
  });
  await check('retrieve an array in its order', async () => {
    const r = await conn.sobject('Contact').retrieve(ids.slice(0, 3).reverse());
    assert.deepStrictEqual(r.map((x) => x.LastName), ['js 2', 'js 1', 'js 0']);
  });
  await check('update an array, one of it refused', async () => {
    const r = await conn.sobject('Contact').update([
      { Id: ids[0], FirstName: 'a' }, { Id: ids[1], LastName: 'x'.repeat(81) },
    ]);
    assert.strictEqual(r[0].success, true);
    assert.strictEqual(r[1].success, false);
    assert.strictEqual(r[1].errors[0].errorCode || r[1].errors[0].statusCode, 'STRING_TOO_LONG');
  });
  await check('all or none', async () => {
    const r = await conn.sobject('Contact').create(
      [{ LastName: 'js none' }, { FirstName: 'no last name' }], { allOrNone: true });
    assert.ok(r.every((x) => !x.success));
    assert.strictEqual((await conn.query("SELECT Id FROM Contact WHERE LastName = 'js none'")).totalSize, 0);
  });
  await check('upsert an array', async () => {
    const r = await conn.sobject('Invoice__c').upsert(
      [{ Ext_Id__c: 'js-1', Amount__c: 1 }, { Ext_Id__c: 'js-2', Amount__c: 2 }], 'Ext_Id__c');
    assert.deepStrictEqual(r.map((x) => [x.success, x.created]), [[true, false], [true, true]]);
  });
  await check('delete an array', async () => {
    const r = await conn.sobject('Contact').destroy(ids, { allowRecursive: true });
    assert.strictEqual(r.filter((x) => x.success).length, n);
  });
}

async function queries(conn) {
  const n = 1200;
  const soql = "SELECT Id, LastName FROM Contact WHERE LastName LIKE 'jsq %' ORDER BY LastName";
  const list = Array.from({ length: n }, (_, i) => ({ LastName: `jsq ${String(i).padStart(5, '0')}` }));
  await conn.sobject('Contact').create(list, { allowRecursive: true });
  const headers = { 'Sforce-Query-Options': 'batchSize=200' };
  await check('query with autoFetch over several pages', async () => {
    const found = [];
    await new Promise((resolve, reject) => {
      conn.query(soql)
        .on('record', (r) => found.push(r.LastName)).on('end', resolve).on('error', reject)
        .run({ headers, autoFetch: true, maxFetch: 100000 });
    });
    assert.deepStrictEqual(found, list.map((r) => r.LastName));
  });
  await check('query and queryMore', async () => {
    let r = await conn.query(soql, { headers });
    let rows = r.records.length;
    let pages = 1;
    assert.strictEqual(r.totalSize, n);
    while (!r.done) {
      r = await conn.queryMore(r.nextRecordsUrl);
      rows += r.records.length;
      pages += 1;
    }
    assert.strictEqual(rows, n);
    assert.ok(pages >= 2);
  });
  await check('a locator that is no good', () =>
    refused('INVALID_QUERY_LOCATOR', () => conn.queryMore(`/services/data/v${version}/query/01g000000000001AAA-200`)));
  await check('find with conditions', async () => {
    const r = await conn.sobject('Contact').find({ LastName: { $like: 'jsq 0000%' } }, 'Id, LastName').sort('-LastName').limit(3);
    assert.deepStrictEqual(r.map((x) => x.LastName), ['jsq 00009', 'jsq 00008', 'jsq 00007']);
  });
  await check('count', async () => {
    assert.strictEqual(await conn.sobject('Contact').count({ LastName: { $like: 'jsq %' } }), n);
  });
  await check('aggregate', async () => {
    const r = await conn.query("SELECT COUNT(Id) n, MAX(CreatedDate) FROM Contact WHERE LastName LIKE 'jsq %'");
    assert.strictEqual(r.records[0].n, n);
    assert.ok(r.records[0].expr0);
  });
  await check('parent and children', async () => {
    const a = await conn.sobject('Account').create({ Name: 'js parent' });
    await conn.sobject('Contact').create({ LastName: 'js child', AccountId: a.id });
    const p = await conn.query(`SELECT Name, (SELECT LastName FROM Contacts) FROM Account WHERE Id = '${a.id}'`);
    assert.strictEqual(p.records[0].Contacts.records[0].LastName, 'js child');
    const c = await conn.query(`SELECT Account.Name FROM Contact WHERE AccountId = '${a.id}'`);
    assert.strictEqual(c.records[0].Account.Name, 'js parent');
  });
  await check('queryAll sees the deleted', async () => {
    const one = await conn.sobject('Account').create({ Name: 'js deleted' });
    await conn.sobject('Account').destroy(one.id);
    const q = "SELECT Id, IsDeleted FROM Account WHERE Name = 'js deleted'";
    assert.strictEqual((await conn.query(q)).totalSize, 0);
    const r = await conn.query(q, { scanAll: true });
    assert.strictEqual(r.records[0].IsDeleted, true);
  });
  await check('explain', async () => {
    const r = await conn.query(soql).explain();
    assert.ok(r.plans.length >= 1 && typeof r.plans[0].relativeCost === 'number');
  });
  await check('malformed query', () => refused('MALFORMED_QUERY', () => conn.query('SELECT FROM Account')));
  await check('no such column', async () => {
    const e = await refused('INVALID_FIELD', () => conn.query('SELECT Foo FROM Account'));
    assert.ok(e.message.includes("No such column 'Foo' on entity 'Account'"), e.message);
  });
  await check('no such type', () => refused('INVALID_TYPE', () => conn.query('SELECT Id FROM Foo')));
  await check('updated and deleted', async () => {
    const end = new Date(Date.now() + 120000);
    const start = new Date(Date.now() - 3600000);
    const u = await conn.sobject('Account').updated(start, end);
    assert.ok(u.ids.length >= 1 && u.latestDateCovered);
    const d = await conn.sobject('Account').deleted(start, end);
    assert.ok(d.deletedRecords.length >= 1 && d.earliestDateAvailable);
  });
}

async function composites(conn) {
  const base = `/services/data/v${version}`;
  await check('composite with a reference', async () => {
    const r = await conn.requestPost(`${base}/composite`, {
      allOrNone: true,
      compositeRequest: [
        { method: 'POST', url: `${base}/sobjects/Account`, referenceId: 'a', body: { Name: 'js composite' } },
        { method: 'POST', url: `${base}/sobjects/Contact`, referenceId: 'c', body: { LastName: 'js composite', AccountId: '@{a.id}' } },
      ],
    });
    assert.deepStrictEqual(r.compositeResponse.map((x) => x.httpStatusCode), [201, 201]);
  });
  await check('composite batch', async () => {
    const r = await conn.requestPost(`${base}/composite/batch`, {
      batchRequests: [{ method: 'GET', url: `v${version}/limits` }, { method: 'GET', url: `v${version}/nothing` }],
    });
    assert.strictEqual(r.hasErrors, true);
    assert.deepStrictEqual(r.results.map((x) => x.statusCode), [200, 404]);
  });
  await check('recent versions only', () => refused('UNSUPPORTED_API_VERSION', () => conn.request('/services/data/v20.0/limits')));
}

/* The records of a query job, one after the other. */
async function bulkQuery(conn, soql) {
  const stream = await conn.bulk2.query(soql);
  const found = [];
  await new Promise((resolve, reject) => {
    stream.on('record', (r) => found.push(r));
    stream.on('end', resolve);
    stream.on('error', reject);
  });
  return found;
}

async function bulk(conn) {
  const n = 1500;
  const load = (operation, input, more) => conn.bulk2.loadAndWaitForResults({
    object: 'Account', operation, input, pollInterval: 50, ...more,
  });
  let ids;
  conn.bulk2.pollInterval = 50;
  await check('bulk2: load', async () => {
    const list = Array.from({ length: n }, (_, i) => ({
      Name: `jsb ${i}, "é"\n😀`, AnnualRevenue: i / 4, NumberOfEmployees: i, Ext_Id__c: `jsb-${i}`,
    }));
    list.push({ Name: '', AnnualRevenue: 1, NumberOfEmployees: 1, Ext_Id__c: 'jsb-x' });
    const r = await load('insert', list);
    assert.strictEqual(r.successfulResults.length, n);
    assert.ok(r.successfulResults.every((x) => x.sf__Created === 'true' && x.sf__Id.length === 18));
    assert.deepStrictEqual(r.failedResults.map((x) => [x.sf__Error, x.sf__Id, x.Ext_Id__c]),
      [['REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --', '', 'jsb-x']]);
    assert.strictEqual(r.unprocessedRecords.length, 0);
    ids = new Map(r.successfulResults.map((x) => [x.Ext_Id__c, x.sf__Id]));
    assert.strictEqual(ids.size, n);
  });
  await check('bulk2: query stream', async () => {
    const found = await bulkQuery(conn, "SELECT Id, Name, AnnualRevenue, Parent.Name, Ext_Id__c FROM Account WHERE Ext_Id__c LIKE 'jsb-%'");
    assert.strictEqual(found.length, n);
    const one = found.find((r) => r.Ext_Id__c === 'jsb-7');
    assert.deepStrictEqual({ ...one }, {
      Id: ids.get('jsb-7'), Name: 'jsb 7, "é"\n😀', AnnualRevenue: '1.75', 'Parent.Name': '', Ext_Id__c: 'jsb-7',
    });
  });
  await check('bulk2: update, #N/A and a parent by its external id', async () => {
    const r = await load('update', [
      { Id: ids.get('jsb-1'), AnnualRevenue: '#N/A', NumberOfEmployees: '', 'Parent.Ext_Id__c': 'jsb-0' },
      { Id: ids.get('jsb-2'), AnnualRevenue: 2, NumberOfEmployees: '', 'Parent.Ext_Id__c': 'nobody' },
    ]);
    assert.deepStrictEqual(r.successfulResults.map((x) => x.sf__Created), ['false']);
    assert.match(r.failedResults[0].sf__Error, /^INVALID_FIELD:Foreign key external ID: nobody not found/);
    const a = await conn.sobject('Account').retrieve(ids.get('jsb-1'));
    assert.deepStrictEqual([a.AnnualRevenue, a.NumberOfEmployees, a.ParentId], [null, 1, ids.get('jsb-0')]);
  });
  await check('bulk2: upsert', async () => {
    const r = await load('upsert', [{ Ext_Id__c: 'jsb-3', Name: 'again' }, { Ext_Id__c: 'jsb-new', Name: 'new' }],
      { externalIdFieldName: 'Ext_Id__c' });
    assert.deepStrictEqual(r.successfulResults.map((x) => [x.Ext_Id__c, x.sf__Created]).sort(),
      [['jsb-3', 'false'], ['jsb-new', 'true']]);
  });
  await check('bulk2: delete', async () => {
    const r = await load('delete', [...ids.values()].slice(1, 1001).map((Id) => ({ Id })));
    assert.strictEqual(r.successfulResults.length, 1000);
    assert.strictEqual((await conn.query("SELECT Id FROM Account WHERE Ext_Id__c LIKE 'jsb-%'")).totalSize, n - 1000 + 1);
  });
  await check('bulk2: a column that is no field', () =>
    assert.rejects(load('insert', [{ Name: 'x', Nothing__c: 1 }]), /InvalidBatch : Field name not found : Nothing__c/));
  await check('bulk2: a query that it does not do', () =>
    assert.rejects(conn.bulk2.query('SELECT Industry, COUNT(Id) FROM Account GROUP BY Industry'), /./));
  await check('bulk2: abort and delete', async () => {
    const job = conn.bulk2.createJob({ object: 'Account', operation: 'insert' });
    await job.open();
    await job.uploadData('Name\nnever\n');
    await job.abort();
    assert.strictEqual((await job.check()).state, 'Aborted');
    assert.deepStrictEqual((await job.getUnprocessedRecords()).map((x) => x.Name), ['never']);
    await job.delete();
    await refused('NOT_FOUND', () => job.check());
  });
  await check('the request log names the jobs', async () => {
    const log = process.env.SANDBOX_LOG;
    const lines = fs.readFileSync(log, 'utf8').trim().split('\n').map((l) => JSON.parse(l));
    const jobs = lines.filter((l) => l.path.includes('/jobs/') && l.status < 400);
    assert.ok(jobs.length > 20 && jobs.every((l) => /^750\w{15}$/.test(l.job)), JSON.stringify(jobs.find((l) => !l.job)));
  });
}

async function others(conn) {
  await check('search', async () => {
    const found = await conn.search('FIND {acme*} IN NAME FIELDS RETURNING Account(Id, Name), Contact(Id)');
    assert.ok(found.searchRecords.length > 0);
    assert.ok(found.searchRecords.every((r) => r.attributes.type && r.Id));
    await refused('MALFORMED_SEARCH', () => conn.search('FIND acme'));
    await refused('INVALID_TYPE', () => conn.search('FIND {acme} RETURNING Nonsense'));
    await refused('INVALID_SEARCH_SCOPE', () => conn.search('FIND {acme} RETURNING AccountHistory'));
  });
  await check('reports', async () => {
    const list = await conn.analytics.reports();
    const summary = list.find((r) => r.name === 'Pipeline by Stage');
    const result = await conn.analytics.report(summary.id).execute({ details: true });
    const { totalSize } = await conn.query('SELECT COUNT() FROM Opportunity');
    assert.strictEqual(result.factMap['T!T'].aggregates[1].value, totalSize);
    const groups = result.groupingsDown.groupings.length;
    let n = 0;
    for (let i = 0; i < groups; i += 1) n += result.factMap[`${i}!T`].rows.length;
    assert.strictEqual(n, totalSize);
    const meta = await conn.analytics.report(summary.id).describe();
    assert.deepStrictEqual(meta.reportMetadata.aggregates, ['s!Amount', 'RowCount']);
  });
  await check('Apex REST', async () => {
    assert.strictEqual((await conn.apex.get('/echo/x')).method, 'GET');
    assert.strictEqual((await conn.apex.post('/echo', { a: 1 })).body, '{"a":1}');
    await refused('APEX_ERROR', () => conn.apex.get('/fail'));
    await refused('NOT_FOUND', () => conn.apex.get('/nonsense'));
  });
  await check('Tooling', async () => {
    const users = await conn.tooling.query('SELECT Id, Username FROM User');
    assert.ok(users.totalSize > 0);
    assert.strictEqual(users.records.length, users.totalSize);
  });
}

/* Events of a channel behind a replay id, until there are n of them. */
async function hear(conn, channel, replayId, n, act) {
  const { StreamingExtension } = require('jsforce/lib/api/streaming');
  let denied;
  const client = conn.streaming.createClient([
    new StreamingExtension.AuthFailure((m) => { denied = m; }),
    new StreamingExtension.Replay(channel, replayId),
  ]);
  const heard = [];
  let enough;
  const all = new Promise((resolve, reject) => {
    enough = () => heard.length >= n && resolve();
    setTimeout(() => reject(new Error(`only ${heard.length} events: ${JSON.stringify(denied)}`)), 20000).unref();
  });
  try {
    const subscription = client.subscribe(channel, (m) => { heard.push(m); enough(); });
    await subscription;
    if (act) await act();
    enough();
    await all;
    await subscription.cancel();
  } finally {
    await client.disconnect();
  }
  return heard;
}

async function events(conn) {
  let id;
  await check('events: a channel by the Tooling API', async () => {
    const channel = await conn.tooling.sobject('PlatformEventChannel').create({
      FullName: 'jsforce__chn', Metadata: { channelType: 'data', label: 'jsforce' },
    });
    assert.ok(channel.success && channel.id.startsWith('0YL'));
    for (const entity of ['AccountChangeEvent', 'Invoice__ChangeEvent']) {
      const member = await conn.tooling.sobject('PlatformEventChannelMember').create({
        FullName: `jsforce_chn_${entity.replace('__', '_')}`,
        Metadata: { eventChannel: 'jsforce__chn', selectedEntity: entity },
      });
      assert.ok(member.success);
    }
    const found = await conn.tooling.query("SELECT Id FROM PlatformEventChannel WHERE DeveloperName = 'jsforce'");
    assert.strictEqual(found.records[0].Id, channel.id);
    await refused('DUPLICATE_DEVELOPER_NAME', () => conn.tooling.sobject('PlatformEventChannel').create({
      FullName: 'jsforce__chn', Metadata: { channelType: 'data', label: 'jsforce' },
    }));
  });
  let last;
  await check('events: subscribe', async () => {
    const heard = await hear(conn, '/data/jsforce__chn', -1, 5, async () => {
      id = (await conn.sobject('Account').create({ Name: 'jse', BillingCity: 'Paris' })).id;
      await conn.sobject('Account').update({ Id: id, BillingCity: null, Phone: '1' });
      await conn.sobject('Contact').create({ LastName: 'unheard', AccountId: id });
      await conn.sobject('Invoice__c').create({ Account__c: id, Amount__c: 2.5 });
      await conn.sobject('Account').destroy(id);
    });
    const headers = heard.map((m) => m.payload.ChangeEventHeader);
    assert.deepStrictEqual(headers.map((h) => `${h.entityName} ${h.changeType}`),
      ['Account CREATE', 'Account UPDATE', 'Invoice__c CREATE', 'Account DELETE', 'Invoice__c UPDATE']);
    assert.strictEqual(headers[3].transactionKey, headers[4].transactionKey);
    assert.deepStrictEqual(headers[1].recordIds, [id]);
    assert.deepStrictEqual(headers[1].changedFields.sort(), ['BillingAddress.City', 'LastModifiedDate', 'Phone']);
    assert.deepStrictEqual(heard[0].payload.BillingAddress, { City: 'Paris' });
    assert.deepStrictEqual(heard[1].payload.BillingAddress, { City: null });
    assert.strictEqual(heard[2].payload.Amount__c, 2.5);
    last = heard.map((m) => m.event.replayId);
  });
  await check('events: replay', async () => {
    const heard = await hear(conn, '/data/jsforce__chn', last[1], 3);
    assert.deepStrictEqual(heard.map((m) => m.event.replayId), last.slice(2));
    const all = await hear(conn, '/data/jsforce__chn', -2, 5);
    assert.deepStrictEqual(all.map((m) => m.event.replayId), last);
  });
  await check('events: refusals', async () => {
    await assert.rejects(hear(conn, '/data/jsforce__chn', 7, 1), /400::?.*The replayId \{7\} you provided was invalid/);
    await assert.rejects(hear(conn, '/data/Nonsense__chn', -1, 1), /does not exist/);
    const dead = new jsforce.Connection({ instanceUrl: url, accessToken: 'dead', version });
    await assert.rejects(Promise.race([
      hear(dead, '/data/jsforce__chn', -1, 1),
      new Promise((resolve, reject) => { setTimeout(() => reject(new Error('denied')), 1000); }),
    ]), /denied/);
  });
}

async function main() {
  let conn;
  await fetch(`${url}/__sandbox/reset`, { method: 'POST' });
  await check('login by client credentials', async () => { conn = await byClientCredentials(); });
  if (conn) {
    await login(conn);
    await metadata(conn);
    await rows(conn);
    await arrays(conn);
    await queries(conn);
    await composites(conn);
    await others(conn);
    await events(conn);
    await bulk(conn);
    await check('logout by revoking', async () => {
      await conn.oauth2.revokeToken(conn.accessToken);
      conn._refreshDelegate = undefined;
      await refused('INVALID_SESSION_ID', () => conn.query('SELECT Id FROM User'));
    });
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

/* A promise that nobody settles would end the program in silence. */
process.on('beforeExit', () => {
  console.log(`not ok: the program ran dry\n${passed} passed, ${failed + 1} failed`);
  process.exit(1);
});
main().catch((e) => {
  console.log(e);
  console.log(`${passed} passed, ${failed + 1} failed`);
  process.exit(1);
});
