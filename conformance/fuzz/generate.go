package fuzz

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// schema is the part of JSON Schema that descriptions use.
type schema struct {
	Ref        string             `json:"$ref"`
	Const      any                `json:"const"`
	Enum       []any              `json:"enum"`
	Type       any                `json:"type"` // a name or a list of names
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Items      *schema            `json:"items"`
	OneOf      []*schema          `json:"oneOf"`
	AnyOf      []*schema          `json:"anyOf"`
}

// generator makes requests from a seed.
type generator struct {
	*rand.Rand
	f     *fuzzer
	types []string // resource types
}

func (f *fuzzer) generator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 7)), f: f}
	for _, name := range slices.Sorted(maps.Keys(f.doc.Components.Schemas)) {
		if s := f.doc.Components.Schemas[name]; s.Properties["resourceType"] != nil && s.Properties["resourceType"].Const != nil {
			g.types = append(g.types, name)
		}
	}
	return g
}

func (g *generator) pick(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[g.IntN(len(list))]
}

// odd are values that break careless code.
var odd = []string{"", " ", "'", `"`, "\\", "%", "%00", "\x00", "\u202e", "😀", "李", "|", ",", "$", "||", "a|b|c", "*", "..", "../..", "_", "-", "+", "-1", "0", "1e999", "999999999999999999999",
	"9999-99-99", "2026-02-30", "2026-01-01T25:00:00", "ge", "ltge2026", "http://", "urn:uuid:", "Patient/", "/Patient/1", "Patient/1/_history/1", "#", "null", "true", "<a>", "${x}", "' or 1=1 --",
	"(", "))", "[", "{", "a eq", "\ufeff", strings.Repeat("a", 5000), strings.Repeat("a,", 300), strings.Repeat("(", 300), strings.Repeat("a.", 200)}

// values are good ones of the kinds of search parameters.
var values = map[string][]string{
	"token": {"male", "http://loinc.org|1-1", "|x", "final,amended", "true"}, "date": {"2026", "ge2026-01-01", "lt2026-01-01T00:00:00Z", "ap2020", "sa2020-01"},
	"string": {"a", "李", "li", "a b"}, "reference": {"Patient/1", "1", "http://x/Patient/1", "urn:uuid:x"}, "number": {"1", "gt1.5", "ne-1e2"},
	"quantity": {"5", "gt5|http://unitsofmeasure.org|mg", "5||mg"}, "uri": {"http://a", "urn:x"}, "composite": {"a$b", "x|y$ge2026"}, "special": {"1|2|3|km", "a"},
}

var (
	suffixes = []string{":exact", ":contains", ":missing", ":not", ":text", ":in", ":not-in", ":above", ":below", ":of-type", ":identifier", ":Patient", ":nothing", ".name", ":Patient.name", ".a.b.c"}
	controls = []string{"_count=0", "_count=1", "_count=1000000", "_sort=-_lastUpdated", "_sort=_id,nothing", "_include=*", "_revinclude=*", "_include=Patient:organization", "_summary=true", "_summary=count",
		"_elements=id,name", "_total=accurate", "_format=xml", "_format=json", "_pretty=true", "_has:Observation:patient:code=x", "_filter=name eq a", "_filter=a and (b", "_cursor=x", "_since=2026", "_at=2026",
		"_lastUpdated=gt2020", "_text=a", "_content=李", "_list=x", "_type=Patient,Nothing", "_contained=true", "_query=x"}
	headers = [][2]string{{"Accept", "application/fhir+xml"}, {"Accept", "image/png"}, {"Accept", ";;"}, {"Accept-Language", "en"}, {"If-Match", `W/"1"`}, {"If-Match", "x"}, {"If-None-Match", "*"}, {"If-None-Match", `W/"1"`},
		{"If-Modified-Since", "x"}, {"If-None-Exist", "identifier=x"}, {"If-None-Exist", "nothing=x"}, {"Prefer", "return=minimal"}, {"Prefer", "return=OperationOutcome"}, {"Prefer", "handling=lenient"},
		{"Prefer", "respond-async"}, {"Accept-Encoding", "gzip"}, {"Content-Encoding", "gzip"}, {"Content-Encoding", "br"}, {"X-Request-Id", "fuzz"}, {"X-Qihuang-Offset", "0"}, {"X-Qihuang-Offset", "-1"}, {"Idempotency-Key", "fuzz"}, {"Origin", "http://x"}}
	medias = []string{"", "application/json", "application/fhir+json", "application/fhir+xml", "text/xml", "text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", "application/octet-stream", "application/fhir+ndjson",
		"multipart/form-data; boundary=x", "a/b; charset=x", "/"}
)

// request makes a request for an operation, good in a good part of cases.
func (g *generator) request(op operation) request {
	r := request{method: op.method, path: g.path(op.path)}
	var query []string
	for range g.IntN(4) {
		query = append(query, g.parameter(op.query))
	}
	if len(query) > 0 {
		r.path += "?" + strings.Join(query, "&")
	}
	for range g.IntN(3) {
		r.header = append(r.header, headers[g.IntN(len(headers))])
	}
	if op.media == nil {
		return r
	}
	r.media = g.pick(op.media)
	if g.IntN(8) == 0 {
		r.media = g.pick(medias)
	}
	r.body = g.body(op)
	if g.IntN(4) == 0 {
		r.body = g.spoil(r.body)
	}
	return r
}

// path fills in the names of a path.
func (g *generator) path(path string) string {
	typ := g.pick(g.types)
	parts := strings.Split(path, "/")
	if len(parts) > 2 && slices.Contains(g.types, parts[2]) {
		typ = parts[2]
	}
	for i, part := range parts {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		switch part {
		case "{type}", "{inner}":
			parts[i] = g.pick(g.types)
			if part == "{type}" {
				typ = parts[i]
			}
		case "{version}":
			parts[i] = g.pick([]string{"1", "2", "99", "x"})
		default:
			if parts[i] = g.f.known(typ, g.Rand); parts[i] == "" {
				parts[i] = "none"
			}
		}
		if g.IntN(12) == 0 {
			parts[i] = url.PathEscape(g.pick(odd))
		}
	}
	return strings.Join(parts, "/")
}

// parameter makes a name=value pair.
func (g *generator) parameter(list []parameter) string {
	if len(list) == 0 || g.IntN(4) == 0 {
		name, value, _ := strings.Cut(g.pick(controls), "=")
		return url.QueryEscape(name) + "=" + url.QueryEscape(value)
	}
	p := list[g.IntN(len(list))]
	name, value := p.name, g.pick(values[p.kind])
	if g.IntN(4) == 0 {
		name += g.pick(suffixes)
	}
	if value == "" || g.IntN(4) == 0 {
		value = g.pick(odd)
	}
	return url.QueryEscape(name) + "=" + url.QueryEscape(value)
}

// body makes the body of an operation: by its schema, a patch, a bundle, a form.
func (g *generator) body(op operation) []byte {
	switch {
	case op.method == "PATCH":
		return []byte(g.pick([]string{`[{"op":"add","path":"/language","value":"zh"}]`, `[{"op":"remove","path":"/id"}]`, `[{"op":"test","path":"/x","value":[[]]}]`, `[{"op":"move","from":"/meta","path":"/meta/x"}]`,
			`{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"` + op.path + `"},{"name":"name","valueString":"x"},{"name":"value","valueString":"y"}]}]}`}))
	case op.path == "/fhir":
		return g.bundle()
	case slices.Contains(op.media, "application/x-www-form-urlencoded"):
		return []byte(g.parameter(op.query))
	case strings.Contains(op.path, "$"):
		return g.parameters()
	}
	return g.json(op.body)
}

// bundle makes a batch or transaction of a few entries.
func (g *generator) bundle() []byte {
	entries := []any{}
	for range g.IntN(5) {
		typ := g.pick(g.types)
		method := g.pick([]string{"GET", "POST", "PUT", "DELETE", "PATCH", "FOO"})
		at := typ
		if method != "POST" {
			at += "/" + g.pick([]string{"1", g.f.known(typ, g.Rand), "x y"})
		}
		if g.IntN(6) == 0 {
			at = typ + "?" + g.parameter(nil)
		}
		entries = append(entries, map[string]any{"fullUrl": "urn:uuid:" + g.pick([]string{"a", "b", "c"}), "request": map[string]any{"method": method, "url": at},
			"resource": json.RawMessage(g.json(&schema{Ref: "/" + typ}))})
	}
	b, _ := json.Marshal(map[string]any{"resourceType": "Bundle", "type": g.pick([]string{"batch", "transaction", "transaction", "x"}), "entry": entries})
	return b
}

// parameters makes the input of an operation.
func (g *generator) parameters() []byte {
	list := []any{}
	for range g.IntN(4) {
		p := map[string]any{"name": g.pick([]string{"url", "system", "code", "resource", "meta", "name", "valueSet", "coding", "query", "expression", "patient", "max", "x"})}
		switch g.IntN(4) {
		case 0:
			p["valueString"] = g.pick(odd)
		case 1:
			p["valueCode"] = g.pick(values["token"])
		case 2:
			p["valueMeta"] = map[string]any{"tag": []any{map[string]any{"code": g.pick(odd)}}}
		case 3:
			p["resource"] = json.RawMessage(g.json(&schema{Ref: "/" + g.pick(g.types)}))
		}
		list = append(list, p)
	}
	b, _ := json.Marshal(map[string]any{"resourceType": "Parameters", "parameter": list})
	return b
}

const maxDepth = 5

// choice matches the members of elements of several types, of which one may be
// there.
var choice = regexp.MustCompile(`^(value|defaultValue|fixed|pattern|minValue|maxValue|onset|abatement|effective|deceased|multipleBirth|performed|occurrence|occurred|medication|serviced|location|diagnosis|procedure|item|product|timing|scheduled|asNeeded|dose|rate|allowed|used|answer|born|age|content|identified|start|due|detail|collected|fasting|time|name|topic|entity|subject|source|target|rule|legallyBinding|amount|version|characteristic|definition|reported|indication|manifestation|chargeItem|participantEffective|studyEffective|additive|statusReason|bounds|module|author)[A-Z]`)

// json makes a value of a schema.
func (g *generator) json(s *schema) []byte {
	b, err := json.Marshal(g.value(s, "", 0))
	if err != nil {
		return []byte("{}")
	}
	return b
}

// samples are texts of FHIR's primitive types.
var samples = map[string][]string{"date": {"2026-01-02", "2026"}, "dateTime": {"2026-01-02T03:04:05Z", "2026-01"}, "instant": {"2026-01-02T03:04:05.678+08:00"}, "time": {"12:00:00"}, "id": {"a1", "b-2"},
	"code": {"final", "active", "x"}, "uri": {"http://a", "urn:x"}, "url": {"http://a"}, "canonical": {"http://a|1"}, "oid": {"urn:oid:1.2"}, "uuid": {"urn:uuid:0f0c1a52-0000-4000-8000-000000000001"},
	"base64Binary": {"aGk="}, "markdown": {"*a*"}, "string": {"a", "李明"}, "xhtml": {`<div xmlns="http://www.w3.org/1999/xhtml">a</div>`}}

func (g *generator) value(s *schema, name string, depth int) any {
	switch {
	case s == nil:
		return map[string]any{}
	case s.Ref != "":
		name = s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		return g.value(g.f.doc.Components.Schemas[name], name, depth)
	case s.Const != nil:
		return s.Const
	case len(s.Enum) > 0:
		return s.Enum[g.IntN(len(s.Enum))]
	case len(s.OneOf) > 0:
		return g.value(s.OneOf[g.IntN(len(s.OneOf))], name, depth)
	case len(s.AnyOf) > 0:
		return g.value(s.AnyOf[g.IntN(len(s.AnyOf))], name, depth)
	}
	kind, _ := s.Type.(string)
	if list, ok := s.Type.([]any); ok && len(list) > 0 {
		kind, _ = list[0].(string)
	}
	switch {
	case kind == "array":
		out := make([]any, 1+g.IntN(2))
		for i := range out {
			out[i] = g.value(s.Items, "", depth+1)
		}
		return out
	case kind == "string" && g.IntN(80) == 0:
		return strings.ToValidUTF8(g.pick(odd), "")
	case kind == "string" && samples[name] != nil:
		return g.pick(samples[name])
	case kind == "string":
		return "a"
	case kind == "integer":
		return g.IntN(5)
	case kind == "number":
		return 1.5
	case kind == "boolean":
		return g.IntN(2) == 0
	}
	return g.object(s, depth)
}

// object makes the required members and, where it is not deep, some others.
func (g *generator) object(s *schema, depth int) any {
	out := map[string]any{}
	keys := slices.Sorted(maps.Keys(s.Properties))
	for _, key := range keys {
		rare := key == "contained" || strings.Contains(key, "xtension") || choice.MatchString(key) // seldom right where several are drawn
		if slices.Contains(s.Required, key) || depth < maxDepth && key[0] != '_' && g.IntN(6+6*depth) == 0 && (!rare || g.IntN(30) == 0) {
			out[key] = g.value(s.Properties[key], "", depth+1)
		}
	}
	for _, key := range []string{"text", "display", "reference", "value", "code", "start", "url", "id"} { // nothing may be empty
		if len(out) == 0 && s.Properties[key] != nil && slices.Contains(keys, key) {
			out[key] = g.value(s.Properties[key], "", depth+1)
		}
	}
	return out
}

// spoil damages a body.
func (g *generator) spoil(b []byte) []byte {
	b = slices.Clone(b)
	if len(b) == 0 {
		return []byte(g.pick(odd))
	}
	i := g.IntN(len(b))
	switch g.IntN(7) {
	case 0:
		return b[:i]
	case 1:
		b[i] ^= byte(1 + g.IntN(255))
	case 2:
		return slices.Insert(b, i, []byte(g.pick(odd))...)
	case 3:
		return append(b, b...)
	case 4:
		return []byte(strings.Repeat("[", 1+g.IntN(1000)) + string(b))
	case 5:
		return []byte(strings.ReplaceAll(string(b), `"a"`, g.pick([]string{"null", "[]", "{}", "1e400", `{"a":[null]}`})))
	case 6:
		return nil
	}
	return b
}
