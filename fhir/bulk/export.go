package bulk

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/internal/fault"
)

const mimeLines = "application/fhir+ndjson"

// ExportOperations are $export of the system, of all patients and of a Group
// (https://hl7.org/fhir/uv/bulkdata/STU2/export.html), which write to files.
func ExportOperations(files Files) []server.Operation {
	const def = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"
	return []server.Operation{{Name: "export", Definition: def, Async: true, System: true, Types: []string{"Patient"}, Instances: []string{"Group"},
		Run: func(_ context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			req, err := readExport(s, r)
			if err != nil {
				return nil, err
			}
			x := &export{s: s, r: r, req: req, files: files, id: s.NewID()}
			id, err := s.Jobs().StartAs(x.id, "export", r.Actor, x.run)
			if err != nil {
				return nil, err
			}
			return s.Accepted(r, id), nil
		}}}
}

// exportRequest is what to export.
type exportRequest struct {
	types    []string // sorted
	filters  map[string][]string
	since    string
	until    string
	elements map[string]string // by type, "" = every type
	patients []string          // ids; nil = no restriction to patients
	group    string
	patient  bool // patient-level: only what belongs to a patient
}

func readExport(s *server.Server, r *server.Request) (*exportRequest, error) {
	q, err := exportParams(r)
	if err != nil {
		return nil, err
	}
	if f := q.Get("_outputFormat"); f != "" && !slices.Contains([]string{mimeLines, "application/ndjson", "ndjson", "application/fhir ndjson"}, f) {
		return nil, badExport("_outputFormat", f, "应为 "+mimeLines, "expected "+mimeLines)
	}
	for _, name := range []string{"includeAssociatedData", "organizeOutputBy", "allowPartialManifests"} {
		if q.Has(name) && !r.Prefer.Lenient {
			return nil, notOffered(name)
		}
	}
	if q.Has("patient") && r.Type == "" {
		return nil, fault.New(fault.Invalid, "patient is for Patient and Group").With(fault.Issue{Severity: "error", Code: "invalid", Key: "export-patient",
			Text: "参数 patient 只用于 Patient/$export 与 Group/[id]/$export", TextEN: "patient is a parameter of Patient/$export and Group/[id]/$export"})
	}
	req := &exportRequest{since: q.Get("_since"), until: q.Get("_until"), filters: map[string][]string{}, elements: map[string]string{},
		patient: r.Type != "", patients: ids(q["patient"])}
	if r.Type == "Group" {
		req.group = r.Target.ID
	}
	for _, t := range []string{req.since, req.until} {
		if _, err := time.Parse(time.RFC3339, t); t != "" && err != nil {
			return nil, badExport("_since/_until", t, "应为带时区的时刻，如 2026-01-01T00:00:00+08:00", "expected an instant, e.g. 2026-01-01T00:00:00+08:00")
		}
	}
	if req.types, err = exportTypes(s, r, list(q["_type"])); err != nil {
		return nil, err
	}
	for _, f := range typeFilters(q["_typeFilter"]) {
		typ, query, ok := strings.Cut(f, "?")
		if !ok || !s.Model().IsResource(typ) {
			return nil, badExport("_typeFilter", f, "应为 类型?检索条件，如 Observation?code=x", "expected Type?query, e.g. Observation?code=x")
		}
		req.filters[typ] = append(req.filters[typ], query)
	}
	for _, e := range list(q["_elements"]) {
		typ, name, ok := strings.Cut(e, ".")
		if !ok {
			typ, name = "", e
		}
		req.elements[typ] = strings.TrimPrefix(req.elements[typ]+","+name, ",")
	}
	return req, nil
}

// badExport refuses a parameter's value and says what it should be.
func badExport(name, value, zh, en string) error {
	return fault.New(fault.Invalid, "%s: %s", name, en).With(fault.Issue{Severity: "error", Code: "value", Key: "export-parameter",
		Text: "参数 " + name + " 的值 “" + rest.Clip(value) + "” 不正确：" + zh, TextEN: name + "=" + rest.Clip(value) + ": " + en})
}

// notOffered refuses an optional parameter of the guide; Prefer:
// handling=lenient leaves it out.
func notOffered(name string) error {
	return fault.New(fault.Invalid, "parameter not offered").With(fault.Issue{Severity: "error", Code: "not-supported", Key: "export-parameter",
		Text: "不支持参数 " + name + "；加请求头 Prefer: handling=lenient 可忽略它", TextEN: name + " is not offered; Prefer: handling=lenient leaves it out"})
}

// exportParams reads the parameters from the query or from a Parameters body.
func exportParams(r *server.Request) (url.Values, error) {
	q := url.Values{}
	for k, v := range r.Params() {
		q[k] = v
	}
	if len(r.Body) == 0 {
		return q, nil
	}
	tree, err := fhir.Parse(r.Body)
	if err != nil {
		return nil, err
	}
	for p := range tree.Root().Get("parameter").Each() {
		for v := range p.Children() {
			switch {
			case v.Key() == "valueReference":
				q.Add(p.Get("name").Str(), v.Get("reference").Str())
			case strings.HasPrefix(v.Key(), "value"):
				q.Add(p.Get("name").Str(), v.Str())
			}
		}
	}
	return q, nil
}

// typeFilters splits at the commas before Type?, since queries hold commas too.
func typeFilters(values []string) (out []string) {
	for _, part := range list(values) {
		typ, _, ok := strings.Cut(part, "?")
		if ok && fhir.ParseReference(typ+"/1").Type == typ || len(out) == 0 {
			out = append(out, part)
		} else {
			out[len(out)-1] += "," + part
		}
	}
	return out
}

// list splits comma-separated values.
func list(values []string) (out []string) {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

func ids(refs []string) (out []string) {
	for _, r := range list(refs) {
		out = append(out, strings.TrimPrefix(r, "Patient/"))
	}
	return out
}

// exportTypes are the types asked for, or all: for patients those of the
// patient compartment.
func exportTypes(s *server.Server, r *server.Request, asked []string) ([]string, error) {
	all := s.Model().Resources()
	if r.Type != "" {
		all = nil
		for t := range s.Model().Compartment("Patient").Resources {
			all = append(all, t)
		}
		if !slices.Contains(all, "Patient") {
			all = append(all, "Patient")
		}
	}
	if len(asked) == 0 {
		asked = slices.Clone(all)
	}
	for _, t := range asked {
		if !s.Model().IsResource(t) {
			return nil, badExport("_type", t, "没有这种资源类型", "there is no such resource type")
		}
	}
	asked = slices.DeleteFunc(asked, func(t string) bool { return !slices.Contains(all, t) })
	slices.Sort(asked)
	return slices.Compact(asked), nil
}

// output is a file of the manifest.
type output struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count int    `json:"count"`
}

// manifest is the answer of a finished export; it implements server.AsyncResult.
type manifest struct {
	TransactionTime     string   `json:"transactionTime"`
	Request             string   `json:"request"`
	RequiresAccessToken bool     `json:"requiresAccessToken"`
	Output              []output `json:"output"`
	Deleted             []output `json:"deleted"`
	Error               []output `json:"error"`

	files Files
	id    string
}

// Answer implements server.AsyncResult.
func (m *manifest) Answer(_ *server.Request, at string) (*server.Reply, error) {
	out := *m
	out.Output, out.Deleted = absolute(m.Output, at), absolute(m.Deleted, at)
	b, err := json.Marshal(out)
	return &server.Reply{Body: b, ContentType: "application/json"}, err
}

func absolute(list []output, at string) []output {
	out := make([]output, len(list))
	for i, o := range list {
		o.URL = at + "/" + o.URL
		out[i] = o
	}
	return out
}

// File implements server.AsyncResult.
func (m *manifest) File(ctx context.Context, _ *server.Request, name string) (*server.Reply, error) {
	f, _, err := m.files.Open(ctx, m.id+"/"+name)
	if err != nil {
		return nil, err
	}
	return &server.Reply{ContentType: mimeLines, Stream: func(w io.Writer) error { _, err := io.Copy(w, f); return err },
		Close: func() { _ = f.Close() }}, nil
}
