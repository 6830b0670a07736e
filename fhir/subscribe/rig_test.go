package subscribe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/outbound"
)

// rig is a hub with a memory repository, and a subscriber's endpoint.
type rig struct {
	t     *testing.T
	store *memory.Store
	parts Parts
	cfg   Config
	url   string // of the hub
	hook  *hook
	end   string // URL of the endpoint

	current *Service // the running service; requests go to it
	halt    func()
}

// delegate lets the server outlive a restart of the service.
type delegate struct{ r *rig }

func (d delegate) operations() []server.Operation {
	ops := d.r.current.Operations()
	for i, op := range ops {
		ops[i].Run = func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			for _, o := range d.r.current.Operations() {
				if o.Name == op.Name {
					return o.Run(ctx, s, r)
				}
			}
			return nil, io.EOF
		}
	}
	return ops
}

func knowledge(t *testing.T) (*definitions.Model, *fhirpath.Engine, *search.Engine) {
	t.Helper()
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	paths := fhirpath.NewEngine(m)
	return m, paths, search.NewEngine(m, paths)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	m, paths, se := knowledge(t)
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: se})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = st.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	out, err := outbound.New(outbound.Local())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, store: st, hook: &hook{}}
	r.parts = Parts{Store: st, Feed: st, Search: se, Paths: paths, Outbound: out, XML: func(b []byte) ([]byte, error) { return xml.FromJSON(m, b) },
		Key: []byte("key"), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), NewID: uuid.NewString}
	r.cfg = Default(t.TempDir())
	r.cfg.First, r.cfg.Longest, r.cfg.Base = time.Millisecond, 4*time.Millisecond, "http://hub/fhir"
	ep := httptest.NewServer(r.hook)
	t.Cleanup(ep.Close)
	r.end = ep.URL
	r.start()
	t.Cleanup(func() { r.halt() })
	s, err := server.New(server.Default(), server.Parts{Store: st, Model: m, Search: se, Log: r.parts.Log, Validator: validator{r}, Operations: delegate{r}.operations(),
		Extensions: func(base string) []server.Extension { return r.current.Extensions(base) }})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	s.Mount(g)
	g.GET(SocketPath, func(c *gin.Context) { r.current.ServeHTTP(c.Writer, c.Request) })
	ts := httptest.NewServer(g)
	t.Cleanup(func() { ts.CloseClientConnections(); ts.Close(); s.Close() })
	r.url = ts.URL
	topics, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range topics {
		r.put(string(b))
	}
	r.until("the topics", func() bool { return len(r.current.Topics()) == len(topics) })
	return r
}

// start opens and runs the service; halt ends it.
func (r *rig) start() {
	r.t.Helper()
	s, err := Open(r.cfg, r.parts)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{s.Run, s.Deliver} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				r.t.Errorf("service: %v", err)
			}
		})
	}
	r.current = s
	r.halt = func() {
		cancel()
		wg.Wait()
		if err := s.Close(); err != nil {
			r.t.Errorf("close: %v", err)
		}
		r.halt = func() {}
	}
}

func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			r.t.Fatalf("not in time: %s; subscriptions %+v", what, r.current.List())
		}
		<-time.After(time.Millisecond)
	}
}

func (r *rig) call(method, path, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

// put stores a resource under its own id.
func (r *rig) put(body string) {
	r.t.Helper()
	var head struct{ ResourceType, ID string }
	if err := json.Unmarshal([]byte(body), &head); err != nil {
		r.t.Fatal(err)
	}
	if code, text := r.call("PUT", "/fhir/"+head.ResourceType+"/"+head.ID, body); code/100 != 2 {
		r.t.Fatalf("put %s: %d %s", head.ID, code, text)
	}
}

// status reads the status in the resource.
func (r *rig) status(id string) string {
	_, body := r.call("GET", "/fhir/Subscription/"+id, "")
	var s struct{ Status string }
	_ = json.Unmarshal([]byte(body), &s)
	return s.Status
}

// topicSub is a subscription to one of the shipped topics.
func (r *rig) topicSub(id, topic, content, more string, filters ...string) string {
	var ext []string
	for _, f := range filters {
		ext = append(ext, fmt.Sprintf(`{"url":%q,"valueString":%q}`, extFilter, f))
	}
	crit := ""
	if len(ext) > 0 {
		crit = `"_criteria":{"extension":[` + strings.Join(ext, ",") + `]},`
	}
	return fmt.Sprintf(`{"resourceType":"Subscription","id":%q,"status":"requested","reason":"test","criteria":"https://qihuang.health/fhir/SubscriptionTopic/%s",%s
"channel":{"type":"rest-hook","endpoint":%q,"payload":"application/fhir+json","_payload":{"extension":[{"url":%q,"valueCode":%q}]}%s}}`,
		id, topic, crit, r.end+"/"+id, extContent, content, more)
}

func patient(id, family string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":%q}]}`, id, family)
}

// hook records what arrives, and refuses while told to.
type hook struct {
	mu     sync.Mutex
	refuse int // status to answer; 0 = 200
	got    []delivery
}

type delivery struct {
	method, path, auth, media, body string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != 0 {
		w.WriteHeader(h.refuse)
		return
	}
	h.got = append(h.got, delivery{r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(b)})
}

func (h *hook) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse = status
}

func (h *hook) all() []delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]delivery(nil), h.got...)
}

// notice is what a test looks at in a notification.
type notice struct {
	Kind, Status, Count string
	Numbers             []string
	Focus               []string
	Resources           []string // Type/id of the resources after the status
}

func readNotice(t *testing.T, body string) (n notice) {
	t.Helper()
	type param struct {
		Name, ValueCode, ValueString string
		ValueReference               struct{ Reference string }
		Part                         []param
	}
	var b struct {
		Type  string
		Entry []struct {
			Resource struct {
				ResourceType, ID string
				Parameter        []param
			}
			Request, Response map[string]any
		}
	}
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if b.Type != "history" || len(b.Entry) == 0 || b.Entry[0].Resource.ResourceType != "Parameters" {
		t.Fatalf("no notification: %s", body)
	}
	for i, e := range b.Entry {
		if e.Request == nil || e.Response == nil {
			t.Errorf("entry %d of a history needs request and response: %s", i, body)
		}
		if i > 0 && e.Resource.ID != "" {
			n.Resources = append(n.Resources, e.Resource.ResourceType+"/"+e.Resource.ID)
		}
	}
	for _, p := range b.Entry[0].Resource.Parameter {
		switch p.Name {
		case "type":
			n.Kind = p.ValueCode
		case "status":
			n.Status = p.ValueCode
		case "events-since-subscription-start":
			n.Count = p.ValueString
		}
		for _, q := range p.Part {
			switch q.Name {
			case "event-number":
				n.Numbers = append(n.Numbers, q.ValueString)
			case "focus":
				n.Focus = append(n.Focus, strings.TrimPrefix(q.ValueReference.Reference, "http://hub/fhir/"))
			}
		}
	}
	return n
}

// numbers are the event numbers that arrived at a path, in order.
func (r *rig) numbers(path string) (out []string) {
	for _, d := range r.hook.all() {
		if d.path == path {
			out = append(out, readNotice(r.t, d.body).Numbers...)
		}
	}
	return out
}

// foci are the resources of the events that arrived at a path, in order.
func (r *rig) foci(path string) (out []string) {
	for _, d := range r.hook.all() {
		if d.path == path {
			out = append(out, readNotice(r.t, d.body).Focus...)
		}
	}
	return out
}
