package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/centre"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// engine is the real search, made once: reading the definitions takes a while.
var engine = sync.OnceValues(func() (*search.Engine, error) {
	model, err := definitions.Load()
	if err != nil {
		return nil, err
	}
	return search.NewEngine(model, fhirpath.NewEngine(model)), nil
})

// watch is a clock that tests set.
type watch struct {
	mu sync.Mutex
	at time.Time
}

func (w *watch) Now() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.at }
func (w *watch) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// crash is how a dying process looks from inside.
type crash struct{}

// wire stands between desk and centre and fails as told, by the number of the
// call; so does the store beside it.
type wire struct {
	ncms.Scheme
	mu    sync.Mutex
	calls int
	fails map[int]string // call → before | after (the process dies) | lost | away
	asked []string
}

func (w *wire) step(name string, do func() error) error {
	w.mu.Lock()
	w.calls++
	how := w.fails[w.calls]
	w.asked = append(w.asked, name)
	w.mu.Unlock()
	switch how {
	case "before":
		panic(crash{})
	case "away":
		return fault.New(fault.Unavailable, "结算中心不通")
	}
	err := do()
	switch how {
	case "after":
		panic(crash{})
	case "lost":
		return &ncms.Lost{Cause: errors.New("cut")}
	}
	return err
}

func (w *wire) Register(ctx context.Context, r ncms.Registration) (out string, err error) {
	err = w.step("register", func() (e error) { out, e = w.Scheme.Register(ctx, r); return e })
	return out, err
}
func (w *wire) Upload(ctx context.Context, d ncms.Details) error {
	return w.step("upload", func() error { return w.Scheme.Upload(ctx, d) })
}
func (w *wire) Retract(ctx context.Context, v ncms.Visit) error {
	return w.step("retract", func() error { return w.Scheme.Retract(ctx, v) })
}
func (w *wire) Try(ctx context.Context, b ncms.Bill) (out *ncms.Trial, err error) {
	err = w.step("try", func() (e error) { out, e = w.Scheme.Try(ctx, b); return e })
	return out, err
}
func (w *wire) Settle(ctx context.Context, b ncms.Bill) (out *ncms.Settlement, err error) {
	err = w.step("settle", func() (e error) { out, e = w.Scheme.Settle(ctx, b); return e })
	if err == nil { // as the xnh dialect: the number only
		out = &ncms.Settlement{ID: out.ID}
	}
	return out, err
}
func (w *wire) Reverse(ctx context.Context, r ncms.Reversal) error {
	return w.step("reverse", func() error { return w.Scheme.Reverse(ctx, r) })
}
func (w *wire) Day(ctx context.Context, q ncms.Days) (out []ncms.Entry, err error) {
	err = w.step("day", func() (e error) { out, e = w.Scheme.Day(ctx, q); return e })
	return out, err
}

// dying is a store whose process dies at a commit, before or after it.
type dying struct {
	store.Store
	wire *wire
}

func (d dying) Commit(ctx context.Context, tx *store.Transaction) (res *store.Result, err error) {
	err = d.wire.step("commit", func() (e error) { res, e = d.Store.Commit(ctx, tx); return e })
	return res, err
}

// bench is a desk with its world: centre, log, clock. The desk may die; the rest
// stays.
type bench struct {
	t      testing.TB
	centre *centre.Centre
	wire   *wire
	store  *memory.Store
	clock  *watch
	desk   *Desk
}

func newBench(t testing.TB) *bench { return newBenchOf(t, centre.Default()) }

func newBenchOf(t testing.TB, cfg centre.Config) *bench {
	t.Helper()
	ix, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, clock: &watch{at: time.Date(2026, 10, 12, 1, 0, 0, 0, time.UTC)}}
	if b.store, err = memory.New(machine.Config{Indexer: ix, Clock: b.clock}.Defaults()); err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, b.store)
	cfg.People = 40
	b.centre = centre.New(cfg, b.clock)
	b.wire = &wire{Scheme: b.centre, fails: map[int]string{}}
	b.restart()
	return b
}

// restart starts a desk that knows only the log.
func (b *bench) restart() {
	ix, _ := engine()
	b.desk = New(Default("ncms"), Parts{Scheme: b.wire, Store: dying{b.store, b.wire}, Search: ix, Clock: b.clock, Log: slog.New(slog.DiscardHandler)})
}

// run calls fn and says whether the process died in it; if so another starts.
func (b *bench) run(fn func() error) (err error, died bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crash); !ok {
				panic(r)
			}
			b.restart()
			died = true
		}
	}()
	return fn(), false
}

var who = ncms.Caller{Hospital: "370000000001", Operator: "0101"}

func yuan(s string) ncms.Money { m, _ := ncms.ParseMoney("", s); return m }

var items = []ncms.Item{{Drug: true, SchemeCode: "N5045", Code: "5045", Name: "桂枝", Quantity: "9", Price: "0.245", Amount: yuan("6.62"), Doses: "3", Date: "2026-10-12", Prescription: "880001"},
	{SchemeCode: "N110200001", Code: "Z001", Name: "普通门诊中医辨证论治", Quantity: "1", Price: "10", Amount: yuan("10.01")}}

// visit opens a visit with its bill and returns its number.
func (b *bench) visit(n int) string {
	b.t.Helper()
	card := fmt.Sprintf("NH%06d", 100001+n)
	ctx := context.Background()
	people, err := b.desk.Eligible(ctx, ncms.Card{Caller: who, Number: card, Year: "2026"})
	if err != nil {
		b.t.Fatal(err)
	}
	number, err := b.desk.Register(ctx, ncms.Registration{Caller: who, Card: card, Person: people[0].Number, Year: "2026", Date: "2026-10-12", Diagnoses: []ncms.Diagnosis{{Code: "J00.x00", Name: "急性上呼吸道感染"}}})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.desk.Upload(ctx, ncms.Details{Visit: ncms.Visit{Caller: who, Number: number}, Items: items}); err != nil {
		b.t.Fatal(err)
	}
	return number
}

// registered opens a visit without its bill.
func (b *bench) registered(n int) string {
	b.t.Helper()
	number, err := b.desk.Register(context.Background(), ncms.Registration{Caller: who, Card: fmt.Sprintf("NH%06d", 100001+n), Year: "2026", Date: "2026-10-12"})
	if err != nil {
		b.t.Fatal(err)
	}
	return number
}

func (b *bench) settle(number, invoice string) (*ncms.Settlement, error) {
	return b.desk.Settle(context.Background(), bill(number, invoice))
}

func bill(number, invoice string) ncms.Bill {
	return ncms.Bill{Visit: ncms.Visit{Caller: who, Number: number}, Year: "2026", InvoiceDate: "2026-10-12", Invoice: invoice}
}

// resources returns the current resources of a type.
func (b *bench) resources(typ string) map[string]fhir.Node {
	b.t.Helper()
	snap, err := b.store.Snapshot(context.Background(), 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer snap.Close()
	out := map[string]fhir.Node{}
	for c, err := range snap.History(store.HistoryQuery{Type: typ, Limit: 10_000}) {
		if err != nil {
			b.t.Fatal(err)
		}
		if _, seen := out[c.ID]; seen || c.Deleted() {
			continue
		}
		tree, err := fhir.Parse(c.Resource)
		if err != nil {
			b.t.Fatal(err)
		}
		out[c.ID] = tree.Root()
	}
	return out
}

// agree checks that both sides hold the same settlements, to the cent.
func (b *bench) agree(where string) {
	b.t.Helper()
	ours := map[string]record.Benefit{}
	for _, n := range b.resources("ExplanationOfBenefit") {
		e := record.ReadBenefit(n, "ncms")
		ours[e.ID] = e
	}
	standing := map[string]string{}
	for _, e := range b.centre.Entries() {
		mine, known := ours[e.ID]
		delete(ours, e.ID)
		if e.Void {
			if known && !mine.Cancelled {
				b.t.Errorf("%s: %s is reversed at the centre only", where, e.ID)
			}
			continue
		}
		if other := standing[e.Visit]; other != "" {
			b.t.Errorf("%s: %s is settled twice: %s and %s", where, e.Visit, other, e.ID)
		}
		standing[e.Visit] = e.ID
		total, _ := mine.Sums.Money(ncms.SumTotal)
		paid, _ := mine.Sums.Money(ncms.SumScheme)
		if !known || mine.Cancelled || !total.Equal(e.Total) || !paid.Equal(e.Paid) {
			b.t.Errorf("%s: the centre holds %+v, we %+v", where, e, mine)
		}
	}
	for id, e := range ours {
		if !e.Cancelled {
			b.t.Errorf("%s: %s is known to us only", where, id)
		}
	}
}

func TestVisitBecomesResources(t *testing.T) {
	b := newBench(t)
	number := b.visit(0)
	trial, err := b.desk.Try(context.Background(), bill(number, ""))
	if err != nil || trial.Sums[ncms.SumTotal] != "16.63" {
		t.Fatalf("%v %+v", err, trial)
	}
	s, err := b.settle(number, "F443001")
	if err != nil {
		t.Fatal(err)
	}
	one := func(typ string) fhir.Node {
		t.Helper()
		all := b.resources(typ)
		if len(all) != 1 {
			t.Fatalf("%d %s", len(all), typ)
		}
		for _, n := range all {
			return n
		}
		return fhir.Node{}
	}
	text := func(n fhir.Node, path ...string) string { return n.Path(path...).Str() }
	if c := one("Coverage"); text(c, "identifier", "value") != "NH100001" || text(c, "status") != "active" || text(c, "beneficiary", "identifier", "value") != "G100001" {
		t.Errorf("%s", c.Raw())
	}
	if p := one("Patient"); text(p, "name", "text") != "张三" || text(p, "birthDate") != "1956-03-12" {
		t.Errorf("%s", p.Raw())
	}
	if c := one("Claim"); text(c, "identifier", "value") != number || text(c, "use") != "claim" || text(c, "total", "value") != "16.63" || c.Get("item").Len() != 2 ||
		text(c, "diagnosis", "diagnosisCodeableConcept", "coding", "code") != "J00.x00" || text(c, "item", "net", "value") != "6.62" {
		t.Errorf("%s", c.Raw())
	}
	if r := one("ClaimResponse"); text(r, "use") != "preauthorization" || text(r, "outcome") != "complete" || text(r, "request", "identifier", "value") != number {
		t.Errorf("%s", r.Raw())
	}
	e := one("ExplanationOfBenefit")
	if text(e, "identifier", "value") != s.ID || text(e, "status") != "active" || text(e, "payment", "amount", "value") != "8.32" {
		t.Errorf("%s", e.Raw())
	}
	for key, want := range map[string]string{"sum31": "16.63", "sum01": "8.32", "sum21": "8.31"} {
		if got := record.ReadSums(e)[key]; got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
	if one("CoverageEligibilityRequest"); text(one("CoverageEligibilityResponse"), "outcome") != "complete" {
		t.Error("eligibility")
	}
	if err := b.desk.Reverse(context.Background(), ncms.Reversal{Visit: ncms.Visit{Caller: who}, ID: s.ID, Invoice: "F443001", Card: "NH100001", Year: "2026"}); err != nil {
		t.Fatal(err)
	}
	if e := one("ExplanationOfBenefit"); text(e, "status") != "cancelled" {
		t.Errorf("%s", e.Raw())
	}
	b.agree("after the reversal")
}

func TestRetryReturnsTheSame(t *testing.T) {
	b := newBench(t)
	number := b.visit(1)
	first, err := b.settle(number, "F1")
	if err != nil {
		t.Fatal(err)
	}
	asked := len(b.wire.asked)
	second, err := b.settle(number, "F1")
	if err != nil || second.ID != first.ID || len(b.wire.asked) != asked {
		t.Errorf("%v %+v %v", err, second, b.wire.asked[asked:])
	}
	_, err = b.settle(number, "F2")
	var settled *ncms.Settled
	if !errors.As(err, &settled) || settled.ID != first.ID {
		t.Errorf("another invoice: %v", err)
	}
	r := ncms.Reversal{Visit: ncms.Visit{Caller: who}, ID: first.ID, Invoice: "F1", Card: "NH100002", Year: "2026"}
	for range 2 { // reversing twice is no error
		if err := b.desk.Reverse(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	third, err := b.settle(number, "F2")
	if err != nil || third.ID == first.ID {
		t.Errorf("after the reversal: %v %+v", err, third)
	}
	b.agree("end")
}

// TestChangedBill settles a visit, takes it back, and settles another bill of it
// without a new trial: the sums are those of the new bill.
func TestChangedBill(t *testing.T) {
	b := newBench(t)
	ctx, number := context.Background(), b.visit(7)
	first, err := b.settle(number, "F1")
	if err != nil {
		t.Fatal(err)
	}
	v := ncms.Visit{Caller: who, Number: number}
	if err := b.desk.Reverse(ctx, ncms.Reversal{Visit: ncms.Visit{Caller: who}, ID: first.ID, Invoice: "F1"}); err != nil {
		t.Fatal(err)
	}
	if err := b.desk.Retract(ctx, v); err != nil {
		t.Fatal(err)
	}
	if err := b.desk.Upload(ctx, ncms.Details{Visit: v, Items: items[:1]}); err != nil {
		t.Fatal(err)
	}
	second, err := b.settle(number, "F2")
	if err != nil || second.Sums[ncms.SumTotal] != "6.62" {
		t.Errorf("%v %+v", err, second)
	}
	b.agree("end")
}

// noTrial is a centre that settles but refuses to try.
type noTrial struct{ ncms.Scheme }

func (noTrial) Try(context.Context, ncms.Bill) (*ncms.Trial, error) {
	return nil, ncms.Refuse("不支持预结算")
}

func TestCentreWithoutTrial(t *testing.T) {
	b := newBench(t)
	b.wire.Scheme = noTrial{b.centre}
	s, err := b.settle(b.visit(8), "F1")
	if err != nil || s.Sums[ncms.SumTotal] != "16.63" || s.Sums[ncms.SumScheme] != "8.32" {
		t.Errorf("%v %+v", err, s)
	}
	b.agree("end")
}

func TestRefusalIsNotRecordedAsPaid(t *testing.T) {
	b := newBench(t)
	one, two := b.visit(0), b.visit(1)
	if _, err := b.settle(one, "F1"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.settle(two, "F1"); ncms.RefusedBy(err) == nil || !ncms.RefusedBy(err).Duplicate {
		t.Fatalf("the invoice of another visit: %v", err)
	}
	if s, err := b.settle(two, "F2"); err != nil || s.ID == "" {
		t.Fatalf("the next invoice: %v", err)
	}
	b.agree("end")
}

// TestManyHallsAtOnce: two workers that ask for the same visit get one settlement.
func TestManyHallsAtOnce(t *testing.T) {
	b := newBench(t)
	numbers := make([]string, 6)
	for i := range numbers {
		numbers[i] = b.visit(i)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string][]string{}
	for range 4 {
		for _, n := range numbers {
			wg.Go(func() {
				s, err := b.settle(n, "F"+n)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				got[n] = append(got[n], s.ID)
			})
		}
	}
	wg.Wait()
	for n, ids := range got {
		if ids = slices.Compact(ids); len(ids) != 1 {
			t.Errorf("%s: %v", n, ids)
		}
	}
	b.agree("end")
}

func BenchmarkSettle(b *testing.B) {
	w := newBench(b)
	cards := 0
	for b.Loop() {
		b.StopTimer()
		number := w.visit(cards % 40)
		cards++
		b.StartTimer()
		if _, err := w.settle(number, "F"+number); err != nil {
			b.Fatal(err)
		}
	}
}
