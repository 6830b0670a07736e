package fhirfeed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/fhir/store/trace"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/outbound"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// pair is two hubs: ours pushes to the peer, whose REST door the test can break.
type pair struct {
	t          *testing.T
	ours, peer *memory.Store
	search     *search.Engine
	url        string
	desk       *source.Desk
	letters    *letters
	place      atomic.Int64 // that commit kept
	writes     int

	mu    sync.Mutex
	fault func(next http.Handler, w http.ResponseWriter, r *http.Request) // nil = none
	asked int
}

// letters keeps dead letters by id.
type letters struct {
	pipeline.DeadLetters
	mu  sync.Mutex
	all map[string]*pipeline.DeadLetter
}

func (l *letters) Put(_ context.Context, d *pipeline.DeadLetter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[d.ID] = d
	return nil
}

func (l *letters) list() (out []*pipeline.DeadLetter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.all {
		out = append(out, d)
	}
	return out
}

// refuses is the peer's policy: it takes no patient of unknown sex.
type refuses struct{}

func (refuses) Check(_ context.Context, res fhir.Node) []fault.Issue {
	if res.Get("gender").Str() != "unknown" {
		return nil
	}
	return []fault.Issue{{Severity: "error", Code: "business-rule", Text: "性别不明的患者不收", Expression: "Patient.gender"}}
}

func newPair(t *testing.T) *pair {
	t.Helper()
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, search: search.NewEngine(m, fhirpath.NewEngine(m)), letters: &letters{all: map[string]*pipeline.DeadLetter{}}}
	open := func() *memory.Store {
		st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: p.search})
		if err != nil {
			t.Fatal(err)
		}
		storetest.Start(t, st)
		return st
	}
	p.ours, p.peer = open(), open()
	rest, err := server.New(server.Default(), server.Parts{Store: p.peer, Model: m, Search: p.search, Validator: refuses{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	rest.Mount(g)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked++
		fault := p.fault
		p.mu.Unlock()
		if fault != nil {
			fault(g, w, r)
			return
		}
		g.ServeHTTP(w, r)
	}))
	ts.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(func() { ts.Close(); rest.Close() })
	p.url = ts.URL + "/fhir"
	p.desk, err = source.New(source.Config{File: filepath.Join(t.TempDir(), "s.json"), Zone: time.UTC},
		source.Parts{Inbound: &log{}, Letters: p.letters, IDs: pipeline.NewIDs(clock.System{}), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	p.desk.Register("city", PushKind, "", source.DefaultRules())
	return p
}

func (p *pair) breaks(fault func(next http.Handler, w http.ResponseWriter, r *http.Request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

func (p *pair) pusher(edit func(*Push)) *Pusher {
	p.t.Helper()
	cfg := DefaultPush()
	cfg.Base, cfg.Types, cfg.First, cfg.Longest = p.url, []string{"Patient", "Encounter"}, time.Millisecond, 4*time.Millisecond
	if edit != nil {
		edit(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		p.t.Fatal(err)
	}
	out, err := outbound.New(outbound.Local())
	if err != nil {
		p.t.Fatal(err)
	}
	push, err := NewPusher(cfg, PushParts{Repository: p.ours, Search: p.search, HTTP: out.HTTP(5 * time.Second), Intake: p.desk.Intake("city")})
	if err != nil {
		p.t.Fatal(err)
	}
	return push
}

// life runs a pusher until done says so, or ctx ends.
func (p *pair) life(ctx context.Context, push *Pusher, done func() bool) {
	p.t.Helper()
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := push.Follow(ctx, p.place.Load(), func(next int64) error {
			if ctx.Err() != nil {
				return ctx.Err() // killed: what it would have kept is lost
			}
			p.place.Store(next)
			return nil
		}); err != nil {
			p.t.Error(err)
		}
	})
	until := time.Now().Add(20 * time.Second)
	for ctx.Err() == nil && !done() {
		if time.Now().After(until) {
			p.t.Error("not done in time")
			break
		}
		time.Sleep(200 * time.Microsecond)
	}
	stop()
	wg.Wait()
}

func (p *pair) commit(ops ...store.Op) {
	p.t.Helper()
	p.writes++
	if _, err := p.ours.Commit(p.t.Context(), &store.Transaction{ID: fmt.Sprint("w", p.writes), Time: time.Now(), Ops: ops}); err != nil {
		p.t.Fatal(err)
	}
}

func putOp(typ, id, more string) store.Op {
	return store.Op{Method: store.Update, Type: typ, ID: id, Resource: fmt.Appendf(nil, `{"resourceType":%q,"id":%q%s}`, typ, id, more)}
}

// versions lists what a store holds of the types, oldest first, without what a
// server sets itself.
func (p *pair) versions(st *memory.Store, types ...string) (out []string) {
	p.t.Helper()
	snap, err := st.Snapshot(p.t.Context(), 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer snap.Close()
	for c, err := range snap.History(store.HistoryQuery{}) {
		if err != nil {
			p.t.Fatal(err)
		}
		if slices.Contains(types, c.Type) {
			out = append(out, fmt.Sprintf("%s/%s/%d %s", c.Type, c.ID, c.Version.Version, bare(p.t, c.Resource)))
		}
	}
	slices.Reverse(out)
	return out
}

func bare(t *testing.T, resource []byte) string {
	t.Helper()
	if resource == nil {
		return "deleted"
	}
	tree, err := fhir.Parse(resource)
	if err != nil {
		t.Fatal(err)
	}
	return string(fhir.Splice(resource, fhir.Remove(tree.Root(), tree.Root().Get("meta"))))
}

func TestPushByID(t *testing.T) {
	p := newPair(t)
	p.commit(putOp("Patient", "p1", `,"active":true`), putOp("Encounter", "e1", `,"status":"planned","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"}`), putOp("Basic", "b1", `,"code":{"text":"x"}`))
	p.commit(putOp("Patient", "p1", `,"active":false`))
	p.commit(putOp("Patient", "p2", `,"active":true`))
	p.commit(store.Op{Method: store.Delete, Type: "Patient", ID: "p2"})
	p.life(t.Context(), p.pusher(nil), func() bool { return p.place.Load() > 3 })
	want, got := p.versions(p.ours, "Patient", "Encounter"), p.versions(p.peer, "Patient", "Encounter", "Basic")
	if len(want) != 5 || !slices.Equal(want, got) {
		t.Errorf("ours\n%s\npeer\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	s, err := p.desk.Get("city")
	if err != nil || s.Total.Done != 5 || s.Waiting != 0 || s.LastMessage == nil {
		t.Errorf("%+v %v", s, err)
	}
}

// TestPushByIdentifier: the peer gives ids of its own; references follow, within
// a transaction and to what came before it.
func TestPushByIdentifier(t *testing.T) {
	p := newPair(t)
	sub := `,"status":"planned","class":{"code":"AMB"},"identifier":[{"system":"urn:v","value":"%s"}],"subject":{"reference":"Patient/p1"},"participant":[{"individual":{"reference":"Practitioner/none"}}]`
	p.commit(putOp("Patient", "p1", `,"identifier":[{"value":"no system"},{"system":"urn:other","value":"x"},{"system":"urn:id","value":"1,a|b"}],"active":true`),
		putOp("Encounter", "e1", fmt.Sprintf(sub, "v1")))
	p.commit(putOp("Encounter", "e2", fmt.Sprintf(sub, "v2")))
	p.commit(putOp("Encounter", "e3", fmt.Sprintf(sub, "v3")))
	p.commit(store.Op{Method: store.Delete, Type: "Encounter", ID: "e1"})
	p.life(t.Context(), p.pusher(func(c *Push) { c.By, c.Batch = ByIdentifier, 2 }), func() bool { return p.place.Load() > 3 })
	snap, err := p.peer.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	patients, encounters := map[string]int{}, 0
	for c, err := range snap.History(store.HistoryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.Type == "Patient":
			patients[c.ID]++
		case !c.Deleted():
			encounters++
			if !strings.Contains(string(c.Resource), `"reference":"Patient/`) || strings.Contains(string(c.Resource), "Patient/p1") || !strings.Contains(string(c.Resource), `"Practitioner/none"`) {
				t.Errorf("%s", c.Resource)
			}
		}
		if c.ID == "p1" || c.ID == "e1" {
			t.Errorf("the hub's id %s at the peer", c.ID)
		}
	}
	if len(patients) != 1 || encounters != 3 || len(p.letters.list()) != 0 {
		t.Errorf("patients %v, encounters %d, letters %v", patients, encounters, p.letters.list())
	}
}

func TestPushFilter(t *testing.T) {
	p := newPair(t)
	p.commit(putOp("Patient", "a", `,"gender":"male"`), putOp("Patient", "b", `,"gender":"female"`))
	p.commit(store.Op{Method: store.Delete, Type: "Patient", ID: "a"}, store.Op{Method: store.Delete, Type: "Patient", ID: "b"})
	p.life(t.Context(), p.pusher(func(c *Push) { c.Filter = map[string]string{"Patient": "gender=female"} }), func() bool { return p.place.Load() > 1 })
	if got := p.versions(p.peer, "Patient"); len(got) != 2 || !strings.HasPrefix(got[0], "Patient/b/1") || got[1] != "Patient/b/2 deleted" {
		t.Errorf("%q", got)
	}
	if _, err := NewPusher(Push{Filter: map[string]string{"Patient": "nonsense=1"}}, PushParts{Search: p.search}); err == nil {
		t.Error("a filter that is no search was accepted")
	}
}

func TestPushFromNow(t *testing.T) {
	p := newPair(t)
	p.commit(putOp("Patient", "old", ""))
	push := p.pusher(func(c *Push) { c.From = Now })
	p.life(t.Context(), push, func() bool { return p.place.Load() == 1 })
	p.commit(putOp("Patient", "new", ""))
	p.life(t.Context(), push, func() bool { return p.place.Load() == 2 })
	if got := p.versions(p.peer, "Patient"); len(got) != 1 || !strings.HasPrefix(got[0], "Patient/new/1") {
		t.Errorf("%q", got)
	}
}

// TestPushThroughFaults: the peer is away, busy, loses answers; the hub stops at
// any moment. In the end the peer has every version once and in order.
func TestPushThroughFaults(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd, p := rand.New(rand.NewPCG(seed, 1)), newPair(t)
	var mu sync.Mutex
	p.breaks(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		what := rnd.IntN(6)
		mu.Unlock()
		switch what {
		case 0: // away
			panic(http.ErrAbortHandler)
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2: // takes it, but the answer is lost
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case 3: // a proxy's own page
			w.WriteHeader(http.StatusOK)
			_, _ = io.WriteString(w, "<html>")
		default:
			next.ServeHTTP(w, r)
		}
	})
	const transactions = 120
	for i := range transactions {
		ops := []store.Op{putOp("Patient", fmt.Sprint("p", rnd.IntN(20)), fmt.Sprintf(`,"identifier":[{"value":"%d"}]`, i))}
		if rnd.IntN(3) == 0 {
			ops = append(ops, putOp("Encounter", fmt.Sprint("e", i), `,"status":"planned","class":{"code":"AMB"}`))
		}
		p.commit(ops...)
	}
	stops := 0
	for p.place.Load() < transactions {
		mu.Lock()
		limit := time.Duration(rnd.IntN(12_000)) * time.Microsecond
		mu.Unlock()
		ctx, stop := context.WithTimeout(t.Context(), limit)
		p.life(ctx, p.pusher(func(c *Push) { c.Batch = 5 }), func() bool { return p.place.Load() == transactions })
		stop()
		if stops++; stops > 2000 || t.Failed() {
			t.Fatalf("at %d of %d after %d lives", p.place.Load(), transactions, stops)
		}
	}
	if want, got := p.versions(p.ours, "Patient", "Encounter"), p.versions(p.peer, "Patient", "Encounter"); !slices.Equal(want, got) {
		t.Errorf("ours %d versions, peer %d:\n%s", len(want), len(got), strings.Join(got, "\n"))
	}
	t.Logf("%d lives, %d requests", stops, p.asked)
}

// TestPushRefused: the resource the peer cannot take is found and set aside with
// the peer's words; the others go on; mended, it goes through.
func TestPushRefused(t *testing.T) {
	p := newPair(t)
	var ops []store.Op
	for i := range 30 {
		gender := "male"
		if i == 17 || i == 18 {
			gender = "unknown"
		}
		ops = append(ops, putOp("Patient", fmt.Sprint("p", i), fmt.Sprintf(`,"gender":%q`, gender)))
	}
	p.commit(ops...)
	p.commit(putOp("Patient", "last", ""))
	push := p.pusher(func(c *Push) { c.Batch = 10 })
	p.life(t.Context(), push, func() bool { return p.place.Load() == 2 })
	p.place.Store(0) // the place was lost: all comes again, the letters stay two
	p.life(t.Context(), push, func() bool { return p.place.Load() == 2 })
	if got := p.versions(p.peer, "Patient"); len(got) != 29 || !strings.HasPrefix(got[28], "Patient/last/1") {
		t.Errorf("%d versions: %q", len(got), got)
	}
	list := p.letters.list()
	if len(list) != 2 {
		t.Fatalf("%d letters", len(list))
	}
	for _, d := range list {
		if !strings.Contains(d.Reason, "HTTP 4") || !strings.Contains(d.Reason, "性别不明的患者不收") || d.Location == "" || d.Message.Kind != PushKind || !strings.Contains(string(d.Message.Body), "unknown") {
			t.Errorf("%+v", d)
		}
	}
	sink := PushSink{"city": push}
	m := list[0].Message
	if err := sink.Handle(t.Context(), m); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Sentence(err), "性别不明") {
		t.Errorf("not mended: %v", err)
	}
	p.commit(putOp("Patient", m.Headers[headID], `,"gender":"female"`))
	before := p.asked
	if err := sink.Handle(trace.WithPlan(t.Context(), &trace.Plan{}), m); err != nil || p.asked != before {
		t.Errorf("a trial had an effect: %v", err)
	}
	if err := sink.Handle(t.Context(), m); err != nil {
		t.Error(err)
	}
	if got := p.versions(p.peer, "Patient"); len(got) != 30 || !strings.Contains(got[29], "female") {
		t.Errorf("%q", got)
	}
	p.breaks(func(_ http.Handler, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	var later *pipeline.Later
	if err := sink.Handle(t.Context(), m); !errors.As(err, &later) {
		t.Errorf("a peer that is away: %v", err)
	}
}

// TestPushPaused sends nothing, and shows what waits.
func TestPushPaused(t *testing.T) {
	p := newPair(t)
	if err := p.desk.Pause("city"); err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		p.commit(putOp("Patient", fmt.Sprint(i), ""))
	}
	p.life(t.Context(), p.pusher(nil), func() bool { s, _ := p.desk.Get("city"); return s.Waiting == 7 })
	if p.asked != 0 {
		t.Errorf("%d requests while paused", p.asked)
	}
	if err := p.desk.Resume("city"); err != nil {
		t.Fatal(err)
	}
	p.life(t.Context(), p.pusher(nil), func() bool { s, _ := p.desk.Get("city"); return s.Waiting == 0 && s.Total.Done == 7 })
}

// TestPushNotAllowed: a host outside the list is never called, and the operator
// told what to do.
func TestPushNotAllowed(t *testing.T) {
	p := newPair(t)
	p.commit(putOp("Patient", "1", ""))
	push := p.pusher(func(c *Push) { c.Base = "http://fhir.example.cn/fhir" })
	p.life(t.Context(), push, func() bool { s, _ := p.desk.Get("city"); return strings.Contains(s.ErrorText, "outbound.allow") })
	if p.place.Load() != 0 {
		t.Error("the place moved")
	}
}

// TestAnswers is the table of retry classes.
func TestAnswers(t *testing.T) {
	outcome := `{"resourceType":"OperationOutcome","issue":[{"severity":"warning","diagnostics":"w"},{"severity":"error","diagnostics":"no such code","expression":["Patient.gender"]}]}`
	for name, c := range map[string]struct {
		status int
		body   string
		want   string // ok | refused | later
	}{
		"taken":             {200, `{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201 Created"}}]}`, "ok"},
		"half taken":        {200, `{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"201"}},{"response":{"status":"422","outcome":` + outcome + `}}]}`, "refused"},
		"a page":            {200, "<html>", "later"},
		"an outcome only":   {200, outcome, "later"},
		"invalid":           {400, outcome, "refused"},
		"unprocessable":     {422, "", "refused"},
		"too large":         {413, "", "refused"},
		"conflict":          {409, outcome, "refused"},
		"missing reference": {404, outcome, "refused"},
		"wrong address":     {404, "<html>", "later"},
		"not allowed":       {405, outcome, "later"},
		"no token":          {401, outcome, "later"},
		"forbidden":         {403, outcome, "later"},
		"busy":              {429, outcome, "later"},
		"broken":            {500, outcome, "later"},
	} {
		err := answered(&http.Response{StatusCode: c.status, Header: http.Header{"Retry-After": {"7"}}}, []byte(c.body))
		var no *refusal
		got := "later"
		switch {
		case err == nil:
			got = "ok"
		case errors.As(err, &no):
			got = "refused"
		}
		if got != c.want {
			t.Errorf("%s: %s (%v)", name, got, err)
		}
		if no != nil && c.body != "" && (no.text != "no such code" || no.place != "Patient.gender") {
			t.Errorf("%s: %+v", name, no)
		}
		if wait := retryAfter(err); (wait == 7*time.Second) != (c.status == 429) {
			t.Errorf("%s: wait %v", name, wait)
		}
	}
}

func TestPushConfig_bad(t *testing.T) {
	for name, edit := range map[string]func(*Push){
		"base":   func(c *Push) { c.Base = "host/fhir" },
		"types":  func(c *Push) { c.Types = nil },
		"by":     func(c *Push) { c.By = "name" },
		"from":   func(c *Push) { c.From = "yesterday" },
		"batch":  func(c *Push) { c.Batch = 0 },
		"filter": func(c *Push) { c.Filter = map[string]string{"Basic": "code=1"} },
		"chain":  func(c *Push) { c.Filter = map[string]string{"Encounter": "patient.name=li"} },
		"second": func(c *Push) { c.Filter = map[string]string{"Encounter": "status=planned&patient.name=li"} },
		"auth":   func(c *Push) { c.Auth.TokenURL = "http://x" },
		"pauses": func(c *Push) { c.Longest = 0 },
	} {
		cfg := DefaultPush()
		cfg.Base = "http://h/fhir"
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		if edit(&cfg); cfg.Validate() == nil {
			t.Errorf("%s accepted", name)
		}
	}
}
