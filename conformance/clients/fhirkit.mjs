// Everything fhir-kit-client can ask of a FHIR server, asked of a running one:
//   node fhirkit.mjs http://127.0.0.1:8080/fhir
// Prints one line per check and ends with 1 if any failed.
import Client from 'fhir-kit-client';
import assert from 'node:assert/strict';

const fhir = new Client({ baseUrl: process.argv[2] });
const key = `kit-${process.pid}-${Date.now()}`;
const identifier = [{ system: 'urn:kit', value: key }];
let failed = 0;

async function check(name, fn) {
  try {
    await fn();
    console.log(`ok ${name}`);
  } catch (e) {
    failed++;
    console.log(`not ok ${name}: ${e.message} ${JSON.stringify(e.response?.data ?? '')}`);
  }
}

async function status(promise) {
  try {
    await promise;
    return 200;
  } catch (e) {
    return e.response?.status;
  }
}

let id;
await check('capabilityStatement', async () => {
  const cs = await fhir.capabilityStatement();
  assert.equal(cs.fhirVersion, '4.0.1');
});
await check('create', async () => {
  const p = await fhir.create({ resourceType: 'Patient', body: { resourceType: 'Patient', identifier, name: [{ family: '李', given: ['明'] }], birthDate: '1970-01-01' } });
  id = p.id;
  assert.equal(p.meta.versionId, '1');
});
await check('read', async () => assert.equal((await fhir.read({ resourceType: 'Patient', id })).name[0].family, '李'));
await check('update', async () => {
  const p = await fhir.update({ resourceType: 'Patient', id, body: { resourceType: 'Patient', id, identifier, active: true, name: [{ family: '王' }] } });
  assert.equal(p.meta.versionId, '2');
});
await check('update with a stale If-Match', async () =>
  assert.equal(await status(fhir.update({ resourceType: 'Patient', id, body: { resourceType: 'Patient', id }, options: { headers: { 'If-Match': 'W/"1"' } } })), 412));
await check('patch', async () => {
  const p = await fhir.patch({ resourceType: 'Patient', id, JSONPatch: [{ op: 'replace', path: '/active', value: false }] });
  assert.equal(p.active, false);
});
await check('vread', async () => assert.equal((await fhir.vread({ resourceType: 'Patient', id, version: '1' })).name[0].family, '李'));
await check('search', async () => {
  const b = await fhir.search({ resourceType: 'Patient', searchParams: { identifier: `urn:kit|${key}` } });
  assert.equal(b.total, 1);
  assert.equal(b.entry[0].resource.id, id);
});
await check('search by POST', async () => {
  const b = await fhir.resourceSearch({ resourceType: 'Patient', searchParams: { identifier: `urn:kit|${key}` }, options: { postSearch: true } });
  assert.equal(b.total, 1);
});
await check('unknown parameter is refused', async () =>
  assert.equal(await status(fhir.search({ resourceType: 'Patient', searchParams: { identifierr: 'x' } })), 400));
await check('conditional create', async () => {
  const p = await fhir.create({ resourceType: 'Patient', body: { resourceType: 'Patient', identifier }, options: { headers: { 'If-None-Exist': `identifier=urn:kit|${key}` } } });
  assert.equal(p.id, id);
});
await check('transaction with references', async () => {
  const b = await fhir.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry: [
    { fullUrl: 'urn:uuid:0f0c1a52-0000-4000-8000-000000000001', resource: { resourceType: 'Encounter', status: 'finished', class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'AMB' }, subject: { reference: `Patient/${id}` } }, request: { method: 'POST', url: 'Encounter' } },
    { resource: { resourceType: 'Observation', status: 'final', code: { text: '脉' }, subject: { reference: `Patient?identifier=urn:kit|${key}` }, encounter: { reference: 'urn:uuid:0f0c1a52-0000-4000-8000-000000000001' } }, request: { method: 'POST', url: 'Observation' } },
  ] } });
  assert.deepEqual(b.entry.map((e) => e.response.status.slice(0, 3)), ['201', '201']);
  const obs = await fhir.read({ resourceType: 'Observation', id: b.entry[1].response.location.split('Observation/')[1].split('/')[0] });
  assert.equal(obs.subject.reference, `Patient/${id}`);
  assert.match(obs.encounter.reference, /^Encounter\//);
});
await check('batch', async () => {
  const b = await fhir.batch({ body: { resourceType: 'Bundle', type: 'batch', entry: [
    { request: { method: 'GET', url: `Patient/${id}` } }, { request: { method: 'GET', url: 'Patient/none' } }] } });
  assert.deepEqual(b.entry.map((e) => e.response.status.slice(0, 3)), ['200', '404']);
});
await check('compartment search', async () => {
  const b = await fhir.compartmentSearch({ resourceType: 'Observation', compartment: { resourceType: 'Patient', id } });
  assert.equal(b.entry.length, 1);
});
await check('paging', async () => {
  let page = await fhir.search({ resourceType: 'Patient', searchParams: { _count: 1 } });
  assert.equal(page.entry.length, 1);
  if (page.total > 1) {
    page = await fhir.nextPage({ bundle: page });
    assert.equal(page.entry.length, 1);
    page = await fhir.prevPage({ bundle: page });
    assert.equal(page.entry.length, 1);
  }
});
await check('operation', async () => {
  const b = await fhir.operation({ name: '$everything', resourceType: 'Patient', id, method: 'get' });
  assert.ok(b.entry.length >= 3);
});
await check('history', async () => {
  assert.equal((await fhir.history({ resourceType: 'Patient', id })).total, 3);
  assert.equal((await fhir.history({ resourceType: 'Patient' })).type, 'history');
  assert.equal((await fhir.history()).type, 'history');
});
await check('delete', async () => {
  await fhir.delete({ resourceType: 'Patient', id });
  assert.equal(await status(fhir.read({ resourceType: 'Patient', id })), 410);
});
process.exit(failed ? 1 : 0);
