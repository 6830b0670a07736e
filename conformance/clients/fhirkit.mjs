// The interactions and operations of a FHIR server, asked for by fhir-kit-client:
//   node fhirkit.mjs http://127.0.0.1:8080/fhir
import Client from 'fhir-kit-client';
import assert from 'node:assert/strict';
import { check, done, finish, raw, status } from './checks.mjs';

const base = process.argv[2];
const fhir = new Client({ baseUrl: base });
const ask = raw(base);
const key = `kit-${process.pid}-${Date.now()}`;
const identifier = [{ system: 'urn:kit', value: key }];
const codes = (b) => b.entry.map((e) => e.response.status.slice(0, 3));
const patient = (more = {}) => ({ resourceType: 'Patient', identifier, ...more });
const parameters = (...parameter) => ({ resourceType: 'Parameters', parameter });

let id;
await check('capabilityStatement', async () => {
  const cs = await fhir.capabilityStatement();
  assert.equal(cs.fhirVersion, '4.0.1');
});

// The interactions of http.html.
await check('create', async () => {
  const p = await fhir.create({ resourceType: 'Patient', body: patient({ name: [{ family: '李', given: ['明'] }], birthDate: '1970-01-01', gender: 'male' }) });
  id = p.id;
  assert.equal(p.meta.versionId, '1');
});
await check('read', async () => assert.equal((await fhir.read({ resourceType: 'Patient', id })).name[0].family, '李'));
await check('read with If-None-Match and If-Modified-Since', async () => {
  const r = await ask('GET', `/Patient/${id}`);
  assert.equal((await ask('GET', `/Patient/${id}`, { headers: { 'if-none-match': r.headers.get('etag') } })).status, 304);
  assert.equal((await ask('GET', `/Patient/${id}`, { headers: { 'if-modified-since': r.headers.get('last-modified') } })).status, 304);
});
await check('update', async () => {
  const p = await fhir.update({ resourceType: 'Patient', id, body: patient({ id, active: true, name: [{ family: '王' }], birthDate: '1970-01-01' }) });
  assert.equal(p.meta.versionId, '2');
});
await check('update as create', async () => {
  const r = await ask('PUT', `/Patient/${key}`, { body: JSON.stringify({ resourceType: 'Patient', id: key }), headers: { 'if-none-match': '*' } });
  assert.equal(r.status, 201);
  assert.equal((await ask('PUT', `/Patient/${key}`, { body: JSON.stringify({ resourceType: 'Patient', id: key }), headers: { 'if-none-match': '*' } })).status, 412);
});
await check('update with a stale If-Match', async () =>
  assert.equal(await status(fhir.update({ resourceType: 'Patient', id, body: { resourceType: 'Patient', id }, options: { headers: { 'If-Match': 'W/"1"' } } })), 412));
await check('conditional create', async () => {
  const p = await fhir.create({ resourceType: 'Patient', body: patient(), options: { headers: { 'If-None-Exist': `identifier=urn:kit|${key}` } } });
  assert.equal(p.id, id);
});
await check('conditional update', async () => {
  const p = await fhir.update({ resourceType: 'Patient', searchParams: { identifier: `urn:kit|${key}` }, body: patient({ active: true, name: [{ family: '王' }], birthDate: '1970-01-01', gender: 'male' }) });
  assert.equal(p.id, id);
  assert.equal(p.meta.versionId, '3');
});
await check('JSON Patch', async () => {
  const p = await fhir.patch({ resourceType: 'Patient', id, JSONPatch: [{ op: 'replace', path: '/active', value: false }] });
  assert.equal(p.active, false);
});
await check('a patch whose result is not valid', async () =>
  assert.equal(await status(fhir.patch({ resourceType: 'Patient', id, JSONPatch: [{ op: 'add', path: '/birthDate', value: 'soon' }] })), 400));
await check('FHIRPath Patch', async () => {
  const body = parameters({ name: 'operation', part: [{ name: 'type', valueCode: 'replace' }, { name: 'path', valueString: 'Patient.active' }, { name: 'value', valueBoolean: true }] });
  const r = await ask('PATCH', `/Patient/${id}`, { body: JSON.stringify(body) });
  assert.equal(r.json.active, true);
});
await check('conditional patch', async () => {
  const r = await ask('PATCH', `/Patient?identifier=urn:kit|${key}`, { body: JSON.stringify([{ op: 'replace', path: '/active', value: true }]), headers: { 'content-type': 'application/json-patch+json' } });
  assert.equal(r.status, 200);
});
await check('Binary and its patch', async () => {
  const made = await ask('POST', '/Binary', { body: 'hello', headers: { 'content-type': 'text/plain' } });
  assert.equal(made.status, 201);
  const at = `/Binary/${made.json.id}`;
  assert.equal((await ask('GET', at, { headers: { accept: 'text/plain' } })).text, 'hello');
  const r = await ask('PATCH', at, { body: JSON.stringify([{ op: 'replace', path: '/data', value: 'aGk=' }]), headers: { 'content-type': 'application/json-patch+json' } });
  assert.equal(r.json.data, 'aGk=');
});
await check('vread', async () => assert.equal((await fhir.vread({ resourceType: 'Patient', id, version: '1' })).name[0].family, '李'));
await check('history', async () => {
  assert.equal((await fhir.history({ resourceType: 'Patient', id })).total, 6);
  assert.equal((await fhir.history({ resourceType: 'Patient' })).type, 'history');
  assert.equal((await fhir.history()).type, 'history');
  assert.equal((await ask('GET', `/Patient/${id}/_history?_count=2`)).json.entry.length, 2);
  assert.equal((await ask('GET', `/Patient/${id}/_history?_since=2999-01-01`)).json.entry, undefined);
  assert.equal((await ask('GET', `/Patient/${id}/_history?_at=2999-01-01`)).json.entry.length, 1);
});
await check('search', async () => {
  const b = await fhir.search({ resourceType: 'Patient', searchParams: { identifier: `urn:kit|${key}` } });
  assert.equal(b.total, 1);
  assert.equal(b.entry[0].resource.id, id);
});
await check('search by POST', async () => {
  const b = await fhir.resourceSearch({ resourceType: 'Patient', searchParams: { identifier: `urn:kit|${key}` }, options: { postSearch: true } });
  assert.equal(b.total, 1);
});
await check('search of all types', async () => assert.equal((await fhir.search({ searchParams: { _id: id } })).entry[0].resource.id, id));
await check('unknown parameter: strict and lenient', async () => {
  assert.equal(await status(fhir.search({ resourceType: 'Patient', searchParams: { identifierr: 'x' } })), 400);
  const r = await ask('GET', '/Patient?identifierr=x&_count=1', { headers: { prefer: 'handling=lenient' } });
  assert.equal(r.status, 200);
  assert.ok(!r.json.link.find((l) => l.relation === 'self').url.includes('identifierr'));
});
let encounter;
await check('transaction: internal and conditional references, any order', async () => {
  const urn = 'urn:uuid:0f0c1a52-0000-4000-8000-000000000001';
  const b = await fhir.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry: [
    { resource: { resourceType: 'Observation', status: 'final', code: { coding: [{ system: 'urn:kit', code: 'pulse' }] }, effectiveDateTime: '2026-01-01', subject: { reference: `Patient?identifier=urn:kit|${key}` }, encounter: { reference: urn } }, request: { method: 'POST', url: 'Observation' } },
    { request: { method: 'GET', url: `Observation?encounter:Encounter.class=AMB&patient=${id}` } },
    { fullUrl: urn, resource: { resourceType: 'Encounter', status: 'finished', class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'AMB' }, subject: { reference: `Patient/${id}` } }, request: { method: 'POST', url: 'Encounter' } },
    { request: { method: 'DELETE', url: `Patient/${key}` } },
  ] } });
  assert.deepEqual(codes(b), ['201', '200', '201', '204']);
  assert.equal(b.entry[1].resource.total, 1);
  const obs = await fhir.read({ resourceType: 'Observation', id: b.entry[0].response.location.split('Observation/')[1].split('/')[0] });
  assert.equal(obs.subject.reference, `Patient/${id}`);
  assert.match(obs.encounter.reference, /^Encounter\//);
  encounter = obs.encounter.reference.split('/')[1];
});
await check('transaction is atomic', async () => {
  const bad = { resourceType: 'Bundle', type: 'transaction', entry: [
    { resource: { resourceType: 'Patient', identifier: [{ system: 'urn:kit', value: `${key}-half` }] }, request: { method: 'POST', url: 'Patient' } },
    { resource: { resourceType: 'Patient', id, active: true }, request: { method: 'PUT', url: `Patient/${id}`, ifMatch: 'W/"1"' } }] };
  assert.equal(await status(fhir.transaction({ body: bad })), 412);
  assert.equal((await fhir.search({ resourceType: 'Patient', searchParams: { identifier: `urn:kit|${key}-half` } })).total, 0);
});
await check('batch', async () => {
  const b = await fhir.batch({ body: { resourceType: 'Bundle', type: 'batch', entry: [
    { request: { method: 'GET', url: `Patient/${id}` } }, { request: { method: 'GET', url: 'Patient/none' } }] } });
  assert.deepEqual(codes(b), ['200', '404']);
});
await check('compartment search', async () => {
  const b = await fhir.compartmentSearch({ resourceType: 'Observation', compartment: { resourceType: 'Patient', id } });
  assert.equal(b.entry.length, 1);
});
await check('resolve a reference', async () => {
  const e = await fhir.read({ resourceType: 'Encounter', id: encounter });
  assert.equal((await fhir.resolve({ reference: e.subject.reference })).id, id);
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

// Headers and parameters of every interaction.
await check('Prefer: return', async () => {
  const post = (prefer) => ask('POST', '/Basic', { body: JSON.stringify({ resourceType: 'Basic', code: { text: 'x' } }), headers: { prefer } });
  assert.equal((await post('return=minimal')).text, '');
  assert.equal((await post('return=representation')).json.resourceType, 'Basic');
  assert.equal((await post('return=OperationOutcome')).json.resourceType, 'OperationOutcome');
});
await check('_format, _pretty, _summary, _elements', async () => {
  assert.match((await ask('GET', `/Patient/${id}?_format=xml`)).text, /<Patient xmlns="http:\/\/hl7.org\/fhir">/);
  assert.match((await ask('GET', `/Patient/${id}?_pretty=true`)).text, /\n {2}"/);
  assert.equal((await ask('GET', `/Patient/${id}?_elements=birthDate`)).json.name, undefined);
  assert.equal((await ask('GET', `/Patient/${id}?_summary=true`)).json.meta.tag[0].code, 'SUBSETTED');
  assert.equal((await ask('GET', '/Patient?_summary=count')).json.entry, undefined);
});
await check('HEAD, OPTIONS, CORS, gzip, X-Request-Id', async () => {
  const head = await ask('HEAD', `/Patient/${id}`);
  assert.deepEqual([head.status, head.text], [200, '']);
  const options = await ask('OPTIONS', `/Patient/${id}`, { headers: { origin: 'https://app.example', 'access-control-request-method': 'PATCH' } });
  assert.match(options.headers.get('access-control-allow-methods'), /PATCH/);
  assert.equal((await ask('GET', '/metadata', { headers: { 'accept-encoding': 'gzip' } })).headers.get('content-encoding'), 'gzip');
  assert.equal((await ask('GET', `/Patient/${id}`, { headers: { 'x-request-id': 'kit-1' } })).headers.get('x-request-id'), 'kit-1');
});
await check('errors in Chinese and English, with the place', async () => {
  const bad = JSON.stringify({ resourceType: 'Patient', birthDate: 'soon' });
  const zh = await ask('POST', '/Patient', { body: bad });
  const en = await ask('POST', '/Patient', { body: bad, headers: { 'accept-language': 'en' } });
  assert.deepEqual([zh.status, zh.json.issue[0].expression[0]], [400, 'Patient.birthDate']);
  assert.match(zh.json.issue[0].details.text, /[\u4e00-\u9fff]/);
  assert.doesNotMatch(en.json.issue[0].details.text, /[\u4e00-\u9fff]/);
});
await check('Idempotency-Key', async () => {
  const post = (text) => ask('POST', '/Basic', { body: JSON.stringify({ resourceType: 'Basic', code: { text } }), headers: { 'idempotency-key': key } });
  const [a, b] = [await post('a'), await post('a')];
  assert.equal(a.json.id, b.json.id);
  assert.equal((await post('b')).status, 422);
});
await check('respond-async: status, answer, cancel', async () => {
  const start = () => ask('GET', '/Patient?_count=1', { headers: { prefer: 'respond-async' } });
  const r = await start();
  assert.equal(r.status, 202);
  const answer = await done(ask, r.headers.get('content-location'));
  assert.equal(answer.json.type, 'batch-response');
  assert.equal(answer.json.entry[0].resource.type, 'searchset');
  const at = (await start()).headers.get('content-location');
  assert.equal((await ask('DELETE', at)).status, 202);
  assert.equal((await ask('GET', at)).status, 404);
});

// The operations.
const op = (name, more) => fhir.operation({ name, ...more });
await check('$everything', async () => {
  assert.ok((await op('$everything', { resourceType: 'Patient', id, method: 'get' })).entry.length >= 3);
  assert.ok((await op('$everything', { resourceType: 'Encounter', id: encounter, method: 'get' })).entry.length >= 2);
});
await check('$validate', async () => {
  const good = await op('$validate', { resourceType: 'Patient', input: { resourceType: 'Patient' } });
  assert.ok(!good.issue.some((i) => i.severity === 'error'));
  const bad = await op('$validate', { resourceType: 'Patient', input: { resourceType: 'Patient', gender: 'x' } });
  assert.ok(bad.issue.some((i) => i.severity === 'error' && i.expression[0] === 'Patient.gender'));
});
await check('$meta, $meta-add, $meta-delete', async () => {
  const given = parameters({ name: 'meta', valueMeta: { tag: [{ system: 'urn:kit', code: 't' }] } });
  assert.equal((await op('$meta-add', { resourceType: 'Patient', id, input: given })).parameter[0].valueMeta.tag.length, 1);
  assert.equal((await op('$meta', { resourceType: 'Patient', id, method: 'get' })).parameter[0].valueMeta.tag[0].code, 't');
  assert.equal((await op('$meta-delete', { resourceType: 'Patient', id, input: given })).parameter[0].valueMeta.tag, undefined);
});
await check('$diff', async () => {
  const d = await op('$diff', { resourceType: 'Patient', id, method: 'get', input: { fromVersion: 1, toVersion: 2 } });
  assert.ok(d.parameter.some((p) => p.part.some((x) => x.valueString?.startsWith('Patient.name'))));
});
await check('$lastn', async () => {
  const b = await op('$lastn', { resourceType: 'Observation', method: 'get', input: { patient: id, max: 1 } });
  assert.equal(b.entry.length, 1);
});
await check('$document', async () => {
  const c = await fhir.create({ resourceType: 'Composition', body: { resourceType: 'Composition', status: 'final', type: { text: 't' }, date: '2026-01-01', title: 't', subject: { reference: `Patient/${id}` }, author: [{ reference: `Patient/${id}` }] } });
  const d = await op('$document', { resourceType: 'Composition', id: c.id, method: 'get' });
  assert.deepEqual([d.type, d.entry[0].resource.resourceType, d.entry.length], ['document', 'Composition', 2]);
});
await check('$match', async () => {
  const b = await op('$match', { resourceType: 'Patient', input: parameters({ name: 'resource', resource: patient() }) });
  assert.equal(b.entry[0].resource.id, id);
  assert.equal(b.entry[0].search.score, 1);
});
await check('$graphql', async () => {
  const at = await op('$graphql', { resourceType: 'Patient', id, method: 'get', input: { query: '{id ObservationList(_reference: patient){status}}' } });
  assert.deepEqual(at.data, { id, ObservationList: [{ status: 'final' }] });
  const all = await op('$graphql', { method: 'post', input: { query: 'query($v: String){PatientList(identifier: $v){id}}', variables: { v: `urn:kit|${key}` } } });
  assert.deepEqual(all.data.PatientList, [{ id }]);
});
await check('$expand, $validate-code, $lookup, $subsumes, $translate, $closure', async () => {
  const vs = 'http://hl7.org/fhir/ValueSet/administrative-gender';
  assert.equal((await op('$expand', { resourceType: 'ValueSet', method: 'get', input: { url: vs } })).expansion.total, 4);
  const param = (p, name) => p.parameter.find((x) => x.name === name);
  const system = 'http://hl7.org/fhir/administrative-gender';
  assert.equal(param(await op('$validate-code', { resourceType: 'ValueSet', method: 'get', input: { url: vs, code: 'male', system } }), 'result').valueBoolean, true);
  assert.equal(param(await op('$lookup', { resourceType: 'CodeSystem', method: 'get', input: { system, code: 'male' } }), 'display').valueString, 'Male');
  assert.equal(param(await op('$subsumes', { resourceType: 'CodeSystem', method: 'get', input: { system, codeA: 'male', codeB: 'male' } }), 'outcome').valueCode, 'equivalent');
  const t = await op('$translate', { resourceType: 'ConceptMap', method: 'get', input: { url: 'http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v3', code: 'male', system } });
  assert.ok(param(t, 'result'));
  assert.equal((await op('$closure', { input: parameters({ name: 'name', valueString: key }) })).resourceType, 'ConceptMap');
});
await check('$explain', async () => assert.ok((await ask('GET', '/$explain?Patient?name=x')).json.parameter.length > 0));
await check('$reindex as a job', async () => {
  const r = await ask('POST', '/$reindex');
  assert.equal(r.status, 202);
  assert.equal((await done(ask, r.headers.get('content-location'))).status, 200);
});
await check('conditional delete, delete', async () => {
  await fhir.create({ resourceType: 'Basic', body: { resourceType: 'Basic', identifier, code: { text: 'x' } } });
  assert.equal((await ask('DELETE', `/Basic?identifier=urn:kit|${key}`)).status, 204);
  assert.equal((await fhir.search({ resourceType: 'Basic', searchParams: { identifier: `urn:kit|${key}` } })).total, 0);
  const { id: gone } = await fhir.create({ resourceType: 'Patient', body: { resourceType: 'Patient' } });
  await fhir.delete({ resourceType: 'Patient', id: gone });
  assert.equal(await status(fhir.read({ resourceType: 'Patient', id: gone })), 410);
});
await check('$purge with its proof', async () => {
  const o = await op('$purge', { resourceType: 'Patient', id });
  assert.match(o.issue[0].diagnostics, /AuditEvent/);
  assert.equal(await status(fhir.vread({ resourceType: 'Patient', id, version: '1' })), 404);
  assert.equal(await status(fhir.read({ resourceType: 'Encounter', id: encounter })), 410);
  assert.equal((await fhir.search({ resourceType: 'AuditEvent', searchParams: { entity: `Patient/${id}` } })).entry.length, 1);
});
finish('fhir-kit-client');
