package region

import (
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/region/envelope"
	"github.com/qihuang-health/qihuang/adapters/region/feed"
	"github.com/qihuang-health/qihuang/adapters/region/xds"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

var engine = sync.OnceValues(func() (*search.Engine, error) {
	model, err := definitions.Load()
	if err != nil {
		return nil, err
	}
	return search.NewEngine(model, fhirpath.NewEngine(model)), nil
})

var zone = time.FixedZone("CST", 8*3600)

// hub is a repository with the service before it.
type hub struct {
	t       testing.TB
	store   *memory.Store
	service *Service
	srv     *httptest.Server
}

func newHub(t testing.TB, cfg Config) *hub {
	t.Helper()
	ix, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	st, err := memory.New(machine.Config{Indexer: ix, Clock: clock.System{}}.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, st)
	h := &hub{t: t, store: st, service: New(cfg, Parts{Store: st, Search: ix, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Client: http.DefaultClient, Zone: zone})}
	gin.SetMode(gin.TestMode)
	r := gin.New()
	h.service.Mount(r)
	h.srv = httptest.NewServer(r)
	t.Cleanup(h.srv.Close)
	return h
}

func (h *hub) put(typ, id, body string) {
	h.t.Helper()
	if _, err := h.store.Commit(context.Background(), &store.Transaction{ID: typ + id, Time: time.Now(), Ops: []store.Op{{Method: store.Update, Type: typ, ID: id, Resource: []byte(body)}}}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hub) read(typ, id string) fhir.Node {
	h.t.Helper()
	snap, err := h.store.Snapshot(context.Background(), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer snap.Close()
	n, err := read(snap, typ, id)
	if err != nil {
		h.t.Fatalf("%s/%s: %v", typ, id, err)
	}
	return n
}

// ask posts a message as another platform does.
func (h *hub) ask(service, body string) envelope.Message {
	h.t.Helper()
	t := envelope.Default()
	res, err := http.Post(h.srv.URL+"/services/region", "text/xml", strings.NewReader(string(t.Request(envelope.Message{Service: service, ID: "1", Sender: "county", Receiver: "hub", Time: time.Now(), Body: body}))))
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	_, m, err := t.Read(b, zone)
	if err != nil || m.Service != service || m.Receiver != "county" {
		h.t.Fatalf("%v %s", err, b)
	}
	return m
}

const document = `{"resourceType":"DocumentReference","id":"d1","status":"current","masterIdentifier":{"system":"urn:ietf:rfc:3986","value":"urn:oid:1.2.3"},
"type":{"coding":[{"system":"urn:oid:2.16.156.10011.2.4","code":"C0002","display":"门(急)诊病历"}]},"category":[{"coding":[{"system":"x","code":"outpatient"}]}],
"subject":{"reference":"Patient/p1","identifier":{"system":"urn:oid:2.16.156.10011.1.3","value":"379901195603120010"}},"date":"2026-10-12T08:35:00+08:00","author":[{"display":"王示例"}],
"custodian":{"identifier":{"system":"o","value":"370000000001"}},"description":"门诊病历 & 处方",
"content":[{"attachment":{"contentType":"text/xml","language":"zh-CN","url":"Binary/b1"},"format":{"system":"f","code":"wst500"}}]}`

// TestDocumentTravels submits a document from one hub to another and fetches it
// back by its unique id.
func TestDocumentTravels(t *testing.T) {
	b := newHub(t, Default())
	cfg := Default()
	cfg.Name, cfg.Peers = "a", []Peer{{Name: "b", Base: b.srv.URL}}
	a := newHub(t, cfg)
	a.put("Binary", "b1", `{"resourceType":"Binary","id":"b1","contentType":"text/xml","data":"`+base64.StdEncoding.EncodeToString([]byte("<ClinicalDocument/>"))+`"}`)
	a.put("DocumentReference", "d1", document)
	res, err := http.Post(a.srv.URL+"/api/regions/b/documents/d1", "", nil)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v %v", err, res)
	}
	res.Body.Close()
	n := b.read("DocumentReference", xds.Entry{UniqueID: "urn:oid:1.2.3"}.ID("a"))
	at := n.Path("content", "attachment")
	for got, want := range map[string]string{n.Path("type", "coding", "code").Str(): "C0002", n.Path("subject", "identifier", "value").Str(): "379901195603120010", n.Get("description").Str(): "门诊病历 & 处方",
		n.Path("author", "display").Str(): "王示例", n.Path("custodian", "identifier", "value").Str(): "370000000001", at.Get("size").Str(): "19", n.Path("content", "format", "code").Str(): "wst500",
		n.Path("subject", "identifier", "system").Str(): "urn:oid:2.16.156.10011.1.3", n.Get("date").Str(): "2026-10-12T00:35:00Z"} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	m := b.ask(DocumentRetrieve, "<UniqueId>urn:oid:1.2.3</UniqueId>")
	if m.Code != "AA" || !strings.Contains(m.Body, base64.StdEncoding.EncodeToString([]byte("<ClinicalDocument/>"))) {
		t.Errorf("%+v", m)
	}
	if err := a.service.Submit(context.Background(), "c", "d1"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestServices(t *testing.T) {
	h := newHub(t, Default())
	m := h.ask(PatientRegister, "<Patient><id>100001</id><name>张三</name><genderCode>1</genderCode><birthday>19560312</birthday><cardNo>379901195603120010</cardNo><orgCode>370000000001</orgCode></Patient>")
	if m.Code != "AA" {
		t.Fatalf("%+v", m)
	}
	e := xds.Entry{UniqueID: "1.2.3.4", EntryUUID: "urn:uuid:1", PatientID: "1^^^&1.2&ISO", MimeType: "text/xml", Title: "a<b", Status: "superseded", URI: "http://x/y?a=1&b=2"}
	if m = h.ask(DocumentRegister, string(xds.SubmitObjectsRequest(e))); m.Code != "AA" || !strings.Contains(m.Body, e.ID("county")) {
		t.Fatalf("%+v", m)
	}
	if n := h.read("DocumentReference", e.ID("county")); n.Get("status").Str() != "superseded" || n.Path("content", "attachment", "url").Str() != e.URI || n.Path("masterIdentifier", "value").Str() != "urn:oid:1.2.3.4" {
		t.Errorf("%s", n.Raw())
	}
	bad := e
	bad.Seal([]byte("other"))
	for service, body := range map[string]string{"Nothing": "", PatientRegister: "<Patient/>", DocumentRegister: "<x/>", DocumentRetrieve: "<UniqueId>none</UniqueId>",
		DocumentSubmit: string(xds.SubmitObjectsRequest(bad)) + "<Content>YWJj</Content>"} {
		if m := h.ask(service, body); m.Code != "AE" || m.Text == "" {
			t.Errorf("%s: %+v", service, m)
		}
	}
}

func TestEntryRoundTrip(t *testing.T) {
	tree, err := fhir.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	e, err := xds.FromDocumentReference(tree.Root())
	if err != nil {
		t.Fatal(err)
	}
	e.Seal([]byte("x"))
	back, err := xds.Parse(xds.SubmitObjectsRequest(e))
	if err != nil || len(back) != 1 || back[0] != e {
		t.Errorf("%v\n%+v\n%+v", err, back, e)
	}
	for _, bad := range []string{"", "<a/>", `<RegistryObjectList><ExtrinsicObject id="1" mimeType="x"/></RegistryObjectList>`, `<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`} {
		if _, err := xds.Parse([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestOtherTemplate exchanges messages of a platform with other names.
func TestOtherTemplate(t *testing.T) {
	other := envelope.Template{Namespace: "urn:x", Operation: "call", Root: "ESB", Head: "Header", Body: "Payload", Service: "fid", Code: "RetCode", Text: "RetCon", OK: "1"}
	if err := other.Validate(); err != nil {
		t.Fatal(err)
	}
	_, m, err := other.Read(other.Request(envelope.Message{Service: "BS001", Body: "<a>1</a>"}), zone)
	if err != nil || m.Service != "BS001" || m.Body != "<a>1</a>" {
		t.Errorf("%v %+v", err, m)
	}
	if (envelope.Template{}).Validate() == nil {
		t.Error("an empty template")
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	key, err := feed.NewKey(feed.SM2)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := feed.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	pub := string(signer.Public())
	for name, change := range map[string]func(*Config){"no name": func(c *Config) { c.Name = "" }, "algorithm": func(c *Config) { c.Algorithm = "RSA" },
		"key": func(c *Config) { c.Peers = []Peer{{Name: "b", PublicKey: "x"}} }, "plan": func(c *Config) { c.Peers = []Peer{{Name: "b", PublicKey: pub, Pull: "x"}} },
		"own name": func(c *Config) { c.Peers = []Peer{{Name: "hub", PublicKey: pub}} }} {
		c := Default()
		if change(&c); c.Validate() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(xds.SubmitObjectsRequest(xds.Entry{UniqueID: "1", PatientID: "2", MimeType: "x"}))
	f.Add(envelope.Default().Request(envelope.Message{Service: "x", Body: "<a/>"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if list, err := xds.Parse(b); err == nil {
			_ = list[0].DocumentReference("a", "")
		}
		_, _, _ = envelope.Default().Read(b, zone)
	})
}

func BenchmarkEntry(b *testing.B) {
	tree, err := fhir.Parse([]byte(document))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e, err := xds.FromDocumentReference(tree.Root())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := xds.Parse(xds.SubmitObjectsRequest(e)); err != nil {
			b.Fatal(err)
		}
	}
}
