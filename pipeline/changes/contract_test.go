package changes

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	client "github.com/segmentio/kafka-go"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// TestContract reads the topic as a stranger does, with plain kafka-go in a
// group, and holds it against docs/formats/changes.md.
func TestContract(t *testing.T) {
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
	pub, err := New(t.Context(), cluster, st, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	ended := make(chan error, 2)
	go func() { ended <- st.Run(ctx) }()
	go func() { ended <- pub.Run(ctx) }()
	defer func() { cancel(); <-ended; <-ended }()
	at := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	for i, ops := range [][]store.Op{{put("a", "1"), put("b", "1")}, {put("a", "2")}, {{Method: store.Delete, Type: "Patient", ID: "a"}}, {put("a", "3")}} {
		if _, err := st.Commit(ctx, &store.Transaction{ID: string(rune('A' + i)), Time: at.Add(time.Duration(i) * time.Second), Ops: ops}); err != nil {
			t.Fatal(err)
		}
	}
	r := client.NewReader(client.ReaderConfig{Brokers: cluster.Brokers(), GroupID: "my-platform", Topic: "qihuang.changes", StartOffset: client.FirstOffset, MaxWait: 100 * time.Millisecond})
	defer r.Close()
	type change struct {
		Type, ID, Method     string
		Version, Seq, Offset int64
		Created              bool
		LastUpdated          time.Time
		Resource             json.RawMessage
	}
	var got []change
	for len(got) < 5 {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var c change
		if err := json.Unmarshal(m.Value, &c); err != nil {
			t.Fatal(err)
		}
		if string(m.Key) != c.Type+"/"+c.ID || len(m.Headers) != 0 || m.Partition != 0 {
			t.Errorf("key %q of %s/%s, headers %v, partition %d", m.Key, c.Type, c.ID, m.Headers, m.Partition)
		}
		if len(got) > 0 && c.Seq <= got[len(got)-1].Seq {
			continue // a repeat
		}
		if c.Seq != int64(len(got))+1 {
			t.Fatalf("gap before seq %d", c.Seq)
		}
		got = append(got, c)
		if err := r.CommitMessages(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []struct {
		id, method string
		version    int64
		created    bool
		content    bool
	}{{"a", "PUT", 1, true, true}, {"b", "PUT", 1, true, true}, {"a", "PUT", 2, false, true}, {"a", "DELETE", 3, false, false}, {"a", "PUT", 4, true, true}} {
		c := got[i]
		if c.ID != want.id || c.Method != want.method || c.Version != want.version || c.Created != want.created || (c.Resource != nil) != want.content {
			t.Errorf("change %d: %+v, want %+v", i, c, want)
		}
	}
	if got[0].Offset != got[1].Offset || got[1].Offset >= got[2].Offset {
		t.Errorf("versions of one transaction share its offset: %d %d %d", got[0].Offset, got[1].Offset, got[2].Offset)
	}
	if !got[2].LastUpdated.Equal(at.Add(time.Second)) {
		t.Errorf("lastUpdated %v", got[2].LastUpdated)
	}
}
