package main

import (
	"runtime"
	"testing"
	"time"
)

func TestPulse(t *testing.T) {
	var l pulse
	start, full := time.Now(), time.Duration(runtime.GOMAXPROCS(0))*time.Second
	for _, step := range []struct {
		after, used time.Duration
		want        bool
	}{
		{0, full, false}, // what was used before the first question says nothing
		{time.Second, full + full/2, false},
		{2 * time.Second, full*2 + full/2, true},
		{2*time.Second + time.Millisecond, full*2 + full/2, true}, // too soon to tell
		{12 * time.Second, full*3 + full/2, false},
	} {
		if got := l.sample(start.Add(step.after), step.used); got != step.want {
			t.Errorf("after %v: %t", step.after, got)
		}
	}
}
