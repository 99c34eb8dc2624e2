#!/usr/bin/env node
/*
 * What else brings the rows of an org into a PostgreSQL table.
 *
 *   node rivals.js http TABLE URL...      CSV pages of a Bulk result that is ready, by plain HTTP, into COPY
 *   node rivals.js bulk TABLE SOQL        jsforce's bulk2.query, its stream of CSV into COPY
 *   node rivals.js query TABLE SOQL       jsforce's query and queryMore, its records as CSV into COPY
 *
 * SANDBOX_URL and TOKEN say where the org is, PGHOST and the like where the database.  Prints the seconds
 * from the first request to the end of COPY, so without the start of node and without the login.
 */
'use strict';
const http = require('http');
const { pipeline } = require('stream');
const { promisify } = require('util');
const { Client } = require('pg');
const copyFrom = require('pg-copy-streams').from;

const run = promisify(pipeline);
const [how, table, ...rest] = process.argv.slice(2);
const instanceUrl = process.env.SANDBOX_URL;
const accessToken = process.env.TOKEN;

/* All pages as one CSV: of the headers only the first. */
async function* pages(urls) {
  const agent = new http.Agent({ keepAlive: true });
  for (let i = 0; i < urls.length; i += 1) {
    const answer = await new Promise((resolve, reject) => {
      http.get(urls[i], { agent, headers: { Authorization: `Bearer ${accessToken}` } }, resolve).on('error', reject);
    });
    if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
    let skip = i > 0;
    for await (const chunk of answer) {
      if (!skip) yield chunk;
      else {
        const end = chunk.indexOf(10);
        if (end >= 0) {
          skip = false;
          yield chunk.subarray(end + 1);
        }
      }
    }
  }
  agent.destroy();
}

const quote = (v) => (v === null || v === undefined ? '' : `"${String(v).replace(/"/g, '""')}"`);

async function* records(conn, soql, fields) {
  let page = await conn.query(soql);
  yield `${fields.join(',')}\n`;
  for (;;) {
    yield page.records.map((r) => `${fields.map((f) => quote(r[f])).join(',')}\n`).join('');
    if (page.done) return;
    page = await conn.queryMore(page.nextRecordsUrl);
  }
}

async function main() {
  const client = new Client();
  await client.connect();
  const columns = (await client.query(
    'SELECT quote_ident(attname) AS c FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum',
    [table])).rows.map((r) => r.c).join(', ');
  await client.query(`TRUNCATE ${table}`);
  const start = process.hrtime.bigint();
  const copy = client.query(copyFrom(`COPY ${table} FROM STDIN (FORMAT csv, HEADER, FORCE_NULL (${columns}))`));
  if (how === 'http') await run(pages(rest), copy);
  else {
    const jsforce = require('jsforce');
    const conn = new jsforce.Connection({ instanceUrl, accessToken, version: '62.0' });
    if (how === 'bulk') {
      conn.bulk2.pollInterval = 50;
      conn.bulk2.pollTimeout = 600000;
      const found = await conn.bulk2.query(rest[0]);
      await run(found.stream('csv'), copy);
    } else {
      const fields = /^SELECT (.*) FROM /i.exec(rest[0])[1].split(/, */);
      await run(records(conn, rest[0], fields), copy);
    }
  }
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  console.log(seconds.toFixed(3), copy.rowCount);
  await client.end();
}

main().then(() => process.exit(0), (e) => {
  console.error(e);
  process.exit(1);
});
