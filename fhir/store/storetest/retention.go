package storetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Kept returns the policy by which the seed's random tests run, so that each of
// them is met: everything kept, by number, by age, by both.
func Kept(seed uint64) (versions int64, age time.Duration) {
	return int64(seed%2) * 2, time.Duration(seed/2%2) * 20 * time.Minute
}

func (u *suite) versions(q store.HistoryQuery) string {
	u.Helper()
	var out []string
	for c, err := range u.snap().History(q) {
		if err != nil {
			u.Fatal(err)
		}
		out = append(out, fmt.Sprint(c.ID, c.Version.Version))
	}
	return strings.Join(out, " ")
}

func (u *suite) retainNumber() {
	for i := range 5 {
		u.do(put("a", identifier(fmt.Sprint(i))))
	}
	u.do(create("b", ""))
	u.want("instance", u.versions(store.HistoryQuery{Type: "Patient", ID: "a"}), "a5 a4 a3")
	u.want("type", u.versions(store.HistoryQuery{Type: "Patient"}), "b1 a5 a4 a3")
	u.want("system", u.versions(store.HistoryQuery{}), "b1 a5 a4 a3")
	if _, err := u.snap().VRead("Patient", "a", 2); !fault.Is(err, fault.NotFound) {
		u.Fatalf("a dropped version: %v", err)
	}
	changes, _, err := u.s.Changes(context.Background(), 1, 1<<20)
	if err != nil || len(changes) != 4 || changes[0].Seq != 3 {
		u.Fatalf("feed over dropped changes: %+v, %v", changes, err)
	}
	if seq, err := u.s.FirstSeq(context.Background(), 0); err != nil || seq != 3 {
		u.Fatalf("first seq %d, %v", seq, err)
	}
	u.do(del("a"))
	u.want("after the deletion", u.versions(store.HistoryQuery{Type: "Patient", ID: "a"}), "a6 a5 a4")
}

func (u *suite) retainAge() {
	day := func(n int, op store.Op) {
		tx := u.tx(op)
		tx.Time = time.Date(2020, 1, n, 0, 0, 0, 0, time.UTC)
		if _, err := u.s.Commit(context.Background(), tx); err != nil {
			u.Fatal(err)
		}
	}
	a := store.HistoryQuery{Type: "Patient", ID: "a"}
	for i := range 4 {
		day(1, put("a", identifier(fmt.Sprint(i))))
	}
	u.want("young", u.versions(a), "a4 a3 a2 a1")
	day(2, create("b", ""))
	u.want("a day later", u.versions(a), "a4 a3 a2 a1")
	day(3, create("c", "")) // the log goes on, so the sweep comes by
	u.want("two days later", u.versions(a), "a4 a3")
	day(9, put("b", ""))
	day(9, put("b", ""))
	u.want("an old one superseded twice", u.versions(store.HistoryQuery{Type: "Patient", ID: "b"}), "b3 b2")
}

func (u *suite) purge() {
	u.refused(fault.NotFound, store.Op{Method: store.Purge, Type: "Patient", ID: "a"})
	made := u.tx(create("a", identifier("1")))
	if _, err := u.s.Commit(context.Background(), made); err != nil {
		u.Fatal(err)
	}
	u.do(put("a", identifier("2")))
	op := store.Op{Method: store.Purge, Type: "Patient", ID: "a"}
	o := u.do(op).Outcomes[0]
	u.want("purged", []any{o.Status, o.Changed, o.Version.Version, o.Version.Deleted()}, []any{204, true, 3, true})
	u.want("history", u.versions(store.HistoryQuery{Type: "Patient", ID: "a"}), "a3")
	u.want("system history", u.versions(store.HistoryQuery{}), "a3")
	u.want("index", u.ids("identifier=2"), "")
	if _, err := u.snap().VRead("Patient", "a", 1); !fault.Is(err, fault.NotFound) {
		u.Fatalf("vread of what was purged: %v", err)
	}
	if _, err := u.s.Commit(context.Background(), made); !fault.Is(err, fault.Gone) {
		u.Fatalf("its transaction once more: %v", err)
	}
	u.want("again", u.do(op).Outcomes[0].Changed, false)
	u.do(put("a", ""))
	u.do(del("a"))
	u.want("a deleted one", u.do(op).Outcomes[0].Changed, true)
	u.want("history after", u.versions(store.HistoryQuery{Type: "Patient", ID: "a"}), "a5")
	if err := u.s.Dump(func(k, v []byte) error {
		if strings.Contains(string(v), `"identifier"`) || strings.Contains(string(k), "identifier") {
			return fmt.Errorf("%q = %q is left", k, v)
		}
		return nil
	}); err != nil {
		u.Fatal(err)
	}
}
