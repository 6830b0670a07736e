package store

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func sample(size int) *Transaction {
	return &Transaction{ID: "tx-1", Actor: "his", Source: "msg-9", Time: time.UnixMilli(1_700_000_000_123).UTC(), Ops: []Op{
		{Method: Create, Type: "Patient", ID: "a", FullURL: "urn:uuid:1", IfNoneExist: "identifier=1", Resource: []byte(`{"resourceType":"Patient","x":"` + strings.Repeat("中", size) + `"}`)},
		{Method: Update, Type: "Patient", Condition: "identifier=2", IfNewer: "2026-01-01T00:00:00Z", SkipSame: true, IfNoneMatch: true, Resource: []byte(`{}`)},
		{Method: Delete, Type: "Patient", ID: "any", IfMatch: AnyVersion},
		{Method: Patch, Type: "Patient", ID: "b", IfMatch: 3, PatchType: "application/json-patch+json", Resource: []byte(`[]`)},
		{Method: Delete, Type: "Patient", Condition: "name=x", Many: true},
	}}
}

func TestRecordRoundTrip(t *testing.T) {
	c := NewCodec()
	for _, size := range []int{0, 10, 5000} {
		want := sample(size)
		rec := c.Encode(want)
		got, err := c.Decode(rec)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("size %d: %v\n got %+v\nwant %+v", size, err, got, want)
		}
		h, err := c.Header(rec)
		if err != nil || h.ID != want.ID || !h.Time.Equal(want.Time) {
			t.Fatalf("header %+v, %v", h, err)
		}
	}
	if rec := c.Encode(sample(5000)); len(rec) > 2000 {
		t.Errorf("a compressible record takes %d bytes", len(rec))
	}
}

func TestRecordDecode_bad(t *testing.T) {
	c := NewCodec()
	rec := c.Encode(sample(0))
	for cut := range len(rec) {
		if _, err := c.Decode(rec[:cut]); err == nil {
			t.Fatalf("a record cut at %d of %d decodes", cut, len(rec))
		}
	}
	if _, err := c.Decode(append([]byte{9}, rec[1:]...)); !fault.Is(err, fault.Unsupported) {
		t.Errorf("version 9: %v", err)
	}
	if _, err := c.Decode(append(bytes.Clone(rec), 0)); !fault.Is(err, fault.Invalid) {
		t.Errorf("trailing byte: %v", err)
	}
}

func FuzzRecordDecode(f *testing.F) {
	c := NewCodec()
	f.Add(c.Encode(sample(0)))
	f.Add(c.Encode(sample(3000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		tx, err := c.Decode(data)
		if err != nil {
			return
		}
		again, err := c.Decode(c.Encode(tx))
		if err != nil || !reflect.DeepEqual(again, tx) {
			t.Fatalf("re-encoded differs: %v\n%+v\n%+v", err, again, tx)
		}
	})
}
