package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/pebble"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// disk measures what a resource of the generator takes in a repository of its own,
// with its index and one version, once it has come to rest.
func (b *bench) disk() error {
	const n = 20_000
	k, err := loadKnowledge(time.UTC)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "disk")
	cfg := pebble.Default(dir)
	cfg.Config.Log, cfg.Indexer = &memory.Log{}, k.search
	s, err := pebble.Open(cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(b.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	bytes, err := fillStore(ctx, s, n)
	stop()
	wg.Wait()
	if err = errors.Join(err, s.Close()); err != nil { // closing drops the files that compaction replaced
		return err
	}
	b.print(figure{"disk-bytes-per-resource", float64(folder(dir)) / n, "bytes", "≤ 1000",
		fmt.Sprintf("含索引与一个版本，整理之后；资源 JSON 平均 %d 字节，共 %d 个", bytes/n, n)})
	return nil
}

// fillStore commits n resources, compacts, and returns the bytes of their JSON.
func fillStore(ctx context.Context, s *pebble.Store, n int) (bytes int, err error) {
	for i := 0; i < n; i += bundleSize {
		tx, size, err := transactionOf(bundle(800_000_000+i, bundleSize-1), i)
		if err != nil {
			return 0, err
		}
		if _, err := s.Commit(ctx, tx); err != nil {
			return 0, err
		}
		bytes += size
	}
	return bytes, s.Compact(ctx)
}

// transactionOf makes the transaction that the server would of a bundle of POSTs,
// and returns the bytes of its resources.
func transactionOf(bundle []byte, seed int) (*store.Transaction, int, error) {
	tree, err := fhir.Parse(bundle)
	if err != nil {
		return nil, 0, err
	}
	tx := &store.Transaction{ID: fmt.Sprintf("bench-%d", seed)}
	size := 0
	for e := range tree.Root().Get("entry").Each() {
		r := e.Get("resource")
		size += len(r.Raw())
		tx.Ops = append(tx.Ops, store.Op{Method: store.Create, Type: r.ResourceType(), FullURL: e.Get("fullUrl").Str(),
			ID: fmt.Sprintf("%08x-0000-7000-8000-%012x", seed, len(tx.Ops)), Resource: r.Raw()})
	}
	return tx, size, nil
}

// grow loads the hub to its volume and compares searches over 100,000 resources
// with searches over all of them.
func (b *bench) grow() error {
	const small = 100_000
	if b.volume <= small {
		return nil
	}
	begin := time.Now()
	if err := b.fill(0, small); err != nil {
		return err
	}
	filled := time.Since(begin)
	before, err := b.medians()
	if err != nil {
		return err
	}
	begin = time.Now()
	if err := b.fill(small, b.volume); err != nil {
		return err
	}
	b.print(figure{"volume-import-resources-per-second", float64(b.volume) / (filled + time.Since(begin)).Seconds(), "resources/s", "≥ 12000",
		fmt.Sprintf("%d 个资源，含数据仓库与变更主题同时跟进", b.volume)})
	after, err := b.medians()
	if err != nil {
		return err
	}
	for i, m := range after {
		b.print(figure{"growth-" + m.name, (m.p50/before[i].p50 - 1) * 100, "%", "≤ 20",
			fmt.Sprintf("p50 从 %.2f ms（%d 个资源）到 %.2f ms（%d 个）", before[i].p50, small, m.p50, b.volume)})
	}
	if err := b.count(); err != nil {
		return err
	}
	b.print(figure{"volume-disk-bytes-per-resource", float64(folder(filepath.Join(b.dir, "data", "fhir"))) / float64(b.volume), "bytes", "≤ 1000", "资源库目录，静止时"})
	return nil
}

// median is the p50 of one kind of query, in milliseconds.
type median struct {
	name string
	p50  float64
}

// medians asks the queries once the hub is at rest.
func (b *bench) medians() (out []median, err error) {
	if err := b.rest(); err != nil {
		return nil, err
	}
	list, err := b.queries()
	if err != nil {
		return nil, err
	}
	for _, q := range list[1:3] { // the searches of a fixed number of results
		l, err := b.ask(q)
		if err != nil {
			return nil, err
		}
		out = append(out, median{q.name, at(l.lat, 50)})
	}
	return out, nil
}

// rest waits until the warehouse has caught up and the repository has compacted
// what it will.
func (b *bench) rest() error {
	if err := b.settle(); err != nil {
		return err
	}
	for begin, calm := time.Now(), 0; calm < 10; time.Sleep(300 * time.Millisecond) { // a flush may make another due
		switch {
		case b.ctx.Err() != nil:
			return b.ctx.Err()
		case time.Since(begin) > 10*time.Minute:
			return fault.New(fault.Unavailable, "资源库十分钟内没有整理完")
		case b.metric("qihuang_repository_compactions") == 0:
			calm++
		default:
			calm = 0
		}
	}
	return nil
}

// fill imports generated resources number from to number to, and tells how it goes.
func (b *bench) fill(from, to int) error {
	var next atomic.Int64
	next.Store(int64(from / bundleSize))
	var wg sync.WaitGroup
	ctx, stop := context.WithCancelCause(b.ctx)
	defer stop(nil)
	for range 8 {
		wg.Go(func() {
			conn := &wire{address: b.address()}
			defer conn.close()
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= to/bundleSize {
					return
				}
				code, body, err := conn.call("POST", "/fhir", fhirJSON, bundle(100_000_000+n, bundleSize-1))
				if err := want(http.StatusOK, code, body, err); err != nil {
					stop(fmt.Errorf("fill: %w", err))
				}
			}
		})
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		b.tell(ctx, &next, from, to)
	}()
	wg.Wait()
	err := context.Cause(ctx)
	stop(nil)
	<-told
	return err
}

// tell writes the progress of fill every few seconds until ctx ends.
func (b *bench) tell(ctx context.Context, next *atomic.Int64, from, to int) {
	begin := time.Now()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n := min(int(next.Load())*bundleSize, to)
		rate := float64(n-from) / time.Since(begin).Seconds()
		fmt.Fprintf(b.errs, "已装入 %d / %d 个资源（%d%%），%.0f 个/秒，剩余约 %s\n", n, to, n*100/to, rate,
			time.Duration(float64(to-n)/max(rate, 1)*float64(time.Second)).Round(time.Second))
	}
}

// folder is the size of the files below a folder.
func folder(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // it was compacted away meanwhile
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
