package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// hub is one end of an exchange.
type hub struct {
	t      testing.TB
	name   string
	store  *memory.Store
	source *Source
	x      *Exchange
	srv    *httptest.Server
	writes int
}

func newHub(t testing.TB, name, alg string) *hub {
	t.Helper()
	st, err := memory.New(storetest.Config(nil))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, st)
	key, err := NewKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return &hub{t: t, name: name, store: st, source: NewSource(name, []string{"Patient", "Encounter"}, signer, st)}
}

// meet makes two hubs know each other.
func meet(a, b *hub, token string) {
	gin.SetMode(gin.TestMode)
	routers := [2]*gin.Engine{gin.New(), gin.New()}
	for i, h := range []*hub{a, b} {
		h.srv = httptest.NewServer(routers[i])
		h.t.Cleanup(h.srv.Close)
	}
	for i, h := range []*hub{a, b} {
		other := []*hub{b, a}[i]
		v, err := NewVerifier(other.source.signer.Public())
		if err != nil {
			h.t.Fatal(err)
		}
		h.x = NewExchange(h.source, NewTaker(h.store, clock.System{}), http.DefaultClient, slog.New(slog.DiscardHandler),
			[]Peer{{Name: other.name, Base: other.srv.URL, Token: token, Verifier: v}})
		h.x.Local = true
		h.x.Mount(routers[i])
	}
}

func (h *hub) put(typ, id, more string) {
	h.t.Helper()
	h.writes++
	body := fmt.Appendf(nil, `{"resourceType":%q,"id":%q%s}`, typ, id, more)
	if _, err := h.store.Commit(context.Background(), &store.Transaction{ID: fmt.Sprint(h.name, h.writes), Time: time.Now(), Ops: []store.Op{{Method: store.Update, Type: typ, ID: id, Resource: body}}}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hub) read(typ, id string) string {
	h.t.Helper()
	snap, err := h.store.Snapshot(context.Background(), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer snap.Close()
	v, err := snap.Read(typ, id)
	if err != nil {
		return ""
	}
	return string(v.Resource)
}

func TestTwoHubsExchange(t *testing.T) {
	for _, alg := range []string{Ed25519, SM2} {
		a, b := newHub(t, "a", alg), newHub(t, "b", alg)
		meet(a, b, "secret")
		a.put("Patient", "p1", `,"meta":{"tag":[{"system":"x","code":"y"}]},"birthDate":"1956-03-12"`)
		a.put("Patient", "p2", `,"meta":{"profile":["p"]}`)
		a.put("Observation", "o1", "") // not in the feed
		a.put("Encounter", "e1", "")
		r, err := b.x.Pull(context.Background(), "a")
		if err != nil || r.Entries != 3 {
			t.Fatalf("%s: %v %+v", alg, err, r)
		}
		if got := b.read("Patient", "p1"); !strings.Contains(got, `{"system":"x","code":"y"},{"system":"`+SystemOrigin+`","code":"a"}`) || !strings.Contains(got, `"birthDate":"1956-03-12"`) {
			t.Errorf("%s", got)
		}
		if got := b.read("Patient", "p2"); !strings.Contains(got, `"code":"a"`) || !strings.Contains(got, `"profile":["p"]`) || b.read("Observation", "o1") != "" {
			t.Errorf("%s", got)
		}
		if r, err = b.x.Pull(context.Background(), "a"); err != nil || r.Entries != 0 { // resumes where it stood
			t.Errorf("%v %+v", err, r)
		}
		a.put("Patient", "p1", `,"birthDate":"1957-03-12"`)
		if r, err = a.x.Push(context.Background(), "b"); err != nil || r.Entries != 1 || !strings.Contains(b.read("Patient", "p1"), "1957") {
			t.Errorf("%v %+v", err, r)
		}
		if r, err = a.x.Pull(context.Background(), "b"); err != nil || r.Entries != 0 { // what came from a does not go back
			t.Errorf("%v %+v", err, r)
		}
		b.put("Patient", "p9", "")
		if r, err = a.x.Pull(context.Background(), "b"); err != nil || r.Entries != 1 || a.read("Patient", "p9") == "" {
			t.Errorf("%v %+v", err, r)
		}
	}
}

func TestDeletionsAndOlderVersions(t *testing.T) {
	a, b := newHub(t, "a", Ed25519), newHub(t, "b", Ed25519)
	meet(a, b, "")
	a.put("Patient", "p1", "")
	if _, err := b.x.Pull(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.Commit(context.Background(), &store.Transaction{ID: "d", Time: time.Now(), Ops: []store.Op{{Method: store.Delete, Type: "Patient", ID: "p1"}}}); err != nil {
		t.Fatal(err)
	}
	if r, err := b.x.Pull(context.Background(), "a"); err != nil || r.Entries != 1 || b.read("Patient", "p1") != "" {
		t.Errorf("%v %+v", err, r)
	}
}

// TestManyPages: the feed is larger than a page, and breaks off in between.
func TestManyPages(t *testing.T) {
	a, b := newHub(t, "a", Ed25519), newHub(t, "b", Ed25519)
	meet(a, b, "")
	big := `,"note":"` + strings.Repeat("中", 400_000) + `"`
	for i := range 12 {
		a.put("Patient", fmt.Sprint("p", i), big)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	b.x.client = doer(func(r *http.Request) (*http.Response, error) {
		if n++; n == 3 {
			cancel()
		}
		return http.DefaultClient.Do(r)
	})
	if r, err := b.x.Pull(ctx, "a"); err == nil || r.Pages < 1 || r.Pages > 2 {
		t.Fatalf("%v %+v", err, r)
	}
	b.x.client = http.DefaultClient
	r, err := b.x.Pull(context.Background(), "a")
	if err != nil || r.Entries == 0 || b.read("Patient", "p11") == "" {
		t.Errorf("%v %+v", err, r)
	}
	for i := range 12 {
		if b.read("Patient", fmt.Sprint("p", i)) == "" {
			t.Errorf("p%d is missing", i)
		}
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// TestRefused tampers with a page in every member.
func TestRefused(t *testing.T) {
	a, b := newHub(t, "a", SM2), newHub(t, "b", Ed25519)
	meet(a, b, "")
	a.put("Patient", "p1", "")
	good, err := a.source.Page(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := NewKey(SM2)
	stranger, _ := NewSigner(other)
	forged, _ := Seal(stranger, "a", 0, 5, false, []Entry{{Seq: 1, Type: "Patient", ID: "p6", Resource: []byte(`{"resourceType":"Patient","id":"p6"}`)}})
	lying, _ := Seal(a.source.signer, "a", 0, 5, false, []Entry{{Seq: 1, Type: "Patient", ID: "p6", Resource: []byte(`{"resourceType":"Patient","id":"p7"}`)}})
	disorder, _ := Seal(a.source.signer, "a", 0, 5, false, []Entry{{Seq: 2, Type: "Patient", ID: "x", Deleted: true}, {Seq: 1, Type: "Patient", ID: "x", Deleted: true}})
	gap, _ := Seal(a.source.signer, "a", 7, 9, false, nil)
	for name, c := range map[string]struct {
		page   *Page
		change func(p *Page)
		status int
	}{
		"signature":  {good, func(p *Page) { p.Signature.Value = "AAAA" }, 403},
		"algorithm":  {good, func(p *Page) { p.Signature.Algorithm = "none" }, 403},
		"payload":    {good, func(p *Page) { p.Payload = forged.Payload }, 403},
		"place":      {good, func(p *Page) { p.Next += 100 }, 403},
		"source":     {good, func(p *Page) { p.Source = "c" }, 404},
		"version":    {good, func(p *Page) { p.Version = "2" }, 0},
		"other key":  {forged, func(*Page) {}, 403},
		"other id":   {lying, func(*Page) {}, 400},
		"disorder":   {disorder, func(*Page) {}, 400},
		"lost pages": {gap, func(*Page) {}, 412},
	} {
		p := *c.page
		c.change(&p)
		body, _ := json.Marshal(p)
		res, err := http.Post(b.srv.URL+"/region/feed", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode/100 != 4 || c.status != 0 && res.StatusCode != c.status {
			t.Errorf("%s: %d %s", name, res.StatusCode, text)
		}
		if at, _ := b.x.taker.At(context.Background(), "a"); at != 0 {
			t.Fatalf("%s: the place moved to %d", name, at)
		}
	}
	if b.read("Patient", "p6") != "" || b.read("Patient", "p1") != "" {
		t.Error("something of a refused page was taken")
	}
	if _, err := b.x.Pull(context.Background(), "nobody"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestToken(t *testing.T) {
	a, b := newHub(t, "a", Ed25519), newHub(t, "b", Ed25519)
	meet(a, b, "secret")
	res, err := http.Get(a.srv.URL + "/region/feed")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 401 {
		t.Errorf("without a token: %d", res.StatusCode)
	}
	a.x.peers["b"].Token = "other"
	if _, err := b.x.Pull(context.Background(), "a"); !fault.Is(err, fault.Unauthorized) {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	key, _ := NewKey(Ed25519)
	s, _ := NewSigner(key)
	v, _ := NewVerifier(s.Public())
	f.Add([]byte(`{"seq":1,"type":"Patient","id":"a","resource":{"resourceType":"Patient","id":"a"}}`), int64(0), int64(5))
	f.Fuzz(func(t *testing.T, line []byte, from, next int64) {
		p := &Page{Version: Version, Source: "a", From: from, Next: next}
		list, err := entries(p, line)
		if err == nil {
			for i := range list {
				_, _ = list[i].op("a")
			}
		}
		_, _ = (&Page{Version: Version, Payload: string(line)}).Open(v)
	})
}

func BenchmarkSealOpen(b *testing.B) {
	for _, alg := range []string{Ed25519, SM2} {
		b.Run(alg, func(b *testing.B) {
			key, _ := NewKey(alg)
			s, _ := NewSigner(key)
			v, _ := NewVerifier(s.Public())
			var list []Entry
			for i := range 1000 {
				list = append(list, Entry{Seq: int64(i + 1), Type: "Patient", ID: fmt.Sprint(i), Resource: fmt.Appendf(nil, `{"resourceType":"Patient","id":"%d","birthDate":"1956-03-12"}`, i)})
			}
			for b.Loop() {
				p, err := Seal(s, "a", 0, 1000, false, list)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := p.Open(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
