package centre

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Faults say how a centre misbehaves: parts of the requests, 0 to 1. Which ones
// follows from the seed, the request's bytes and how often they came.
type Faults struct {
	Seed  uint64
	Drop  float64       // the line drops before anything happens
	Lost  float64       // it happens, and the line drops before the answer
	Slow  float64       // it happens, and the answer comes after Delay
	Busy  float64       // HTTP 503, nothing happens
	Delay time.Duration // of a slow answer
}

// Validate tells what is wrong with f, nil if nothing.
func (f Faults) Validate() error {
	for _, p := range []float64{f.Drop, f.Lost, f.Slow, f.Busy} {
		if p < 0 || p > 1 {
			return fault.New(fault.Invalid, "故障比例应在 0 到 1 之间")
		}
	}
	if f.Drop+f.Lost+f.Slow+f.Busy > 1 || f.Delay < 0 {
		return fault.New(fault.Invalid, "故障比例之和不能超过 1，延迟不能为负")
	}
	return nil
}

// Faulty is a handler that misbehaves.
type Faulty struct {
	next http.Handler

	mu     sync.Mutex
	faults Faults
	down   bool
	times  map[uint64]int // by request
	count  map[string]int // by fault
}

// NewFaulty returns next behind faults.
func NewFaulty(next http.Handler, f Faults) *Faulty {
	return &Faulty{next: next, faults: f, times: map[uint64]int{}, count: map[string]int{}}
}

// SetDown makes every request fail at the line, or no longer.
func (f *Faulty) SetDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// SetFaults changes what goes wrong from now on.
func (f *Faulty) SetFaults(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

// Count returns how often each fault happened.
func (f *Faulty) Count() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for k, n := range f.count {
		out[k] = n
	}
	return out
}

// choose says what goes wrong with a request; "" = nothing.
func (f *Faulty) choose(body []byte) (what string, delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := fnv.New64a()
	_, _ = h.Write(body)
	key := h.Sum64()
	n := f.times[key]
	f.times[key]++
	p := chance(f.faults.Seed, fmt.Sprintf("%d/%d", key, n))
	switch s := f.faults; {
	case f.down || p < s.Drop:
		what = "drop"
	case p < s.Drop+s.Lost:
		what = "lost"
	case p < s.Drop+s.Lost+s.Slow:
		what = "slow"
	case p < s.Drop+s.Lost+s.Slow+s.Busy:
		what = "busy"
	}
	if what != "" {
		f.count[what]++
	}
	return what, f.faults.Delay
}

// maxRequest bounds a request of the simulator.
const maxRequest = 16 << 20

// ServeHTTP implements http.Handler.
func (f *Faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "请求太大或中断", http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	what, delay := "", time.Duration(0)
	if r.Method == http.MethodPost {
		what, delay = f.choose(body)
	}
	switch what {
	case "drop":
		panic(http.ErrAbortHandler)
	case "busy":
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	case "lost":
		f.next.ServeHTTP(&kept{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	case "slow":
		answer := &kept{header: http.Header{}, status: http.StatusOK}
		f.next.ServeHTTP(answer, r)
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
		for k, v := range answer.header {
			w.Header()[k] = v
		}
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body.Bytes())
		return
	}
	f.next.ServeHTTP(w, r)
}

// kept is an answer that does not go out yet.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (k *kept) Header() http.Header { return k.header }

// WriteHeader implements http.ResponseWriter.
func (k *kept) WriteHeader(status int) { k.status = status }

// Write implements http.ResponseWriter.
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }
