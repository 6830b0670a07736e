package changes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

func put(id, text string) store.Op {
	return store.Op{Method: store.Update, Type: "Patient", ID: id, Resource: []byte(`{"resourceType":"Patient","x":` + text + `}`)}
}

// Changes reach the topic in order, also those made while nobody published.
func TestPublish(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	cfg := kafka.Default(t.TempDir())
	cfg.Port = 0
	cluster, err := kafka.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	txlog, err := cluster.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st, err := memory.New(storetest.Config(txlog))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, st)
	n := 0
	commit := func(ops ...store.Op) {
		n++
		if _, err := st.Commit(t.Context(), &store.Transaction{ID: fmt.Sprint("tx", n), Ops: ops}); err != nil {
			t.Fatal(err)
		}
	}
	publish := func() (stop func()) {
		p, err := New(t.Context(), cluster, st, log)
		if err != nil {
			t.Fatal(err)
		}
		p.batch = 300 // several batches
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		return func() { cancel(); wg.Wait() }
	}
	var got []*Change
	collect := func(upTo int64) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		enough := errors.New("enough")
		got = got[:0]
		err := cluster.Follow(ctx, kafka.Changes, 0, 0, func(r kafka.Record) error {
			c, err := Decode(r.Value)
			if err != nil {
				return err
			}
			if string(r.Key) != c.Type+"/"+c.ID {
				t.Errorf("key %s", r.Key)
			}
			got = append(got, c)
			if c.Seq == upTo {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
	}
	commit(put("a", "1"), put("b", "1.50"), put("c", "1"))
	stop := publish()
	collect(3)
	stop()
	commit(put("a", "2"))
	commit(store.Op{Method: store.Delete, Type: "Patient", ID: "b"})
	if err := txlog.Trim(t.Context(), int64(n)); err != nil { // nothing unpublished is lost by it
		t.Fatal(err)
	}
	stop = publish()
	defer stop()
	collect(5)
	last := int64(0)
	for _, c := range got {
		if c.Seq > last+1 {
			t.Fatalf("seq %d after %d", c.Seq, last)
		}
		last = max(last, c.Seq)
	}
	if len(got) != 5 {
		t.Errorf("%d records, want 5: a clean stop publishes nothing twice", len(got))
	}
	b := got[1]
	if want, _ := st.Snapshot(t.Context(), 0); want != nil {
		v, _ := want.VRead("Patient", "b", 1)
		if string(b.Resource) != string(v.Resource) {
			t.Errorf("resource %s, want %s", b.Resource, v.Resource)
		}
		want.Close()
	}
	if del := got[len(got)-1]; del.Method != store.Delete || del.Resource != nil || del.Version != 2 {
		t.Errorf("deletion %+v", del)
	}
	stats := func() int64 {
		s, err := cluster.Stats(t.Context(), []string{kafka.Transactions}, []string{Group})
		if err != nil {
			t.Fatal(err)
		}
		return s[0].Lag[Group]
	}
	for end := time.Now().Add(10 * time.Second); stats() != 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("lag %d", stats())
		}
	}
}

func TestEncode(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	c := store.Change{Seq: 9, Version: &store.Version{Type: "Patient", ID: "a", Version: 3, LastUpdated: at, Method: store.Update, Created: true, Offset: 7,
		Resource: []byte("{ \"x\": 1.50 }")}}
	got := Encode(nil, c)
	want := `{"type":"Patient","id":"a","version":3,"lastUpdated":"2023-11-14T22:13:20.123Z","method":"PUT","created":true,"seq":9,"offset":7,"resource":{ "x": 1.50 }}`
	if string(got) != want || !json.Valid(got) {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	d, err := Decode(got)
	if err != nil || !d.LastUpdated.Equal(at) || string(d.Resource) != `{ "x": 1.50 }` {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := Decode([]byte(`{}`)); err == nil {
		t.Error("an empty object decodes")
	}
}
