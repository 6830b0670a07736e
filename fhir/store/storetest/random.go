package storetest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Random makes transactions that meet each other: few ids, every method and
// condition, references inside the bundle, refusals, repetitions.
type Random struct {
	r    *rand.Rand
	n    int
	last []*store.Transaction
}

// NewRandom returns a generator; equal seeds give equal transactions.
func NewRandom(seed uint64) *Random { return &Random{r: rand.New(rand.NewPCG(seed, 1))} }

// Next returns the next transaction.
func (g *Random) Next() *store.Transaction {
	if len(g.last) > 0 && g.r.IntN(12) == 0 { // the same record once more
		return g.last[g.r.IntN(len(g.last))]
	}
	g.n++
	if g.r.IntN(40) == 0 {
		return Offer(fmt.Sprintf("tx-%d", g.n), []string{"", "n", "g", "ng"}[g.r.IntN(4)])
	}
	tx := &store.Transaction{ID: fmt.Sprintf("tx-%d", g.n), Actor: "random"}
	for i := range 1 + g.r.IntN(4)*g.r.IntN(2) {
		tx.Ops = append(tx.Ops, g.op(i))
	}
	if g.r.IntN(60) == 0 { // one of hundreds
		for i := range 300 {
			tx.Ops = append(tx.Ops, store.Op{Method: store.Update, Type: "Patient", ID: fmt.Sprint("many", i*7%500),
				Resource: fmt.Appendf(nil, `{"resourceType":"Patient","identifier":[{"value":"v%d"}],"n":%d}`, g.r.IntN(9), g.r.IntN(3))})
		}
	}
	if g.last = append(g.last, tx); len(g.last) > 20 {
		g.last = g.last[1:]
	}
	return tx
}

func (g *Random) op(i int) store.Op {
	typ := []string{"Patient", "Group"}[g.r.IntN(2)]
	id, value := fmt.Sprint("r", g.r.IntN(12)), fmt.Sprint("v", g.r.IntN(9))
	op := store.Op{Type: typ, ID: id, Resource: fmt.Appendf(nil, `{"resourceType":%q,"identifier":[{"value":%q}],"n":%d%s}`, typ, value, g.r.IntN(3), g.reference())}
	if g.r.IntN(4) == 0 {
		op.FullURL = fmt.Sprint("urn:uuid:", i)
	}
	switch g.r.IntN(10) {
	case 0, 1:
		op.Method = store.Create
		if g.r.IntN(2) == 0 {
			op.IfNoneExist = "identifier=" + value
		}
	case 2:
		op.Method, op.Resource = store.Delete, nil
		if g.r.IntN(3) == 0 {
			op.ID, op.Condition, op.Many = "", "identifier="+value, g.r.IntN(2) == 0
		}
	case 3:
		op.Method, op.PatchType = store.Patch, "test"
	case 5:
		if g.r.IntN(4) == 0 {
			op.Method, op.Resource = store.Purge, nil
		} else {
			op.Method = store.Update
		}
	case 4:
		op.Method, op.ID, op.Condition = store.Update, "", "identifier="+value
		if g.r.IntN(4) == 0 { // refused unless it is offered
			op.Condition = fmt.Sprint("n=", g.r.IntN(3))
		}
	default:
		op.Method = store.Update
		op.SkipSame = g.r.IntN(3) == 0
		op.IfNoneMatch = g.r.IntN(10) == 0
	}
	if g.r.IntN(6) == 0 {
		op.IfMatch = int64(1 + g.r.IntN(4))
	}
	if g.r.IntN(4) == 0 {
		op.IfNewer = fmt.Sprintf("2026-01-%02dT00:00:00Z", 1+g.r.IntN(28))
	}
	return op
}

func (g *Random) reference() string {
	switch g.r.IntN(5) {
	case 0:
		return fmt.Sprintf(`,"link":{"reference":"urn:uuid:%d"}`, g.r.IntN(3))
	case 1:
		return fmt.Sprintf(`,"link":{"reference":"Patient?identifier=v%d"}`, g.r.IntN(9))
	}
	return ""
}

// Records encodes n random transactions as nodes would append them whose clocks
// run on by up to a minute and a half, and now and then are set back an hour.
func (g *Random) Records(n int) [][]byte {
	codec := store.NewCodec()
	out := make([][]byte, n)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range out {
		tx := *g.Next()
		now = now.Add(time.Duration(g.r.IntN(90_000)) * time.Millisecond)
		if tx.Time = now; g.r.IntN(20) == 0 {
			tx.Time = now.Add(-time.Hour)
		}
		out[i] = codec.Encode(&tx)
	}
	return out
}

// Same fails the test unless both stores hold the same keys and values.
func Same(t testing.TB, a, b Store) {
	t.Helper()
	type pair struct{ k, v []byte }
	collect := func(s Store) (out []pair) {
		if err := s.Dump(func(k, v []byte) error {
			out = append(out, pair{bytes.Clone(k), bytes.Clone(v)})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	x, y := collect(a), collect(b)
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i].k, y[i].k) || !bytes.Equal(x[i].v, y[i].v) {
			t.Fatalf("entry %d differs:\n%q = %q\n%q = %q", i, x[i].k, x[i].v, y[i].k, y[i].v)
		}
	}
	if len(x) != len(y) {
		t.Fatalf("%d and %d entries", len(x), len(y))
	}
}

// Reach waits until s has applied offset.
func Reach(t testing.TB, s Store, offset int64) {
	t.Helper()
	sn, err := s.Snapshot(t.Context(), offset)
	if err != nil {
		t.Fatal(err)
	}
	sn.Close()
}

// Agree commits n random transactions to both stores and compares every answer.
func Agree(t *testing.T, a, b Store, seed uint64, n int) {
	t.Helper()
	g := NewRandom(seed)
	kinds := map[string]int{}
	for i := range n {
		tx := g.Next()
		x, errA := a.Commit(context.Background(), clone(tx))
		y, errB := b.Commit(context.Background(), clone(tx))
		if fault.KindOf(errA) != fault.KindOf(errB) || (errA == nil) != (errB == nil) {
			t.Fatalf("transaction %d: %v, %v", i, errA, errB)
		}
		if errA != nil {
			kinds[fault.KindOf(errA).String()]++
			continue
		}
		kinds["ok"]++
		for k := range x.Outcomes {
			p, q := x.Outcomes[k], y.Outcomes[k]
			if p.Status != q.Status || p.Changed != q.Changed || (p.Version == nil) != (q.Version == nil) ||
				p.Version != nil && (p.Version.ID != q.Version.ID || p.Version.Version != q.Version.Version || p.Version.Method != q.Version.Method) {
				t.Fatalf("transaction %d op %d:\n%+v %+v\n%+v %+v", i, k, p, p.Version, q, q.Version)
			}
		}
	}
	t.Logf("outcomes: %v", kinds)
}

func clone(tx *store.Transaction) *store.Transaction {
	c := *tx
	return &c
}
