package main

import (
	"runtime"
	"sync"
	"syscall"
	"time"
)

// pulse tells whether this process has its hands full, from the processor time
// it used since it was asked before.
type pulse struct {
	mu   sync.Mutex
	at   time.Time
	used time.Duration
	busy bool
}

const (
	busyEvery = time.Second // shorter spans say little
	busyFull  = 0.7         // of all processors
)

// Busy reports whether the hub used most of the machine lately.
func (l *pulse) Busy() bool {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return false
	}
	return l.sample(time.Now(), time.Duration(u.Utime.Nano()+u.Stime.Nano()))
}

func (l *pulse) sample(now time.Time, used time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	span := now.Sub(l.at)
	if span < busyEvery {
		return l.busy
	}
	share := (used - l.used).Seconds() / span.Seconds() / float64(runtime.GOMAXPROCS(0))
	l.busy = !l.at.IsZero() && share > busyFull
	l.at, l.used = now, used
	return l.busy
}
