package fhirfeed

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/trace"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// plan gives a message to the sink without effect and shows its ops.
func plan(t *testing.T, m *pipeline.Message) ([]string, error) {
	t.Helper()
	var p trace.Plan
	m.ID, m.Source = "m1", "county"
	err := NewSink(trace.New(nil, nil), nil).Handle(trace.WithPlan(t.Context(), &p), m)
	var out []string
	for _, op := range p.Ops {
		out = append(out, fmt.Sprintf("%s %s/%s %s%s", op.Method, op.Type, op.ID, op.IfNoneExist+op.Condition, op.Resource))
	}
	return out, err
}

func TestSink_ok(t *testing.T) {
	for name, c := range map[string]struct {
		body, ids string
		want      []string
	}{
		"resource": {`{"resourceType":"Patient","id":"1","active":true}`, "", []string{`PUT Patient/1 {"resourceType":"Patient","id":"1","active":true}`}},
		"derived": {`{"resourceType":"Encounter","id":"1","subject":{"reference":"Patient/1"}}`, "derive", []string{"PUT Encounter/" + hash("county", "Encounter", "1") +
			` {"resourceType":"Encounter","id":"` + hash("county", "Encounter", "1") + `","subject":{"reference":"Patient/` + hash("county", "Patient", "1") + `"}}`}},
		"transaction": {`{"resourceType":"Bundle","type":"transaction","entry":[
			{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=1"}},
			{"resource":{"resourceType":"Basic"},"request":{"method":"PUT","url":"Basic?identifier=2"}},
			{"request":{"method":"DELETE","url":"Basic/3"}},{"request":{"method":"GET","url":"Basic/3"}}]}`, "",
			[]string{"POST Patient/" + hash("county", "Patient", "urn:uuid:1") + ` identifier=1{"resourceType":"Patient","id":"` + hash("county", "Patient", "urn:uuid:1") + `"}`,
				`PUT Basic/ identifier=2{"resourceType":"Basic","id":"` + hash("county", "m1", "Bundle.entry[1].resource") + `"}`, "DELETE Basic/3 "}},
	} {
		got, err := plan(t, &pipeline.Message{Body: []byte(c.body), Headers: map[string]string{HeadIDs: c.ids}})
		if err != nil || strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func TestSink_bad(t *testing.T) {
	for body, place := range map[string]string{
		`{"id":"1"}`:                                          "resourceType",
		`{"resourceType":"OperationOutcome"}`:                 "resourceType",
		`{"resourceType":"Patient","id":"a_b"}`:               "Patient.id",
		`{"resourceType":"Bundle","entry":[{"resource":{}}]}`: "Bundle.entry[0].resource",
		`{"resourceType":"Bundle","entry":[{"request":{"method":"DELETE","url":"whatever it"}}]}`: "Bundle.entry[0].request.url",
	} {
		_, err := plan(t, &pipeline.Message{Body: []byte(body)})
		if is := fault.IssuesOf(err); !fault.Is(err, fault.Invalid) || len(is) == 0 || is[0].Expression != place {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// partner is a FHIR server of three patients, two on a page, and a bulk export.
type partner struct {
	mu    sync.Mutex
	asked []string
	polls int
}

func patient(id, at string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":"%s","meta":{"versionId":"1","lastUpdated":"%s"}}`, id, at)
}

func (p *partner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, r.URL.RequestURI())
	host := "http://" + r.Host
	switch {
	case r.URL.Path == "/token":
		fmt.Fprint(w, `{"access_token":"t","expires_in":3600}`)
	case r.Header.Get("Authorization") != "Bearer t":
		w.WriteHeader(401)
	case r.URL.Path == "/fhir/$export":
		w.Header().Set("Content-Location", host+"/job")
		w.WriteHeader(202)
	case r.URL.Path == "/job":
		if p.polls++; p.polls < 2 {
			w.WriteHeader(202)
			return
		}
		fmt.Fprintf(w, `{"transactionTime":"2026-11-25T00:00:00Z","output":[{"type":"Patient","url":"%s/file"}]}`, host)
	case r.URL.Path == "/file":
		fmt.Fprintln(w, patient("1", "2026-01-01T00:00:00Z")+"\n"+patient("2", "2026-01-01T00:00:00Z"))
	case r.URL.Query().Get("page") == "2":
		fmt.Fprintf(w, `{"resourceType":"Bundle","entry":[{"resource":%s}]}`, patient("3", "2026-01-03T00:00:00Z"))
	default:
		fmt.Fprintf(w, `{"resourceType":"Bundle","link":[{"relation":"next","url":"%s/fhir/Patient?page=2"}],"entry":[{"resource":%s},{"resource":%s}]}`,
			host, patient("1", "2026-01-01T00:00:00Z"), patient("2", "2026-01-02T00:00:00Z"))
	}
}

type log struct{ bodies []string }

func (l *log) Append(_ context.Context, m *pipeline.Message) (pipeline.Position, error) {
	l.bodies = append(l.bodies, string(m.Body))
	return pipeline.Position{}, nil
}

func puller(t *testing.T, edit func(*Pull)) (*partner, *log, *Puller) {
	t.Helper()
	p, l := &partner{}, &log{}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	desk, err := source.New(source.Config{File: filepath.Join(t.TempDir(), "s.json"), Zone: time.UTC}, source.Parts{Inbound: l, IDs: pipeline.NewIDs(clock.System{}), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	state, err := source.OpenState(t.TempDir(), "city")
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultPull()
	cfg.Base, cfg.Types, cfg.Auth = srv.URL+"/fhir", []string{"Patient"}, Auth{TokenURL: srv.URL + "/token", Client: "hub"}
	if edit != nil {
		edit(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return p, l, NewPuller(cfg, srv.Client(), desk.Intake("city"), state)
}

func TestSearchSince(t *testing.T) {
	p, l, pull := puller(t, nil)
	for range 2 {
		if err := pull.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all := strings.Join(l.bodies, "")
	if strings.Count(all, `"id":"3"`) != 1 || strings.Count(all, `"resource":`) < 3 {
		t.Errorf("messages: %s", all)
	}
	if !strings.Contains(strings.Join(p.asked, " "), "_lastUpdated=ge2026-01-02T23%3A59%3A50Z") {
		t.Errorf("asked %q", p.asked)
	}
}

func TestBulk(t *testing.T) {
	p, l, pull := puller(t, func(c *Pull) { c.Bulk = true })
	for range 2 {
		if err := pull.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.bodies) != 2 || strings.Count(l.bodies[0], `"resource":`) != 2 || !strings.Contains(strings.Join(p.asked, " "), "_since=2026-11-25") {
		t.Errorf("%q, asked %q", l.bodies, p.asked)
	}
}

func TestPartnerAway(t *testing.T) {
	_, l, pull := puller(t, func(c *Pull) { c.Auth = Auth{Token: "wrong"} })
	if err := pull.Round(t.Context()); !fault.Is(err, fault.Unauthorized) || len(l.bodies) != 0 {
		t.Errorf("%v", err)
	}
}

var _ store.Writer = (*trace.Store)(nil)
