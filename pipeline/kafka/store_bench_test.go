package kafka_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/pebble"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/shared"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// repository is the whole write path on a folder: embedded broker with fsync,
// real search index, Pebble.
func repository(tb testing.TB, dir string) (*pebble.Store, func()) {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	cfg := kafka.Default(filepath.Join(dir, "kafka"))
	cfg.Port = 0
	cluster, err := kafka.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	must(err)
	log, err := cluster.Log(context.Background())
	must(err)
	model, err := definitions.Load()
	must(err)
	fp := fhirpath.NewEngine(model)
	pc := pebble.Default(filepath.Join(dir, "fhir"))
	pc.Config = machine.Config{Log: log, Indexer: search.NewEngine(model, fp)}
	st, err := pebble.Open(pc)
	must(err)
	stop := storetest.Launch(tb, st)
	return st, func() {
		stop()
		must(st.Close())
		must(cluster.Close())
	}
}

// bundle turns a transaction Bundle into a transaction, as the REST door does.
func bundle(tb testing.TB, src []byte) *store.Transaction {
	tree, err := fhir.Parse(src)
	if err != nil {
		tb.Fatal(err)
	}
	tx := &store.Transaction{ID: rand.Text()}
	for e := range tree.Root().Get("entry").Children() {
		res := e.Get("resource")
		tx.Ops = append(tx.Ops, store.Op{Method: store.Create, Type: res.ResourceType(), ID: rand.Text(), FullURL: e.Get("fullUrl").Str(),
			IfNoneExist: e.Path("request", "ifNoneExist").Str(), Resource: res.Raw()})
	}
	return tx
}

func synthea(tb testing.TB) (first, rest [][]byte) {
	names, _ := filepath.Glob(filepath.Join(shared.Dir(tb), "data/samples/synthea/*.json"))
	for _, n := range names {
		src, err := os.ReadFile(n)
		if err != nil {
			tb.Fatal(err)
		}
		switch base := filepath.Base(n); {
		case base[:8] == "hospital":
			first = append([][]byte{src}, first...)
		case base[:12] == "practitioner":
			first = append(first, src)
		default:
			rest = append(rest, src)
		}
	}
	return first, rest
}

// BenchmarkImport loads the Synthea bundles as durable transactions; the
// resources/s are what the import target is about.
func BenchmarkImport(b *testing.B) {
	first, rest := synthea(b)
	st, stop := repository(b, b.TempDir())
	defer stop()
	commit := func(src []byte) int {
		tx := bundle(b, src)
		if _, err := st.Commit(context.Background(), tx); err != nil {
			b.Fatal(err)
		}
		return len(tx.Ops)
	}
	for _, src := range first {
		commit(src)
	}
	b.ResetTimer()
	begin := cpu()
	var resources, bytes atomic.Int64
	for range b.N {
		work := make(chan []byte)
		done := make(chan struct{})
		for range 4 {
			go func() {
				for src := range work {
					resources.Add(int64(commit(src)))
					bytes.Add(int64(len(src)))
				}
				done <- struct{}{}
			}()
		}
		for _, src := range rest {
			work <- src
		}
		close(work)
		for range 4 {
			<-done
		}
	}
	b.StopTimer()
	sec := b.Elapsed().Seconds()
	b.ReportMetric(float64(resources.Load())/sec, "resources/s")
	b.ReportMetric(float64(bytes.Load())/sec/1e6, "MB/s")
	b.ReportMetric((cpu()-begin)*1e6/float64(resources.Load()), "cpu-µs/resource")
	if err := st.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(st.Usage().Disk)/float64(resources.Load()), "disk-B/resource")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/1e6, "sys-MB")
}

// cpu is the processor time the process has used, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// BenchmarkCreate32 is 32 clients creating single resources durably.
func BenchmarkCreate32(b *testing.B) {
	st, stop := repository(b, b.TempDir())
	defer stop()
	var n atomic.Int64
	b.SetParallelism(32 / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			body := fmt.Sprintf(`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4","display":"Heart rate"}]},"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"2026-11-22T08:00:00+08:00","valueQuantity":{"value":%d,"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}`, i%1000, 60+i%60)
			tx := &store.Transaction{ID: rand.Text(), Ops: []store.Op{{Method: store.Create, Type: "Observation", ID: rand.Text(), Resource: []byte(body)}}}
			if _, err := st.Commit(context.Background(), tx); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
}

// BenchmarkRead reads random resources of a few thousand, each on a snapshot of
// its own, beside a client that writes all the time.
func BenchmarkRead(b *testing.B) {
	st, stop := repository(b, b.TempDir())
	defer stop()
	const n = 4000
	tx := &store.Transaction{ID: rand.Text()}
	for i := range n {
		tx.Ops = append(tx.Ops, store.Op{Method: store.Update, Type: "Patient", ID: fmt.Sprint(i), Resource: fmt.Appendf(nil,
			`{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"%d"}],"name":[{"text":"张三"}],"birthDate":"1980-01-01"}`, i)})
	}
	if _, err := st.Commit(context.Background(), tx); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			_, _ = st.Commit(ctx, &store.Transaction{ID: rand.Text(), Ops: tx.Ops[:1]})
		}
	})
	var i atomic.Int64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			sn, err := st.Snapshot(ctx, 0)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := sn.Read("Patient", fmt.Sprint(i.Add(7)%n)); err != nil {
				b.Error(err)
			}
			sn.Close()
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
	cancel()
	wg.Wait()
}
