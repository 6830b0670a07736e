package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Store is what the suite needs of an implementation.
type Store interface {
	store.Store
	store.Feed
	Run(ctx context.Context) error
	Ready() bool
	Applied() int64
	Dump(fn func(key, value []byte) error) error
	Reindex(ctx context.Context, next store.Indexer, progress func(resources int64)) error
	Build(ctx context.Context, resources [][]byte, progress func(resources int64)) error
	Offered() (resources [][]byte, since int64, err error)
	Changed() <-chan struct{}
}

// Open makes an empty store over cfg; the test closes it.
type Open func(t testing.TB, cfg machine.Config) Store

// Config returns a machine configuration on log with the suite's indexer.
func Config(log store.Log) machine.Config {
	return machine.Config{Log: log, Indexer: Indexer{}, Patcher: Patcher{}, Extend: Extend}
}

// Start runs s until the test ends.
func Start(t testing.TB, s Store) {
	t.Helper()
	stop := Launch(t, s)
	t.Cleanup(stop)
}

// Launch runs s until the returned function is called.
func Launch(t testing.TB, s Store) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
}

type suite struct {
	*testing.T
	s Store
	n int
}

// Run is the suite.
func Run(t *testing.T, newLog func(testing.TB) store.Log, open Open) {
	tests := map[string]func(*suite){
		"create read update delete": (*suite).crud, "preconditions": (*suite).preconditions,
		"conditional": (*suite).conditional, "bundle references": (*suite).references,
		"bytes stay": (*suite).bytesStay, "atomic": (*suite).atomic, "twice is once": (*suite).twice,
		"late messages": (*suite).late, "history": (*suite).history, "snapshots": (*suite).snapshots,
		"patch": (*suite).patch, "feed": (*suite).feed, "retime": (*suite).retime, "purge": (*suite).purge,
		"offer": (*suite).offer, "retention by number": (*suite).retainNumber, "retention by age": (*suite).retainAge,
	}
	for name, fn := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := Config(newLog(t))
			switch name {
			case "retention by number":
				cfg.History.Versions = 2
			case "retention by age":
				cfg.History = machine.Retention{Versions: 1, Age: 48 * time.Hour}
			}
			s := open(t, cfg)
			Start(t, s)
			fn(&suite{T: t, s: s})
		})
	}
}

func (u *suite) tx(ops ...store.Op) *store.Transaction {
	u.n++
	return &store.Transaction{ID: fmt.Sprintf("tx-%d", u.n), Actor: "test", Ops: ops}
}

func (u *suite) do(ops ...store.Op) *store.Result {
	u.Helper()
	r, err := u.s.Commit(context.Background(), u.tx(ops...))
	if err != nil {
		u.Fatalf("commit: %v", err)
	}
	return r
}

func (u *suite) refused(kind fault.Kind, ops ...store.Op) error {
	u.Helper()
	_, err := u.s.Commit(context.Background(), u.tx(ops...))
	if !fault.Is(err, kind) {
		u.Fatalf("commit: %v (%v), want %v", err, fault.KindOf(err), kind)
	}
	return err
}

func (u *suite) snap() store.Snapshot {
	u.Helper()
	sn, err := u.s.Snapshot(context.Background(), 0)
	if err != nil {
		u.Fatal(err)
	}
	u.Cleanup(func() { sn.Close() })
	return sn
}

func (u *suite) read(typ, id string) string {
	u.Helper()
	v, err := u.snap().Read(typ, id)
	if err != nil {
		u.Fatalf("read %s/%s: %v", typ, id, err)
	}
	return string(v.Resource)
}

func (u *suite) ids(query string) string {
	u.Helper()
	ids, err := Indexer{}.IDs(context.Background(), u.snap().Index(), "Patient", query, 100)
	if err != nil {
		u.Fatal(err)
	}
	return strings.Join(ids, ",")
}

func create(id, body string) store.Op {
	return store.Op{Method: store.Create, Type: "Patient", ID: id, Resource: []byte(`{"resourceType":"Patient"` + body + `}`)}
}

func put(id, body string) store.Op {
	op := create(id, body)
	op.Method = store.Update
	return op
}

func del(id string) store.Op { return store.Op{Method: store.Delete, Type: "Patient", ID: id} }

func identifier(v string) string { return `,"identifier":[{"value":"` + v + `"}]` }

func (u *suite) want(what string, got, want any) {
	u.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		u.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func (u *suite) crud() {
	r := u.do(create("a", identifier("1")))
	o := r.Outcomes[0]
	u.want("created", []any{o.Status, o.Version.Version, o.Version.Created, o.Changed}, []any{201, 1, true, true})
	u.want("search", u.ids("identifier=1"), "a")
	o = u.do(put("a", identifier("2"))).Outcomes[0]
	u.want("updated", []any{o.Status, o.Version.Version, o.Version.Created}, []any{200, 2, false})
	u.want("old key", u.ids("identifier=1"), "")
	u.want("new key", u.ids("identifier=2"), "a")
	o = u.do(del("a")).Outcomes[0]
	u.want("deleted", []any{o.Status, o.Version.Version, o.Version.Deleted()}, []any{204, 3, true})
	u.want("gone from the index", u.ids("_all"), "")
	if _, err := u.snap().Read("Patient", "a"); !fault.Is(err, fault.Gone) {
		u.Fatalf("read deleted: %v", err)
	}
	if _, err := u.snap().VRead("Patient", "a", 3); !fault.Is(err, fault.Gone) {
		u.Fatalf("vread of the deletion: %v", err)
	}
	if _, err := u.snap().Read("Patient", "b"); !fault.Is(err, fault.NotFound) {
		u.Fatalf("read unknown: %v", err)
	}
	u.want("delete again", u.do(del("a")).Outcomes[0].Changed, false)
	u.want("delete unknown", u.do(del("x")).Outcomes[0].Status, 204)
	o = u.do(put("a", "")).Outcomes[0]
	u.want("revived", []any{o.Status, o.Version.Version, o.Version.Created}, []any{201, 4, true})
	v, err := u.snap().VRead("Patient", "a", 1)
	if err != nil || !bytes.Contains(v.Resource, []byte(`"versionId":"1"`)) {
		u.Fatalf("vread 1: %v %s", err, v.Resource)
	}
}

func (u *suite) preconditions() {
	u.do(create("a", ""))
	u.refused(fault.Conflict, create("a", ""))
	op := put("a", "")
	op.IfMatch = 2
	u.refused(fault.Precondition, op)
	op.IfMatch = 1
	u.want("If-Match", u.do(op).Outcomes[0].Version.Version, 2)
	op = put("a", "")
	op.IfNoneMatch = true
	u.refused(fault.Precondition, op)
	op = del("a")
	op.IfMatch = 1
	u.refused(fault.Precondition, op)
	u.refused(fault.Invalid, put("a_b", ""))
	u.refused(fault.Invalid, put("a", ""), put("a", ""))
	u.refused(fault.Invalid, put("a", `,"broken":1`))
	u.refused(fault.Invalid, store.Op{Method: store.Update, Type: "Patient", ID: "a", Resource: []byte(`{"resourceType":"Patient"`)})
	u.refused(fault.Invalid, store.Op{Method: store.Update, Type: "Patient", ID: "a", Resource: []byte(`{"resourceType":"Group"}`)})
	same := put("b", identifier("x"))
	same.SkipSame = true
	u.want("new", u.do(same).Outcomes[0].Version.Version, 1)
	again := same
	again.Resource = []byte(`{ "identifier" : [{"value":"x"}], "resourceType":"Patient" }`)
	o := u.do(again).Outcomes[0]
	u.want("same content", []any{o.Status, o.Version.Version, o.Changed}, []any{200, 1, false})
	u.want("other content", u.do(store.Op{Method: store.Update, Type: "Patient", ID: "b", SkipSame: true,
		Resource: []byte(`{"resourceType":"Patient","identifier":[{"value":"y"}]}`)}).Outcomes[0].Version.Version, 2)
}

func (u *suite) conditional() {
	op := create("a", identifier("1"))
	op.IfNoneExist = "identifier=1"
	u.want("none", u.do(op).Outcomes[0].Status, 201)
	op.ID = "b"
	o := u.do(op).Outcomes[0]
	u.want("one", []any{o.Status, o.Version.ID, o.Changed}, []any{200, "a", false})
	up := store.Op{Method: store.Update, Type: "Patient", Condition: "identifier=1", Resource: []byte(`{"resourceType":"Patient","identifier":[{"value":"1"},{"value":"3"}]}`)}
	o = u.do(up).Outcomes[0]
	u.want("update", []any{o.Version.ID, o.Version.Version}, []any{"a", 2})
	up.Condition, up.Resource = "identifier=9", []byte(`{"resourceType":"Patient","identifier":[{"value":"9"}]}`)
	o = u.do(up).Outcomes[0]
	u.want("update with none", []any{o.Status, machine.ValidID(o.Version.ID)}, []any{201, true})
	u.want("its index", u.ids("identifier=9"), o.Version.ID)
	u.do(create("c", identifier("1")))
	u.refused(fault.Precondition, op)
	other := store.Op{Method: store.Update, Type: "Patient", ID: "taken", Resource: []byte(`{"resourceType":"Patient","id":"taken"}`)}
	u.do(other)
	other.Condition = "identifier=none"
	u.refused(fault.Conflict, other) // the id is another resource's
	u.do(store.Op{Method: store.Delete, Type: "Patient", ID: "taken"})
	u.want("update as create", u.do(other).Outcomes[0].Status, 201)
	u.refused(fault.Precondition, store.Op{Method: store.Delete, Type: "Patient", Condition: "identifier=1"})
	u.refused(fault.Invalid, store.Op{Method: store.Delete, Type: "Patient", Condition: "what=1"})
	u.do(store.Op{Method: store.Delete, Type: "Patient", Condition: "identifier=1", Many: true})
	u.want("all deleted", u.ids("identifier=1"), "")
	u.want("delete none", u.do(store.Op{Method: store.Delete, Type: "Patient", Condition: "identifier=1"}).Outcomes[0].Status, 204)
}

func (u *suite) references() {
	u.do(store.Op{Method: store.Create, Type: "Practitioner", ID: "doc", Resource: []byte(`{"resourceType":"Practitioner","identifier":[{"value":"D1"}]}`)})
	u.do(
		store.Op{Method: store.Create, Type: "Encounter", ID: "e1", FullURL: "urn:uuid:e", Resource: []byte(`{"resourceType":"Encounter","subject":{"reference":"urn:uuid:p"},` +
			`"text":{"div":"<div><a href=\"urn:uuid:p\">x</a><img src='urn:uuid:p'/> urn:uuid:p</div>"},` +
			`"contained":[{"resourceType":"Location","id":"l","managingOrganization":{"reference":"urn:uuid:p"}}],` +
			`"identifier":[{"value":"urn:uuid:p"}],"participant":[{"individual":{"reference":"Practitioner?identifier=D1"}}]}`)},
		store.Op{Method: store.Create, Type: "Patient", ID: "p1", FullURL: "urn:uuid:p", Resource: []byte(`{"resourceType":"Patient","identifier":[{"value":"P"}]}`)},
		store.Op{Method: store.Create, Type: "Observation", ID: "o1", Resource: []byte(`{"resourceType":"Observation","subject":{"reference":"Patient?identifier=P"},"encounter":{"reference":"urn:uuid:e"}}`)},
	)
	got := u.read("Encounter", "e1")
	for _, want := range []string{`"subject":{"reference":"Patient/p1"}`, `href=\"Patient/p1\"`, `src='Patient/p1'`, `/> urn:uuid:p</div>`,
		`"managingOrganization":{"reference":"Patient/p1"}`, `"value":"urn:uuid:p"`, `{"reference":"Practitioner/doc"}`} {
		if !strings.Contains(got, want) {
			u.Errorf("%s\nlacks %s", got, want)
		}
	}
	if got := u.read("Observation", "o1"); !strings.Contains(got, `"Patient/p1"`) || !strings.Contains(got, `"Encounter/e1"`) {
		u.Errorf("in-bundle conditional reference: %s", got)
	}
	u.refused(fault.Precondition, store.Op{Method: store.Create, Type: "Observation", ID: "o2", Resource: []byte(`{"resourceType":"Observation","subject":{"reference":"Patient?identifier=none"}}`)})
	// A conditional create that finds its resource moves the references to it.
	op := create("p2", identifier("P"))
	op.IfNoneExist, op.FullURL = "identifier=P", "urn:uuid:again"
	u.do(op, store.Op{Method: store.Create, Type: "Observation", ID: "o3", Resource: []byte(`{"resourceType":"Observation","subject":{"reference":"urn:uuid:again"}}`)})
	if got := u.read("Observation", "o3"); !strings.Contains(got, `"Patient/p1"`) {
		u.Errorf("reference to a conditional create: %s", got)
	}
}

func (u *suite) bytesStay() {
	src := "{ \"resourceType\" : \"Patient\",\n\t\"id\": \"other\", \"meta\": {\"versionId\" : \"77\", \"profile\":[\"http://x\"]},\n \"x\": 1.50e+02, \"y\":\"\\u4e2d\\/\" }"
	u.do(store.Op{Method: store.Update, Type: "Patient", ID: "a", Resource: []byte(src)})
	got := u.read("Patient", "a")
	at := strings.Index(got, `"lastUpdated":"`)
	if at < 0 {
		u.Fatal(got)
	}
	got = got[:at] + got[at+len(`"lastUpdated":"2026-01-01T00:00:00.000Z",`):]
	want := strings.Replace(strings.Replace(src, `"other"`, `"a"`, 1), `"77"`, `"1"`, 1)
	u.want("bytes", got, want)
}

func (u *suite) atomic() {
	u.do(create("a", ""))
	bad := put("a", "")
	bad.IfMatch = 9
	err := u.refused(fault.Precondition, create("b", identifier("1")), bad)
	if is := fault.IssuesOf(err); len(is) == 0 || !strings.HasPrefix(is[0].Expression, "Bundle.entry[1]") {
		u.Errorf("the refusal names no place: %+v", is)
	}
	if _, err := u.snap().Read("Patient", "b"); !fault.Is(err, fault.NotFound) {
		u.Fatalf("half a transaction is visible: %v", err)
	}
	u.want("index", u.ids("identifier=1"), "")
}

func (u *suite) twice() {
	tx := u.tx(put("a", ""))
	ctx := context.Background()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			clone := *tx
			if r, err := u.s.Commit(ctx, &clone); err != nil || r.Outcomes[0].Version.Version != 1 {
				u.Errorf("%+v, %v", r, err)
			}
		})
	}
	wg.Wait()
	r, err := u.s.Commit(ctx, tx)
	if err != nil || r.Outcomes[0].Version.Version != 1 || !r.Outcomes[0].Changed {
		u.Fatalf("again: %+v, %v", r, err)
	}
	refused := u.tx(create("a", ""))
	_, err1 := u.s.Commit(ctx, refused)
	_, err2 := u.s.Commit(ctx, refused)
	if !fault.Is(err1, fault.Conflict) || !fault.Is(err2, fault.Conflict) || len(fault.IssuesOf(err2)) != 1 {
		u.Fatalf("refusals: %v, %v", err1, err2)
	}
}

func (u *suite) late() {
	at := func(stamp, body string) store.Op {
		op := put("a", body)
		op.IfNewer, op.SkipSame = stamp, true
		return op
	}
	u.do(at("2026-03-01T00:00:00Z", identifier("new")))
	o := u.do(at("2026-02-01T00:00:00+08:00", identifier("old"))).Outcomes[0]
	u.want("late", []any{o.Changed, o.Version.Version, u.ids("identifier=new")}, []any{false, 1, "a"})
	u.want("newer", u.do(at("2026-03-01T08:00:01+08:00", identifier("newest"))).Outcomes[0].Version.Version, 2)
	op := del("a")
	op.IfNewer = "2026-01-01T00:00:00Z"
	u.want("late delete", u.do(op).Outcomes[0].Changed, false)
}

func (u *suite) history() {
	u.do(create("a", ""))
	u.do(create("b", ""))
	u.do(put("a", ""))
	u.do(store.Op{Method: store.Update, Type: "Group", ID: "g", Resource: []byte(`{"resourceType":"Group"}`)})
	u.do(del("a"))
	list := func(q store.HistoryQuery) string {
		var out []string
		for c, err := range u.snap().History(q) {
			if err != nil {
				u.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%d:%s/%d%s", c.Seq, c.ID, c.Version.Version, c.Method[:1]))
		}
		return strings.Join(out, " ")
	}
	u.want("system", list(store.HistoryQuery{}), "5:a/3D 4:g/1P 3:a/2P 2:b/1P 1:a/1P")
	u.want("type", list(store.HistoryQuery{Type: "Patient"}), "5:a/3D 3:a/2P 2:b/1P 1:a/1P")
	u.want("instance", list(store.HistoryQuery{Type: "Patient", ID: "a"}), "5:a/3D 3:a/2P 1:a/1P")
	u.want("limit", list(store.HistoryQuery{Type: "Patient", Limit: 2}), "5:a/3D 3:a/2P")
	u.want("before", list(store.HistoryQuery{Type: "Patient", Before: 3}), "2:b/1P 1:a/1P")
	u.want("system before", list(store.HistoryQuery{Before: 3, Limit: 1}), "2:b/1P")
	u.want("instance before", list(store.HistoryQuery{Type: "Patient", ID: "a", Before: 3}), "1:a/1P")
	u.want("since", list(store.HistoryQuery{Since: time.Now().Add(time.Hour)}), "")
}

func (u *suite) snapshots() {
	ctx := context.Background()
	u.do(create("a", identifier("1")))
	first := u.snap()
	first.Index()
	r := u.do(put("a", identifier("2")))
	at, err := u.s.SnapshotAt(ctx, first.Offset())
	if err != nil {
		u.Fatal(err)
	}
	defer at.Close()
	if v, err := at.Read("Patient", "a"); err != nil || v.Version != 1 {
		u.Fatalf("the page moved: %+v, %v", v, err)
	}
	sn, err := u.s.Snapshot(ctx, r.Offset)
	if err != nil || sn.Offset() < r.Offset {
		u.Fatal(err)
	}
	sn.Close()
	u.do(put("a", ""))
	u.do(put("a", ""))
	if _, err := u.s.SnapshotAt(ctx, r.Offset+1); !fault.Is(err, fault.Gone) {
		u.Fatalf("a state nobody used: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := u.s.Snapshot(short, 1000); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
		u.Fatalf("waiting for the future: %v", err)
	}
}

func (u *suite) patch() {
	op := func(id, body string) store.Op {
		return store.Op{Method: store.Patch, Type: "Patient", ID: id, PatchType: "test", Resource: []byte(body)}
	}
	u.refused(fault.NotFound, op("a", "{}"))
	u.do(create("a", identifier("1")))
	u.refused(fault.Invalid, op("a", "bad"))
	o := u.do(op("a", `{"resourceType":"Patient","identifier":[{"value":"2"}]}`)).Outcomes[0]
	u.want("patched", []any{o.Status, o.Version.Version, o.Version.Method, u.ids("identifier=2")}, []any{200, 2, store.Update, "a"})
	u.do(del("a"))
	u.refused(fault.Gone, op("a", "{}"))
}

func (u *suite) feed() {
	ctx := context.Background()
	u.do(create("a", ""))
	r := u.do(put("a", ""), put("b", ""))
	seq, err := u.s.FirstSeq(ctx, r.Offset)
	if err != nil || seq != 2 {
		u.Fatalf("first seq %d, %v", seq, err)
	}
	var got []string
	for next := int64(1); next < 4; {
		changes, _, err := u.s.Changes(ctx, next, 1)
		if err != nil {
			u.Fatal(err)
		}
		for _, c := range changes {
			got = append(got, fmt.Sprintf("%s/%d@%d", c.ID, c.Version.Version, c.Seq))
			next = c.Seq + 1
		}
	}
	u.want("feed", got, "[a/1@1 a/2@2 b/1@3]")
	if seq, err := u.s.FirstSeq(ctx, r.Offset+1); err != nil || seq != 4 {
		u.Fatalf("first seq past the end %d, %v", seq, err)
	}
}

// retime submits a transaction whose time lies before one already applied: its
// lastUpdated and the key of it follow the log.
func (u *suite) retime() {
	u.do(create("a", ""))
	tx := u.tx(create("b", identifier("1")))
	tx.Time = time.Now().Add(-time.Hour)
	if _, err := u.s.Commit(context.Background(), tx); err != nil {
		u.Fatal(err)
	}
	a, _ := u.snap().Read("Patient", "a")
	b, err := u.snap().Read("Patient", "b")
	if err != nil || b.LastUpdated.Before(a.LastUpdated) {
		u.Fatalf("time went back: %v, %v, %v", a.LastUpdated, b.LastUpdated, err)
	}
	stamp := b.LastUpdated.Format("2006-01-02T15:04:05.000Z")
	if !strings.Contains(string(b.Resource), stamp) {
		u.Errorf("%s lacks %s", b.Resource, stamp)
	}
	it := u.snap().Index().Iter([]byte("updated\x00Patient\x00"), []byte("updated\x00Patient\x01"))
	defer it.Close()
	n := 0
	for it.Next() {
		if strings.HasSuffix(string(it.Key()), "\x00b") {
			n++
			if !strings.Contains(string(it.Key()), stamp) {
				u.Errorf("key %q", it.Key())
			}
		}
	}
	u.want("keys of b", n, 1)
}
