package pebble

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// TestPatience writes much: level 0 piles up beyond where compactions begin by
// default, and is put in order once writing ebbs away.
func TestPatience(t *testing.T) {
	cfg := Default(t.TempDir())
	cfg.MemTable = 1 << 20
	cache := pebble.NewCache(cfg.CacheBytes)
	defer cache.Unref()
	o, wait := options(cfg, cache), newPatience()
	o.Experimental.CompactionScheduler = wait
	db, err := pebble.Open(cfg.Dir, o)
	if err != nil {
		t.Fatal(err)
	}
	depth := func() int { return int(db.Metrics().Levels[0].Sublevels) }
	wait.watch(depth)
	k := &kv{db: db, written: &wait.written}
	deepest, begin := 0, time.Now()
	for i := 0; deepest < 8; i++ {
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("level 0 got no deeper than %d", deepest)
		}
		b := k.Begin(false)
		for range 1000 {
			if err := b.Set(fmt.Appendf(nil, "%016x", rand.Uint64()), make([]byte, 200)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		deepest = max(deepest, depth())
		time.Sleep(10 * time.Millisecond)
	}
	for begin = time.Now(); depth() >= 4; time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("level 0 stays %d deep", depth())
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestGauge(t *testing.T) {
	var g gauge
	for i := range int64(100) {
		g.add(i*1000, 100*time.Millisecond)
	}
	if r := g.add(100_000, 100*time.Millisecond); r < 9_500 || r > 10_500 {
		t.Errorf("rate %.0f of 10000", r)
	}
	for range 100 {
		g.add(100_000, 100*time.Millisecond)
	}
	if r := g.add(100_000, 100*time.Millisecond); r > 100 {
		t.Errorf("ten seconds of silence leave a rate of %.0f", r)
	}
}
