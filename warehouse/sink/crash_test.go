package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

var errCrash = errors.New("crash")

// TestCrashAnywhere ends the sink before every step of a batch, as kill -9
// would, with another sink going on from what is in the tables: afterwards every
// version is there, physically once, and every row of the views.
func TestCrashAnywhere(t *testing.T) {
	b := setUp(t)
	_, stop := b.sink() // makes the tables
	b.await("SELECT count() FROM system.tables WHERE database = 'qihuang' AND name = 'treatment'", "1")
	stop()
	herbs := []string{"黄芪", "白术", "防风", "当归"}
	steps := []string{"range done=false", landingTable, "prescription_item", "prescription_request", "rollup", "range done=true"}
	version := int64(0)
	for _, step := range steps {
		version++
		var records []kafka.Record
		for i := range 20 {
			id := fmt.Sprintf("m%d", i)
			records = append(records, b.change("Medication", id, version, medication(id, herbs[:1+(i+int(version))%4]...)),
				b.change("MedicationRequest", "r"+id, version, request("r"+id, fmt.Sprintf("W%d-%d", version, i%7))))
		}
		b.publish(records...)
		b.crashAt(step)
	}
	_, stop = b.sink()
	defer stop()
	want := int(version) * 40
	b.await("SELECT count() FROM qihuang.resource FINAL", fmt.Sprint(want))
	items := 20 // one row of each request
	for i := range 20 {
		items += 1 + (i+int(version))%4
	}
	b.await("SELECT count() FROM qihuang.prescription_item FINAL", fmt.Sprint(items))
	b.await("SELECT count() FROM qihuang.prescription FINAL", "7")
	if got := b.ask("SELECT count() FROM qihuang.resource"); got != fmt.Sprint(want) {
		t.Errorf("%s rows in the landing table without FINAL, %d versions: a block was written twice", got, want)
	}
	b.await("SELECT countIf(done = 0) FROM (SELECT first, max(done) AS done FROM qihuang._range GROUP BY first)", "0")
}

// crashAt runs a sink that dies before a step.
func (b *bench) crashAt(step string) {
	b.Helper()
	var views [][]byte
	for _, v := range conformance.Views() {
		views = append(views, v)
	}
	cfg := Default()
	cfg.Retry = 10 * time.Millisecond
	s, err := New(cfg, b.conn, b.cluster, b.paths, views, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	hit := make(chan struct{}, 1)
	s.crash = func(at string) error {
		if at != step || ctx.Err() != nil {
			return nil
		}
		select {
		case hit <- struct{}{}:
		default:
		}
		cancel() // nothing after this reaches the warehouse
		return errCrash
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-hit:
	case <-time.After(30 * time.Second):
		b.Fatalf("the step %q never came", step)
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// letters remembers dead letters.
type letters map[string]*pipeline.DeadLetter

func (l letters) Put(_ context.Context, d *pipeline.DeadLetter) error { l[d.ID] = d; return nil }

// TestRefused gives views what they cannot take: the rest arrives, the refused
// row is in the table dlq and a dead letter without the value, and replay works
// once the resource is mended.
func TestRefused(t *testing.T) {
	b := setUp(t)
	var views [][]byte
	for _, v := range conformance.Views() {
		views = append(views, v)
	}
	cfg, told := Default(), letters{}
	cfg.Letters = told
	s, err := New(cfg, b.conn, b.cluster, b.paths, views, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	b.publish(
		b.change("Patient", "old", 1, `{"resourceType":"Patient","id":"old","birthDate":"1492-10-12"}`), // no Date32
		b.change("ChargeItem", "dear", 1, `{"resourceType":"ChargeItem","id":"dear","priceOverride":{"value":123456789012345678}}`),
		b.change("Patient", "fine", 1, `{"resourceType":"Patient","id":"fine","birthDate":"1992-10-12"}`),
		kafka.Record{Key: []byte("x"), Value: []byte("not a change")},
	)
	b.await("SELECT count() FROM qihuang.dlq FINAL", "3")
	for query, want := range map[string]string{
		"SELECT count() FROM qihuang.patient FINAL":                                                 "1",
		"SELECT count() FROM qihuang.resource FINAL":                                                "3",
		"SELECT view FROM qihuang.dlq FINAL WHERE type = 'Patient'":                                 "patient",
		"SELECT count() FROM qihuang.dlq FINAL WHERE match(reason, '1492|123456789')":               "0",
		"SELECT count() FROM qihuang.dlq FINAL WHERE type = '' AND view = '' AND reason != ''":      "1",
		"SELECT count() FROM qihuang.dlq FINAL WHERE view = 'charge' AND id = 'dear' AND version=1": "1",
	} {
		if got := b.ask(query); got != want {
			t.Errorf("%s = %q, want %q", query, got, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	letter := told["warehouse-Patient-old-1-patient"]
	if letter == nil || len(told) != 2 {
		t.Fatalf("dead letters: %v", told)
	}
	if err := s.Handle(t.Context(), letter.Message); err == nil {
		t.Error("replay of what is still wrong")
	}
	mended := b.change("Patient", "old", 2, `{"resourceType":"Patient","id":"old","birthDate":"1942-10-12"}`)
	if err := s.Handle(t.Context(), &pipeline.Message{Kind: Kind, Body: mended.Value}); err != nil {
		t.Error(err)
	}
	if got := b.ask("SELECT count() FROM qihuang.patient FINAL"); got != "2" {
		t.Errorf("patients %s", got)
	}
}
