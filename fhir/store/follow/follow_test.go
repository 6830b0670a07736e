package follow_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/follow"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// sink remembers what it was given; it refuses resources named "bad".
type sink map[string]string

func (s sink) Add(list ...[]byte) error {
	type resource struct{ ID, Name string }
	var all []resource
	for _, data := range list {
		var r resource
		if err := json.Unmarshal(data, &r); err != nil {
			return err
		}
		if r.Name == "bad" {
			return fault.New(fault.Invalid, "bad")
		}
		all = append(all, r)
	}
	for _, r := range all {
		s[r.ID] = r.Name
	}
	return nil
}

func (s sink) Remove(_, id string) { delete(s, id) }

func (s sink) String() string {
	var out []string
	for id, name := range s {
		out = append(out, id+"="+name)
	}
	slices.Sort(out)
	b, _ := json.Marshal(out)
	return string(b)
}

func TestRefresh(t *testing.T) {
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: storetest.Indexer{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- st.Run(ctx) }()
	defer func() { cancel(); <-ran }()
	got := sink{}
	f := follow.New(st, map[string]follow.Sink{"ValueSet": got}, slog.New(slog.DiscardHandler))
	n := 0
	commit := func(m store.Method, typ, id, name string) {
		t.Helper()
		n++
		op := store.Op{Method: m, Type: typ, ID: id}
		if m != store.Delete {
			op.Resource = []byte(`{"resourceType":"` + typ + `","id":"` + id + `","name":"` + name + `"}`)
		}
		if _, err := st.Commit(ctx, &store.Transaction{ID: string(rune('a' + n)), Time: time.Unix(int64(n), 0), Ops: []store.Op{op}}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what, s string) {
		t.Helper()
		if err := f.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		if got.String() != s {
			t.Errorf("%s: %s, want %s", what, got, s)
		}
	}
	want("empty", "null")
	commit(store.Update, "ValueSet", "x", "one")
	commit(store.Update, "ValueSet", "x", "two")
	commit(store.Update, "ValueSet", "y", "bad")
	commit(store.Update, "Patient", "p", "other")
	want("newest, without the refused", `["x=two"]`)
	got["x"] = "kept"
	commit(store.Update, "Patient", "p", "other2")
	want("unchanged types are not read again", `["x=kept"]`)
	commit(store.Update, "ValueSet", "z", "three")
	commit(store.Delete, "ValueSet", "x", "")
	want("deleted", `["z=three"]`)
}
