package search_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
)

// pebbleIndex is an index as the repository keeps it, without the repository.
type pebbleIndex struct{ db *pebble.DB }

func (x pebbleIndex) Iter(lower, upper []byte) search.Iterator {
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		panic(err)
	}
	return &pebbleIter{Iterator: it}
}

func (x pebbleIndex) Get(k []byte) ([]byte, bool, error) {
	v, c, err := x.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err == nil {
		err = c.Close()
	}
	return v, err == nil, err
}

func (x pebbleIndex) Resource(typ, id string) ([]byte, bool, error) {
	v, c, err := x.db.Get([]byte("\xff" + typ + "/" + id))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return bytes.Clone(v), true, c.Close()
}

type pebbleIter struct {
	*pebble.Iterator
	begun bool
}

func (i *pebbleIter) Next() bool {
	if !i.begun {
		i.begun = true
		return i.First()
	}
	return i.Iterator.Next()
}
func (i *pebbleIter) SeekGE(k []byte) bool { i.begun = true; return i.Iterator.SeekGE(k) }
func (i *pebbleIter) Value() []byte        { return i.Iterator.Value() }

// copies is how often the samples are loaded under other ids.
const copies = 12

func loadPebble(b *testing.B, e *search.Engine) pebbleIndex {
	db, err := pebble.Open("", &pebble.Options{FS: vfs.NewMem(), MemTableSize: 64 << 20, CacheSize: 512 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	all := synthea(b, 8)
	var p fhir.Parser
	var keys [][]byte
	begin, n := time.Now(), 0
	for c := range copies {
		batch := db.NewBatch()
		for _, raw := range all {
			raw = shift(raw, c)
			tree, err := p.Parse(raw)
			if err != nil {
				b.Fatal(err)
			}
			typ, id2 := tree.Root().ResourceType(), tree.Root().Get("id").Str()
			if keys, err = e.Keys(keys[:0], typ, id2, tree.Root()); err != nil {
				b.Fatal(err)
			}
			for _, k := range keys {
				_ = batch.Set(k, nil, nil)
			}
			_ = batch.Set([]byte("\xff"+typ+"/"+id2), raw, nil)
			n++
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d resources loaded in %v, %d MB in tables", n, time.Since(begin).Round(time.Millisecond), db.Metrics().DiskSpaceUsage()>>20)
	return pebbleIndex{db}
}

// shift gives all UUIDs in a resource another beginning.
func shift(raw []byte, c int) []byte {
	if c == 0 {
		return raw
	}
	out := bytes.Clone(raw)
	for i := 0; i+36 < len(out); i++ {
		if out[i+8] == '-' && out[i+13] == '-' && out[i+18] == '-' && out[i+23] == '-' && (out[i-1] == '"' || out[i-1] == '/') {
			for j := range 4 {
				d := (strings.IndexByte("0123456789abcdef", out[i+j]) + c*(j+1)) & 15
				out[i+j] = "0123456789abcdef"[d]
			}
			i += 36
		}
	}
	return out
}

func BenchmarkSearch(b *testing.B) {
	e := newEngine()
	ix := loadPebble(b, e)
	patient := first(b, e, ix, "Patient", "")
	family := "Terry"
	for _, q := range []string{
		"Observation?code=1271AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&_count=10",
		"Observation?code=1271AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&_count=10&_total=none",
		"Observation?patient=" + patient + "&_count=10",
		"Observation?patient=" + patient + "&code=1271AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"Observation?code=1271AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&date=ge2019&_count=10",
		"Observation?date=ge2019-03-01&date=lt2019-04-01&_count=20",
		"Observation?subject:Patient.family=" + family + "&code=1271AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&_count=10",
		"Observation?patient.family=" + family + "&_count=10&_total=none",
		"Observation?subject:Patient.gender=male&code=1271AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&_count=10",
		"Patient?_has:Observation:patient:code=1271AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&_count=10",
		"Patient?name=t&_count=10",
		"Observation?_sort=-date&_count=10&_total=none",
		"Observation?status=final&_summary=count",
		"Observation?code=1271AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&_summary=count",
		"Observation?code-value-quantity=5085AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$gt3&_count=10",
		"Encounter?class=AMB&_include=Encounter:patient&_count=10&_total=none",
	} {
		b.Run(strings.ReplaceAll(strings.ReplaceAll(q, patient, "ID"), "/", "|"), func(b *testing.B) {
			b.ReportAllocs()
			total, before := 0, cpu()
			typ, query, _ := strings.Cut(q, "?")
			for b.Loop() {
				p, err := e.Search(context.Background(), ix, search.Request{Type: typ, Query: query})
				if err != nil {
					b.Fatal(err)
				}
				total = len(p.Matches)
				if p.Total != nil {
					total = *p.Total
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "searches/s")
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-us/op")
			b.ReportMetric(float64(total), "matches")
		})
	}
}

// cpu is the processor time this process has used: a fair measure on a machine
// that others use too.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func first(b *testing.B, e *search.Engine, ix search.Index, typ, q string) string {
	p, err := e.Search(context.Background(), ix, search.Request{Type: typ, Query: q, Count: 1})
	if err != nil || len(p.Matches) == 0 {
		b.Fatal(fmt.Sprint("no ", typ, ": ", err))
	}
	return p.Matches[0].ID
}

func BenchmarkKeys(b *testing.B) {
	e := newEngine()
	type resource struct {
		typ, id string
		n       fhir.Node
	}
	var all []resource
	for _, raw := range synthea(b, 3) {
		tree, err := fhir.Parse(raw)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, resource{tree.Root().ResourceType(), tree.Root().Get("id").Str(), tree.Root()})
	}
	var dst [][]byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := all[i%len(all)]
		dst, _ = e.Keys(dst[:0], r.typ, r.id, r.n)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "resources/s")
}
