package sink

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/changes"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
	"github.com/qihuang-health/qihuang/warehouse/engine"
	"github.com/qihuang-health/qihuang/warehouse/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// bench is a log, an engine and a sink between them.
type bench struct {
	testing.TB
	cluster *kafka.Cluster
	out     *kafka.Producer
	engine  *engine.Supervisor
	conn    driver.Conn
	paths   *fhirpath.Engine
	history store.Feed
	seq     int64
}

func setUp(t testing.TB) *bench {
	t.Helper()
	s, addr := enginetest.Start(t)
	log := slog.New(slog.DiscardHandler)
	cfg := kafka.Default(t.TempDir())
	cfg.Port = 0
	cluster, err := kafka.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Close() })
	out, err := cluster.Producer(t.Context(), kafka.Changes, true)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(&clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{addr}, Auth: clickhouse.Auth{Database: "default"}, DialTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	model, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	return &bench{TB: t, cluster: cluster, out: out, engine: s, conn: conn, paths: fhirpath.NewEngine(model)}
}

// sink runs a new sink until the returned func is called.
func (b *bench) sink() (*Sink, func()) {
	b.Helper()
	var views [][]byte
	for _, v := range conformance.Views() {
		views = append(views, v)
	}
	return b.sinkOf(views...)
}

// sinkOf is sink with other views.
func (b *bench) sinkOf(views ...[]byte) (*Sink, func()) {
	b.Helper()
	cfg := Default()
	cfg.Retry, cfg.History = 50*time.Millisecond, b.history
	s, err := New(cfg, b.conn, b.cluster, b.paths, views, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

// change makes the record of one version; an empty resource is a deletion.
func (b *bench) change(typ, id string, version int64, resource string) kafka.Record {
	b.seq++
	c := store.Change{Version: &store.Version{Type: typ, ID: id, Version: version, LastUpdated: time.Now().UTC(), Method: store.Update}, Seq: b.seq}
	if resource == "" {
		c.Method = store.Delete
	} else {
		c.Resource = []byte(resource)
	}
	return kafka.Record{Key: []byte(typ + "/" + id), Value: changes.Encode(nil, c)}
}

func (b *bench) publish(records ...kafka.Record) {
	b.Helper()
	if _, _, err := b.out.Append(b.Context(), records...); err != nil {
		b.Fatal(err)
	}
}

// ask returns one value as text; "" while the engine is away.
func (b *bench) ask(query string) string {
	var out string
	if err := b.conn.QueryRow(b.Context(), "SELECT toString(("+query+"))").Scan(&out); err != nil {
		return ""
	}
	return out
}

// await waits until a query gives want.
func (b *bench) await(query, want string) {
	b.Helper()
	deadline := time.After(40 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got := b.ask(query)
		if got == want {
			return
		}
		select {
		case <-deadline:
			b.Fatalf("%s = %q, want %q", query, got, want)
		case <-tick.C:
		}
	}
}

const hostile = `\n\nDROP TABLE qihuang.patient;'\"--`

func medication(id string, herbs ...string) string {
	var items []string
	for _, h := range herbs {
		items = append(items, `{"itemCodeableConcept":{"text":"`+h+`"},"strength":{"numerator":{"value":10.0,"unit":"g"},"denominator":{"value":1}}}`)
	}
	return `{"resourceType":"Medication","id":"` + id + `","identifier":[{"system":"https://qihuang.health/fhir/sid/prescription/H1","value":"RX` + id + `"}],"ingredient":[` + strings.Join(items, ",") + `]}`
}

func request(id, no string) string {
	return `{"resourceType":"MedicationRequest","id":"` + id + `","status":"completed","intent":"order","subject":{"reference":"Patient/p1"},"groupIdentifier":{"system":"https://qihuang.health/fhir/sid/prescription/H1","value":"` + no + `"},` +
		`"medicationCodeableConcept":{"text":"药` + id + `"}}`
}

// TestRows follows resources through their life.
func TestRows(t *testing.T) {
	b := setUp(t)
	s, stop := b.sink()
	defer stop()
	b.publish(
		b.change("Patient", "p1", 1, `{"resourceType":"Patient","id":"p1","name":[{"text":"`+hostile+`"}],"gender":"female","birthDate":"1931-02-03"}`),
		b.change("Medication", "m1", 1, medication("m1", "黄芪", "白术", "防风")),
		b.change("MedicationRequest", "r1", 1, request("r1", "W1")),
		b.change("MedicationRequest", "r2", 1, request("r2", "W1")),
		kafka.Record{Key: []byte("x"), Value: []byte("not a change")},
		b.change("Basic", "b1", 1, `{"resourceType":"Basic","id":"b1"}`),
	)
	b.await("SELECT count() FROM qihuang.resource", "5")
	b.await("SELECT count() FROM qihuang.prescription FINAL", "1") // the last that is written
	for query, want := range map[string]string{
		"SELECT name = '\\n\\nDROP TABLE qihuang.patient;\\'\"--' FROM qihuang.patient FINAL":  "1",
		"SELECT birth_date FROM qihuang.patient FINAL":                                         "1931-02-03",
		"SELECT count() FROM qihuang.prescription_item FINAL WHERE dose = 10 AND unit = 'g'":   "3",
		"SELECT no FROM qihuang.prescription FINAL":                                            "W1",
		"SELECT count() FROM qihuang.prescription_item FINAL WHERE prescription_id LIKE '%W1'": "2",
	} {
		if got := b.ask(query); got != want {
			t.Errorf("%s = %q, want %q", query, got, want)
		}
	}
	// Fewer lines, another prescription number, a late old version, a deletion.
	b.publish(
		b.change("Medication", "m1", 2, medication("m1", "黄芪")),
		b.change("MedicationRequest", "r1", 2, request("r1", "W2")),
		b.change("MedicationRequest", "r2", 2, request("r2", "W2")),
		b.change("Patient", "p1", 3, ""),
		b.change("Patient", "p1", 2, `{"resourceType":"Patient","id":"p1","gender":"male"}`),
		b.change("Medication", "m1", 1, medication("m1", "黄芪", "白术", "防风")),
	)
	b.await("SELECT no FROM qihuang.prescription FINAL", "W2")
	for query, want := range map[string]string{
		"SELECT count() FROM qihuang.patient FINAL":                                              "0",
		"SELECT count() FROM qihuang.prescription_item FINAL WHERE prescription_id LIKE '%RXm1'": "1",
		"SELECT count() FROM qihuang.prescription FINAL":                                         "1",
		"SELECT count() FROM qihuang.resource FINAL WHERE id = 'p1'":                             "3",
	} {
		if got := b.ask(query); got != want {
			t.Errorf("%s = %q, want %q", query, got, want)
		}
	}
	if st := s.Stats(); st.Lag > 2*time.Second || st.Error != "" {
		t.Errorf("stats %+v", st)
	}
}

// TestManyPrescriptions writes more requests in one batch than one statement
// can name prescriptions: statements are bounded in bytes, not in values.
func TestManyPrescriptions(t *testing.T) {
	b := setUp(t)
	_, stop := b.sink() // makes the tables
	b.await("SELECT count() FROM system.tables WHERE database = 'qihuang' AND name = 'treatment'", "1")
	stop()
	const n = 9000
	var records []kafka.Record
	for version := range int64(2) {
		for i := range n {
			id := fmt.Sprintf("r%d", i)
			records = append(records, b.change("MedicationRequest", id, version+1, request(id, fmt.Sprintf("2026-%d-%06d", version, i/(1+int(version))))))
		}
	}
	b.publish(records...)
	_, stop = b.sink()
	defer stop()
	b.await("SELECT count() FROM qihuang.resource FINAL", fmt.Sprint(2*n))
	b.await("SELECT count() FROM qihuang.prescription FINAL", fmt.Sprint(n/2))
	b.await("SELECT count() FROM qihuang.prescription FINAL WHERE no LIKE '2026-1-%'", fmt.Sprint(n/2))
}

// TestParts cuts lists by what they take in a statement.
func TestParts(t *testing.T) {
	list := []string{strings.Repeat("'", partBytes), "a", strings.Repeat("b", partBytes-10), "c", "", ""}
	var got []int
	var all []string
	for part := range parts(list) {
		got = append(got, len(part))
		all = append(all, part...)
	}
	if want := []int{1, 2, 3}; !slices.Equal(got, want) || !slices.Equal(all, list) {
		t.Errorf("parts of %v values, want %v", got, want)
	}
}

// TestExtent takes versions in any order: the newest decides which lines stay.
func TestExtent(t *testing.T) {
	type version struct {
		number uint64
		lines  uint32
	}
	for name, c := range map[string]struct {
		versions []version
		want     extent
	}{
		"in order": {[]version{{1, 3}, {2, 1}}, extent{2, 1, 3}},
		"late":     {[]version{{2, 1}, {1, 3}}, extent{2, 1, 3}},
		"again":    {[]version{{2, 1}, {2, 1}}, extent{2, 1, 1}},
		"deleted":  {[]version{{1, 3}, {2, 0}, {1, 3}}, extent{2, 0, 3}},
		"grown":    {[]version{{1, 1}, {2, 4}}, extent{2, 4, 4}},
	} {
		var got extent
		for _, v := range c.versions {
			got = got.with(v.number, v.lines)
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestGatherLonger lets batches of a busy hub wait for more, up to Longer.
func TestGatherLonger(t *testing.T) {
	busy := false
	s := &Sink{cfg: Config{MaxRows: 10, MaxBytes: 1 << 20, Linger: 20 * time.Millisecond, Longer: 400 * time.Millisecond, Busy: func() bool { return busy }}}
	records := make(chan arrival, 10)
	gather := func() int {
		go func() {
			records <- arrival{}
			time.Sleep(100 * time.Millisecond)
			records <- arrival{}
		}()
		got, err := s.gather(t.Context(), span{done: true}, records, nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(got.items)
	}
	if n := gather(); n != 1 {
		t.Errorf("a quiet hub gathered %d", n)
	}
	<-records
	busy = true
	if n := gather(); n != 2 {
		t.Errorf("a busy hub gathered %d", n)
	}
}

// TestForgottenTopic gives the sink a position that the topic does not hold:
// the repository's history comes first, then what arrives.
func TestForgottenTopic(t *testing.T) {
	b := setUp(t)
	repository, err := memory.New(storetest.Config(nil))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, repository)
	for i, text := range []string{medication("m1", "黄芪", "白术"), medication("m1", "黄芪")} {
		tx := &store.Transaction{ID: fmt.Sprint(i), Time: time.Now(), Ops: []store.Op{{Method: store.Update, Type: "Medication", ID: "m1", Resource: []byte(text)}}}
		if _, err := repository.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	_, stop := b.sink() // makes the tables
	b.await("SELECT count() FROM system.tables WHERE database = 'qihuang' AND name = 'treatment'", "1")
	stop()
	if err := b.conn.Exec(t.Context(), "INSERT INTO qihuang._range VALUES (0, 0, 1000000, 1, now64(6))"); err != nil {
		t.Fatal(err)
	}
	b.history = repository
	_, stop = b.sink()
	defer stop()
	b.await("SELECT count() FROM qihuang.resource FINAL", "2")
	b.await("SELECT count() FROM qihuang.prescription_item FINAL", "1")
	b.publish(b.change("Patient", "p1", 1, `{"resourceType":"Patient","id":"p1","gender":"female"}`))
	b.await("SELECT count() FROM qihuang.patient FINAL", "1")
}

// TestKillNine kills the engine and stops the sink at random moments, twice
// over: afterwards every version is there once.
func TestKillNine(t *testing.T) {
	b := setUp(t)
	_, stop := b.sink()
	const rounds, each = 8, 300
	for round := range rounds {
		var records []kafka.Record
		for i := range each {
			id := fmt.Sprintf("m%d", (round*each+i)%700) // many come again with fewer herbs
			version := int64((round*each+i)/700 + 1)
			herbs := []string{"黄芪", "白术", "防风", "当归"}[:5-version]
			records = append(records, b.change("Medication", id, version, medication(id, herbs...)))
		}
		b.publish(records...)
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond) // any moment of the write path
		if round%2 == 0 {
			if pid := b.engine.PID(); pid > 0 { // 0 is all of us
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		} else {
			stop()
			_, stop = b.sink()
		}
	}
	defer func() { stop() }()
	items := 0
	for m := range 700 {
		last := 0
		for n := m; n < rounds*each; n += 700 {
			last = n/700 + 1
		}
		items += 5 - last
	}
	b.await("SELECT count() FROM qihuang.resource FINAL", fmt.Sprint(rounds*each))
	b.await("SELECT count() FROM qihuang.prescription_item FINAL", fmt.Sprint(items))
	if got := b.ask("SELECT uniqExact(id, version) FROM qihuang.resource"); got != fmt.Sprint(rounds*each) {
		t.Errorf("versions %s", got)
	}
	if b.engine.Restarts() == 0 {
		t.Error("the engine was never killed: the test proves nothing")
	}
}

// TestRebuild changes a view between runs: a column more, then one of another
// type. Old resources have the new values, and nothing is lost or doubled.
func TestRebuild(t *testing.T) {
	b := setUp(t)
	view := func(columns string) []byte {
		return []byte(`{"resourceType":"ViewDefinition","name":"patient","status":"active","resource":"Patient","select":[{"column":[{"name":"id","path":"getResourceKey()","type":"string"}` + columns + `]}]}`)
	}
	person := func(i int, version int64) kafka.Record {
		id := fmt.Sprintf("p%d", i)
		return b.change("Patient", id, version, fmt.Sprintf(`{"resourceType":"Patient","id":"%s","gender":"male","birthDate":"19%02d-01-01"}`, id, i%90+10))
	}
	var many []kafka.Record
	for i := range 6000 { // more than a page
		many = append(many, person(i, 1))
	}
	_, stop := b.sinkOf(view(""))
	b.publish(many...)
	b.await("SELECT count() FROM qihuang.patient", "6000")
	stop()

	more := view(`,{"name":"gender","path":"gender","type":"code"},{"name":"born","path":"birthDate","type":"string"}`)
	s, stop := b.sinkOf(more)
	b.publish(person(0, 2), b.change("Patient", "p1", 2, ""))
	b.await("SELECT countIf(gender = 'male' AND born LIKE '19%') FROM qihuang.patient FINAL", "5999")
	if err := s.Rebuild(t.Context(), "nope"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("unknown table: %v", err)
	}
	stop()

	_, stop = b.sinkOf(view(`,{"name":"born","path":"birthDate","type":"date"}`))
	defer stop()
	b.await("SELECT toTypeName(any(born)) FROM qihuang.patient FINAL", "Nullable(Date32)")
	b.publish(person(7000, 1))
	b.await("SELECT count() FROM qihuang.patient FINAL", "6000")
	b.await("SELECT count() FROM system.columns WHERE database = 'qihuang' AND table = 'patient' AND name = 'gender'", "0")
	if got := b.ask("SELECT countIf(toYear(born) >= 1910) FROM qihuang.patient FINAL"); got != "6000" {
		t.Errorf("dates %s", got)
	}
	if got := b.ask("SELECT count() FROM system.tables WHERE database = 'qihuang' AND name LIKE '%new%'"); got != "0" {
		t.Errorf("left over: %s", got)
	}
}

// BenchmarkSink writes prescriptions of ten herbs from the log to the tables.
func BenchmarkSink(b *testing.B) {
	w := setUp(b)
	herbs := strings.Split("黄芪 白术 防风 当归 川芎 白芍 熟地黄 党参 茯苓 甘草", " ")
	const batch = 2000
	total := 0
	for b.Loop() {
		records := make([]kafka.Record, batch)
		for i := range records {
			id := fmt.Sprintf("m%d", total+i)
			records[i] = w.change("Medication", id, 1, medication(id, herbs...))
		}
		w.publish(records...)
		total += batch
	}
	b.StopTimer()
	begun := time.Now()
	_, stop := w.sink()
	defer stop()
	w.await("SELECT count() FROM qihuang.prescription_item", fmt.Sprint(total*len(herbs)))
	took := time.Since(begun).Seconds()
	b.ReportMetric(float64(total)/took, "resources/s")
	b.ReportMetric(float64(total*(len(herbs)+1))/took, "rows/s")
}

// TestIndices: tables of an older build get the index they lack, and a lookup
// by an indexed column sees the newest version only.
func TestIndices(t *testing.T) {
	b := setUp(t)
	const of = "SELECT count() FROM system.data_skipping_indices WHERE database = 'qihuang' AND table = 'condition' AND name = 'by_encounter_id'"
	condition := func(visit string) string {
		return `{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/` + visit + `"},"code":{"text":"感冒"}}`
	}
	_, stop := b.sink()
	b.publish(b.change("Condition", "c1", 1, condition("e1")))
	b.await("SELECT count() FROM qihuang.condition FINAL WHERE encounter_id = 'e1'", "1")
	stop()
	if err := b.conn.Exec(t.Context(), "ALTER TABLE qihuang.condition DROP INDEX by_encounter_id"); err != nil {
		t.Fatal(err)
	}
	if n := b.ask(of); n != "0" {
		t.Fatalf("%s indices are left", n)
	}
	_, stop = b.sink()
	defer stop()
	b.await(of, "1")
	b.publish(b.change("Condition", "c1", 2, condition("e2")))
	b.await("SELECT count() FROM qihuang.condition FINAL WHERE encounter_id = 'e2'", "1")
	if n := b.ask("SELECT count() FROM qihuang.condition FINAL WHERE encounter_id = 'e1'"); n != "0" {
		t.Errorf("%s rows of the visit that the condition left", n)
	}
}
