package bulk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// LoadConfig says how a Loader works.
type LoadConfig struct {
	Base    string        // FHIR base URL
	Token   string        // bearer token; "" = none
	Workers int           // requests in flight
	Chunk   int           // resources of NDJSON per request
	Retries int           // how often a request is tried again when the server is busy or away
	Backoff time.Duration // before the first retry; doubles each time
	Timeout time.Duration // of one request
	State   string        // file that remembers what is done, for resuming; "" = none
}

// DefaultLoad returns the configuration of `qihuang load` without flags.
func DefaultLoad() LoadConfig {
	return LoadConfig{Base: "http://127.0.0.1:8080/fhir", Workers: 4, Chunk: 500, Retries: 8,
		Backoff: 250 * time.Millisecond, Timeout: 5 * time.Minute}
}

// Validate reports the first wrong setting.
func (c LoadConfig) Validate() error {
	if !isURL(c.Base) {
		return fault.New(fault.Invalid, "base must be an http(s) URL, got %q", c.Base)
	}
	if c.Workers < 1 || c.Chunk < 1 || c.Retries < 0 || c.Timeout <= 0 || c.Backoff <= 0 {
		return fault.New(fault.Invalid, "workers, chunk, timeout and backoff must be positive")
	}
	return nil
}

// RowError is a resource that was not loaded.
type RowError struct {
	File    string `json:"file"`
	Row     int    `json:"row"` // line of NDJSON, or entry of a bundle, 1-based; 0 = the file as a whole
	Status  int    `json:"status,omitempty"`
	Message string `json:"message"`
}

// Summary is what became of a load.
type Summary struct {
	Files     int           `json:"files"`
	Requests  int           `json:"requests"`
	Resources int           `json:"resources"` // accepted by the server
	Failed    int           `json:"failed"`    // refused rows
	Skipped   int           `json:"skipped"`   // requests done by an earlier run
	Bytes     int64         `json:"bytes"`     // sent
	Elapsed   time.Duration `json:"-"`
	Seconds   float64       `json:"seconds"`
	PerSecond float64       `json:"resourcesPerSecond"`
	Errors    []RowError    `json:"errors,omitempty"` // the first maxErrors
}

// maxErrors bounds the errors a Summary keeps; OnError gets them all.
const maxErrors = 100

// Loader sends files to a FHIR server.
type Loader struct {
	cfg    LoadConfig
	client *http.Client
	// OnError, if set, is told each refused row; calls come one at a time.
	OnError func(RowError)
	// OnProgress, if set, is told the resources and bytes done so far; calls
	// come one at a time.
	OnProgress func(done Summary)

	mu    sync.Mutex
	sum   Summary
	state *state
	nonce string
}

// NewLoader returns a loader that sends with client.
func NewLoader(cfg LoadConfig, client *http.Client) (*Loader, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Base = strings.TrimSuffix(cfg.Base, "/")
	l := &Loader{cfg: cfg, client: client}
	if cfg.State == "" {
		l.nonce = rand.Text() // loading a file again on purpose is not a retry
	}
	return l, nil
}

// Size returns the bytes of the inputs, for a progress bar; URLs count nothing.
func Size(args []string) (int64, error) {
	list, err := listInputs(args)
	var n int64
	for _, in := range list {
		n += in.size
	}
	return n, err
}

// Load sends the files, folders and URLs and returns what became of them. Rows
// the server refuses are counted, not returned as an error; the error is for a
// server that stays away, an unreadable state file, or the end of ctx.
func (l *Loader) Load(ctx context.Context, args []string) (Summary, error) {
	begin := time.Now()
	inputs, err := listInputs(args)
	if err != nil {
		return l.sum, err
	}
	if l.state, err = openState(l.cfg.State); err != nil {
		return l.sum, err
	}
	defer l.state.close()
	for rank := range 2 {
		var part []input
		for _, in := range inputs {
			if in.rank() == rank {
				part = append(part, in)
			}
		}
		if err = l.run(ctx, part); err != nil {
			break
		}
	}
	l.sum.Elapsed = time.Since(begin)
	l.sum.Seconds = l.sum.Elapsed.Seconds()
	l.sum.PerSecond = float64(l.sum.Resources) / max(l.sum.Seconds, 1e-9)
	return l.sum, err
}

// run sends a list of inputs with all workers.
func (l *Loader) run(ctx context.Context, inputs []input) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan *chunk)
	var wg sync.WaitGroup
	for range l.cfg.Workers {
		wg.Go(func() {
			for c := range work {
				if err := l.send(ctx, c); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, in := range inputs {
		err := l.chunks(ctx, in, func(c *chunk) error {
			if l.state.done(c.key()) {
				l.count(func(s *Summary) { s.Skipped++ })
				return nil
			}
			select {
			case work <- c:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}, l.refuse)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			l.refuse(RowError{File: in.name, Message: err.Error()})
		}
		l.count(func(s *Summary) { s.Files++ })
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

func (l *Loader) count(change func(*Summary)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.sum)
	if l.OnProgress != nil {
		l.OnProgress(l.sum)
	}
}

func (l *Loader) refuse(e RowError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum.Failed++
	if len(l.sum.Errors) < maxErrors {
		l.sum.Errors = append(l.sum.Errors, e)
	}
	if l.OnError != nil {
		l.OnError(e)
	}
}

// send posts a chunk until the server takes or refuses it.
func (l *Loader) send(ctx context.Context, c *chunk) error {
	wait := l.cfg.Backoff
	for try := 0; ; try++ {
		status, body, err := l.post(ctx, c)
		if err == nil && status != http.StatusTooManyRequests && status < 502 {
			l.count(func(s *Summary) { s.Requests++; s.Bytes += int64(len(c.body)) })
			l.judge(c, status, body)
			return l.state.mark(c.key())
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if try == l.cfg.Retries {
			if err == nil {
				err = fault.New(fault.Busy, "the server answers %d", status)
			}
			return fault.New(fault.Unavailable, "send %s row %d: %w", c.in.name, c.first, err)
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, 10*time.Second)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// post sends a chunk once. Its Idempotency-Key follows from the content, so a
// retry after a lost answer does not load twice.
func (l *Loader) post(ctx context.Context, c *chunk) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.cfg.Base, bytes.NewReader(c.body))
	if err != nil {
		return 0, nil, err
	}
	sum := sha256.Sum256(append([]byte(l.nonce+c.key()), c.body...))
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Idempotency-Key", hex.EncodeToString(sum[:16]))
	req.Header.Set("Prefer", "return=minimal")
	if l.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+l.cfg.Token)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// judge counts what a response says of each row.
func (l *Loader) judge(c *chunk, status int, body []byte) {
	tree, err := fhir.Parse(body)
	if err != nil || status >= 300 {
		e := RowError{File: c.in.name, Status: status, Message: strconv.Itoa(status)}
		if err == nil {
			e.Message, e.Row = outcomeText(tree.Root(), c)
		}
		l.refuse(e)
		l.mu.Lock()
		l.sum.Failed += max(len(c.rows)-1, 0) // the whole transaction was refused
		l.mu.Unlock()
		return
	}
	i, good := 0, 0
	for e := range tree.Root().Get("entry").Children() {
		resp := e.Get("response")
		code, _ := strconv.Atoi(strings.SplitN(resp.Get("status").Str(), " ", 2)[0])
		if code >= 200 && code < 300 {
			good++
		} else if i < len(c.rows) {
			text, _ := outcomeText(resp.Get("outcome"), c)
			l.refuse(RowError{File: c.in.name, Row: c.rows[i], Status: code, Message: text})
		}
		i++
	}
	l.count(func(s *Summary) { s.Resources += good })
}

// outcomeText makes a line of an OperationOutcome's first issue, and the row it
// names.
func outcomeText(oo fhir.Node, c *chunk) (text string, row int) {
	is := oo.Get("issue").First()
	expr := is.Get("expression").First().Str()
	for _, part := range []string{expr, is.Path("details", "text").Str(), is.Get("diagnostics").Str()} {
		if part == "" {
			continue
		}
		if text != "" {
			text += ": "
		}
		text += part
	}
	if rest, ok := strings.CutPrefix(expr, "Bundle.entry["); ok {
		num, _, _ := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(num); err == nil && i >= 0 && i < len(c.rows) {
			row = c.rows[i]
		}
	}
	return text, row
}
