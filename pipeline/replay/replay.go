// Package replay hands messages to their sinks once more: one edited dead
// letter, or all of a source, a time, or a version of a map, after their cause
// was mended. A dry run says what would happen.
package replay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
	"github.com/qihuang-health/qihuang/pipeline/journal"
)

// Queue is the way in: an inbound.Queue.
type Queue interface {
	pipeline.Inbound
	Again(ctx context.Context, m *pipeline.Message, run string) error
	Replay(ctx context.Context, id string) error
}

// Journal finds messages: a journal.Journal.
type Journal interface {
	Search(ctx context.Context, q journal.Query) (*journal.Page, error)
	Message(ctx context.Context, id string) (*pipeline.Message, error)
}

// Parts is what replays need of the hub.
type Parts struct {
	Queue   Queue
	Journal Journal
	Letters pipeline.DeadLetters
	IDs     *pipeline.IDs
	Clock   clock.Clock
	// Try gives a message to its sink without effect.
	Try func(ctx context.Context, m *pipeline.Message) error
}

// Replayer replays messages.
type Replayer struct{ Parts }

// New returns a replayer.
func New(p Parts) *Replayer { return &Replayer{p} }

// Request selects messages. IDs, or the conditions, all of which must hold; at
// least one must be given.
type Request struct {
	IDs    []string      `json:"ids"`
	Source string        `json:"source"`
	Kind   string        `json:"kind"`
	Map    string        `json:"map"` // name or name@version that handled it
	State  inbound.State `json:"state"`
	Since  time.Time     `json:"since"`
	Until  time.Time     `json:"until"`
	Limit  int           `json:"limit"` // at most so many, the oldest; 0 = 10,000
	DryRun bool          `json:"dryRun"`
}

// Report is what a replay did, or would do.
type Report struct {
	Run      string    `json:"run"`
	DryRun   bool      `json:"dryRun"`
	Selected int       `json:"selected"`
	Good     int       `json:"good"` // handed on; dry: would take effect
	Bad      int       `json:"bad"`
	Failures []Failure `json:"failures"` // the first hundred
}

// Failure is a message that was not, or would not be, handled.
type Failure struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

const (
	defaultLimit = 10_000
	maxLimit     = 1_000_000
	maxFailures  = 100
)

// Run replays what req selects, in the order of arrival.
func (r *Replayer) Run(ctx context.Context, req Request) (*Report, error) {
	ids, err := r.selected(ctx, req)
	if err != nil {
		return nil, err
	}
	rep := &Report{Run: r.IDs.Next(), DryRun: req.DryRun, Selected: len(ids), Failures: []Failure{}}
	for _, id := range ids {
		if err := r.one(ctx, id, rep.Run, req.DryRun); err != nil {
			if ctx.Err() != nil {
				return rep, ctx.Err()
			}
			rep.Bad++
			if len(rep.Failures) < maxFailures {
				rep.Failures = append(rep.Failures, Failure{id, fault.Sentence(err)})
			}
			continue
		}
		rep.Good++
	}
	return rep, nil
}

// one replays one message: a dead letter leaves the dead letters with it.
func (r *Replayer) one(ctx context.Context, id, run string, dry bool) error {
	d, err := r.Letters.Get(ctx, id)
	switch {
	case err == nil && dry:
		return r.Try(ctx, d.Message)
	case err == nil:
		return r.Queue.Replay(ctx, id)
	case !fault.Is(err, fault.NotFound):
		return err
	}
	m, err := r.Journal.Message(ctx, id)
	switch {
	case err != nil:
		return err
	case dry:
		return r.Try(ctx, m)
	}
	return r.Queue.Again(ctx, m, run)
}

// selected lists the ids, oldest first.
func (r *Replayer) selected(ctx context.Context, req Request) ([]string, error) {
	if len(req.IDs) > 0 {
		ids := slices.Clone(req.IDs)
		slices.Sort(ids)
		return slices.Compact(ids), nil
	}
	if req.Source == "" && req.Kind == "" && req.Map == "" && req.State == "" && req.Since.IsZero() && req.Until.IsZero() {
		return nil, fault.New(fault.Invalid, "请至少给出一个条件：ids、source、kind、map、state、since 或 until")
	}
	limit := req.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	if limit < 0 || limit > maxLimit {
		return nil, fault.New(fault.Invalid, "limit 应为 1 到 %d", maxLimit)
	}
	q := journal.Query{Source: req.Source, Kind: req.Kind, State: req.State, Since: req.Since, Until: req.Until, Limit: 500}
	var ids []string
	for {
		p, err := r.Journal.Search(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, e := range p.Items {
			if req.Map == "" || e.Map == req.Map || strings.HasPrefix(e.Map, req.Map+"@") {
				ids = append(ids, e.ID)
			}
		}
		if len(ids) > maxLimit {
			return nil, fault.New(fault.TooCostly, "选中的消息超过 %d 条，请缩小范围", maxLimit)
		}
		if p.Next == "" {
			break
		}
		q.Before = p.Next
	}
	slices.Reverse(ids)
	return ids[:min(len(ids), limit)], nil
}

// Mend sends an edited copy of a dead letter. The original stays as it is, with
// its bytes, until the copy has taken effect.
func (r *Replayer) Mend(ctx context.Context, id string, body []byte) (copyID string, err error) {
	d, err := r.Letters.Get(ctx, id)
	if err != nil {
		return "", err
	}
	if len(body) == 0 {
		return "", fault.New(fault.Invalid, "修改后的内容是空的")
	}
	m := *d.Message
	sum := sha256.Sum256(append([]byte(id+"\x00"), body...))
	m.ID, m.Body, m.DedupKey, m.Received = r.IDs.Next(), body, "copy:"+hex.EncodeToString(sum[:]), r.Clock.Now()
	m.Headers = maps.Clone(d.Message.Headers)
	if m.Headers == nil {
		m.Headers = map[string]string{}
	}
	m.Headers[pipeline.HeadCopyOf] = id
	m.Charset = "" // what was edited is UTF-8
	_, err = r.Queue.Append(ctx, &m)
	return m.ID, err
}
