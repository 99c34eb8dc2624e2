#!/usr/bin/env node
/*
 * What else writes rows into an org: jsforce.
 *
 *   node writer.js collections|bulk N TAG
 *
 * SANDBOX_URL and TOKEN say where the org is.  Prints the seconds from the first request to the last outcome, so
 * without the start of node, the login and the making of the records.
 */
'use strict';
const jsforce = require('jsforce');

const [how, n, tag] = process.argv.slice(2);

async function main() {
  const conn = new jsforce.Connection({
    instanceUrl: process.env.SANDBOX_URL, accessToken: process.env.TOKEN, version: '62.0', maxRequest: 10,
  });
  const records = [];
  for (let i = 1; i <= Number(n); i += 1) {
    records.push({ LastName: `${tag} ${i}`, FirstName: 'First', Title: `Title ${i}`, Email: `a${i}@example.com` });
  }
  const start = process.hrtime.bigint();
  let good = 0;
  if (how === 'bulk') {
    const { successfulResults } = await conn.bulk2.loadAndWaitForResults({
      object: 'Contact', operation: 'insert', input: records, pollTimeout: 600000, pollInterval: 50,
    });
    good = successfulResults.length;
  } else {
    const results = await conn.sobject('Contact').create(records, { allowRecursive: true, allOrNone: false });
    good = results.filter((r) => r.success).length;
  }
  if (good !== records.length) throw new Error(`${good} of ${records.length} rows were written`);
  console.log((Number(process.hrtime.bigint() - start) / 1e9).toFixed(3));
}

main().then(() => process.exit(0), (e) => {
  console.error(e);
  process.exit(1);
});
