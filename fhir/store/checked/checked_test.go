package checked

import (
	"context"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// named wants a name on every resource, and would like a gender.
type named struct{}

func (named) Check(_ context.Context, res fhir.Node) []fault.Issue {
	if !res.Get("name").Exists() {
		return []fault.Issue{{Severity: "error", Text: "没有 name", Expression: "Patient"}}
	}
	return []fault.Issue{{Severity: "warning", Text: "没有 gender"}}
}

func TestCommit(t *testing.T) {
	inner, err := memory.New(storetest.Config(nil))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, inner)
	st := New(inner, named{})
	commit := func(id string, ops ...store.Op) error {
		_, err := st.Commit(t.Context(), &store.Transaction{ID: id, Time: time.Now(), Ops: ops})
		return err
	}
	put := func(id, text string) store.Op {
		return store.Op{Method: store.Update, Type: "Patient", ID: id, Resource: []byte(text)}
	}
	if err := commit("1", put("a", `{"resourceType":"Patient","id":"a","name":[{"text":"甲"}]}`)); err != nil {
		t.Fatalf("a warning must not refuse: %v", err)
	}
	err = commit("2", put("b", `{"resourceType":"Patient","id":"b","name":[{"text":"乙"}]}`), put("c", `{"resourceType":"Patient","id":"c"}`))
	if !fault.Is(err, fault.Invalid) || len(fault.IssuesOf(err)) == 0 {
		t.Fatalf("refused: %v", err)
	}
	if err := commit("3", store.Op{Method: store.Delete, Type: "Patient", ID: "a"}); err != nil {
		t.Fatalf("a deletion has nothing to check: %v", err)
	}
	snap, err := st.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if _, err := snap.Read("Patient", "b"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a refused transaction left something: %v", err)
	}
	if New(inner, nil) != store.Store(inner) {
		t.Error("without a checker nothing stands between")
	}
}
