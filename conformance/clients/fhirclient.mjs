// A FHIR server as the SMART JS client (npm fhirclient) uses one:
//   node fhirclient.mjs http://127.0.0.1:8080/fhir
import FHIR from 'fhirclient';
import assert from 'node:assert/strict';
import { check, done, finish, raw, status } from './checks.mjs';

const base = process.argv[2];
const store = new Map();
const storage = { get: async (k) => store.get(k), set: async (k, v) => store.set(k, v), unset: async (k) => store.delete(k) };
const smart = FHIR({ url: '/', headers: { host: 'app.example' }, protocol: 'http', originalUrl: '/', get: () => 'app.example' }, {}, storage);
const client = smart.client({ serverUrl: base });
const ask = raw(base);
const key = `smart-${process.pid}-${Date.now()}`;
const identifier = [{ system: 'urn:smart', value: key }];
const json = { 'content-type': 'application/json' };

let patient;
let bound; // a client in the context of the patient, as after a launch
await check('create', async () => {
  patient = await client.create({ resourceType: 'Patient', identifier, name: [{ family: '张', given: ['三'] }], birthDate: '1980-02-03', gender: 'female' });
  assert.equal(patient.meta.versionId, '1');
  bound = smart.client({ serverUrl: base, tokenResponse: { patient: patient.id } });
});
await check('patient.read', async () => assert.equal((await bound.patient.read()).id, patient.id));
await check('update', async () => {
  patient = await client.update({ ...patient, active: true });
  assert.equal(patient.meta.versionId, '2');
});
await check('update with a stale If-Match', async () =>
  assert.equal(await status(client.update({ ...patient, active: false }, { headers: { ...json, 'if-match': 'W/"1"' } })), 412));
await check('JSON Patch', async () => {
  const p = await client.patch(`Patient/${patient.id}`, [{ op: 'replace', path: '/active', value: false }]);
  assert.equal(p.active, false);
});
await check('vread and history', async () => {
  assert.equal((await client.request(`Patient/${patient.id}/_history/1`)).active, undefined);
  assert.equal((await client.request(`Patient/${patient.id}/_history`)).total, 3);
  assert.equal((await client.request('_history?_count=1')).entry.length, 1);
});
await check('conditional create', async () => {
  const p = await client.create({ resourceType: 'Patient', identifier }, { headers: { ...json, 'if-none-exist': `identifier=urn:smart|${key}` } });
  assert.equal(p.id, patient.id);
});
await check('conditional update, patch and delete', async () => {
  const url = `Basic?identifier=urn:smart|${key}`;
  const body = JSON.stringify({ resourceType: 'Basic', identifier, code: { text: 'a' } });
  const made = await client.request({ url, method: 'PUT', body, headers: json });
  assert.equal((await client.request({ url, method: 'PUT', body, headers: json })).id, made.id);
  const patched = await client.request({ url, method: 'PATCH', body: JSON.stringify([{ op: 'replace', path: '/code/text', value: 'b' }]), headers: { 'content-type': 'application/json-patch+json' } });
  assert.equal(patched.code.text, 'b');
  await client.request({ url, method: 'DELETE' });
  assert.equal(await status(client.request(`Basic/${made.id}`)), 410);
});
await check('transaction', async () => {
  const urn = 'urn:uuid:0f0c1a52-0000-4000-8000-000000000002';
  const entry = [...Array(5).keys()].map((i) => ({ request: { method: 'POST', url: 'Observation' },
    resource: { resourceType: 'Observation', identifier, status: 'final', code: { coding: [{ system: 'urn:smart', code: `c${i % 2}` }] }, effectiveDateTime: `2026-01-0${i + 1}`,
      subject: { reference: `Patient/${patient.id}` }, encounter: { reference: urn }, valueQuantity: { value: i, unit: 'kg', system: 'http://unitsofmeasure.org', code: 'kg' } } }));
  entry.push({ fullUrl: urn, request: { method: 'POST', url: 'Encounter' }, resource: { resourceType: 'Encounter', status: 'finished', class: { code: 'AMB' }, subject: { reference: `Patient/${patient.id}` } } });
  const b = await client.request({ url: '', method: 'POST', body: JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry }), headers: json });
  assert.deepEqual(b.entry.map((e) => e.response.status.slice(0, 3)), Array(6).fill('201'));
});
await check('batch', async () => {
  const b = await client.request({ url: '', method: 'POST', headers: json, body: JSON.stringify({ resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: `Patient/${patient.id}` } }, { request: { method: 'GET', url: 'Patient/none' } }] }) });
  assert.deepEqual(b.entry.map((e) => e.response.status.slice(0, 3)), ['200', '404']);
});
await check('patient.request limits to the patient', async () => {
  const b = await bound.patient.request('Observation?_sort=date');
  assert.equal(b.total, 5);
});
await check('pages: all of them, flat', async () => {
  const all = await bound.request(`Observation?patient=${patient.id}&_count=2`, { pageLimit: 0, flat: true });
  assert.equal(all.length, 5);
});
await check('references are resolved, as a graph too', async () => {
  const b = await client.request(`Observation?patient=${patient.id}&_count=2`, { resolveReferences: ['subject', 'encounter'], graph: true, flat: true });
  assert.equal(b[0].subject.id, patient.id);
  assert.equal(b[0].encounter.resourceType, 'Encounter');
});
await check('observations by code and unit', async () => {
  const b = await client.request(`Observation?patient=${patient.id}`, { flat: true });
  assert.equal(client.byCodes(b, 'code')('c0').length, 3);
  assert.equal(client.units.kg(b[0].valueQuantity), b[0].valueQuantity.value);
});
await check('search by POST, chain, _has, _include, _revinclude', async () => {
  const post = await client.request({ url: 'Patient/_search', method: 'POST', body: `identifier=urn:smart|${key}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
  assert.equal(post.total, 1);
  assert.equal((await client.request(`Observation?patient.identifier=urn:smart|${key}`)).total, 5);
  assert.equal((await client.request(`Patient?_has:Observation:patient:identifier=urn:smart|${key}`)).total, 1);
  const inc = await client.request(`Observation?identifier=urn:smart|${key}&_include=Observation:encounter&_revinclude=Provenance:target`);
  assert.ok(inc.entry.some((e) => e.search.mode === 'include'));
});
await check('compartment', async () => assert.equal((await client.request(`Patient/${patient.id}/Observation`)).total, 5));
await check('$everything, $validate, $meta, $lastn, $diff', async () => {
  assert.equal((await client.request(`Patient/${patient.id}/$everything`)).entry.length, 7);
  const o = await client.request({ url: 'Patient/$validate', method: 'POST', body: JSON.stringify({ resourceType: 'Patient', gender: 'x' }), headers: json });
  assert.ok(o.issue.some((i) => i.severity === 'error'));
  assert.equal((await client.request(`Patient/${patient.id}/$meta`)).parameter[0].valueMeta.versionId, '3');
  assert.equal((await client.request(`Observation/$lastn?patient=${patient.id}`)).entry.length, 2);
  assert.ok((await client.request(`Patient/${patient.id}/$diff?fromVersion=1`)).parameter.length > 0);
});
await check('$match', async () => {
  const input = { resourceType: 'Parameters', parameter: [{ name: 'resource', resource: { resourceType: 'Patient', name: [{ family: '张', given: ['三'] }], birthDate: '1980-02-03', gender: 'female' } }] };
  const b = await client.request({ url: 'Patient/$match', method: 'POST', body: JSON.stringify(input), headers: json });
  assert.ok(b.entry.some((e) => e.resource.id === patient.id && e.search.score >= 0.7));
});
await check('$graphql', async () => {
  const query = `{name{family} ObservationList(_reference: patient, _count: 2, _sort: "date"){effectiveDateTime}}`;
  const r = await client.request(`Patient/${patient.id}/$graphql?query=${encodeURIComponent(query)}`);
  assert.deepEqual(r.data, { name: [{ family: '张' }], ObservationList: [{ effectiveDateTime: '2026-01-01' }, { effectiveDateTime: '2026-01-02' }] });
});
await check('$expand', async () => {
  const vs = await client.request('ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/observation-status');
  assert.equal(vs.expansion.contains.length, 8);
});
await check('respond-async', async () => {
  const r = await ask('GET', `/Patient/${patient.id}/$everything`, { headers: { prefer: 'respond-async' } });
  assert.equal(r.status, 202);
  assert.equal((await done(ask, r.headers.get('content-location'))).json.entry[0].resource.entry.length, 7);
});
await check('errors are OperationOutcomes', async () => {
  await assert.rejects(client.request('Patient?birthdate=soon'), (e) => e.statusCode === 400 || e.status === 400);
  await assert.rejects(client.request('Nothing/1'), (e) => e.statusCode === 404 || e.status === 404);
});
await check('delete', async () => {
  await client.delete(`Patient/${patient.id}`);
  assert.equal(await status(client.request(`Patient/${patient.id}`)), 410);
});
await check('$purge', async () => {
  const o = await client.request({ url: `Patient/${patient.id}/$purge`, method: 'POST' });
  assert.equal(o.issue[0].severity, 'information');
  assert.equal(await status(client.request(`Patient/${patient.id}/_history/1`)), 404);
});
finish('fhirclient');
