// What the client suites share: one line per check, a total, exit code 1 if any failed.
import assert from 'node:assert/strict';

let passed = 0;
let failed = 0;

/** Runs a check and prints what became of it. */
export async function check(name, fn) {
  try {
    await fn();
    passed++;
    console.log(`ok ${name}`);
  } catch (e) {
    failed++;
    const data = e.response?.data ?? e.body ?? '';
    console.log(`not ok ${name}: ${e.message} ${JSON.stringify(data).slice(0, 600)}`);
  }
}

/** The HTTP status a promise of a client ends with. */
export async function status(promise) {
  try {
    await promise;
    return 200;
  } catch (e) {
    return e.response?.status ?? e.statusCode ?? e.status;
  }
}

/** Prints the total and ends the process. */
export function finish(client) {
  console.log(`${client}: ${passed} of ${passed + failed} checks passed`);
  process.exit(failed ? 1 : 0);
}

/** A request whose headers and status the client's own methods do not show. */
export function raw(base) {
  return async (method, path, { headers = {}, body } = {}) => {
    const r = await fetch(path.startsWith('http') ? path : base + path, { method, headers: body ? { 'content-type': 'application/fhir+json', ...headers } : headers, body });
    const text = await r.text();
    let json;
    try { json = JSON.parse(text); } catch { /* XML, NDJSON or nothing */ }
    return { status: r.status, headers: r.headers, text, json };
  };
}

/** Asks an asynchronous job until it is done. */
export async function done(ask, at) {
  for (;;) {
    const r = await ask('GET', at);
    if (r.status !== 202) return r;
    assert.ok(r.headers.get('x-progress'), 'a running job tells its progress');
    await new Promise((wake) => setTimeout(wake, 20));
  }
}
