package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shelf"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// Query selects messages, newest first.
type Query struct {
	Key    string        // a business key, or its beginning
	Source string        // "" = all
	State  inbound.State // "" = all
	Kind   string
	Since  time.Time
	Until  time.Time
	Before string // continue below this id
	Limit  int
}

// Page is an answer.
type Page struct {
	Items []*Entry
	Next  string // Before of the next page; "" at the end
}

const (
	maxMatch = 20_000                 // messages of one key
	patience = 250 * time.Millisecond // of one page: a filter that matches little ends early, and can go on
	atLeast  = 256                    // rows looked at however long they take
)

// effort ends a page whose filter matches little.
type effort struct {
	now  func() time.Time
	end  time.Time
	rows int
}

func (j *Journal) effort() effort { return effort{now: j.clock.Now, end: j.clock.Now().Add(patience)} }

// spent counts one row and reports whether the page must end before it.
func (e *effort) spent() bool {
	e.rows++
	return e.rows > atLeast && e.rows%16 == 0 && e.now().After(e.end)
}

// fold is the form keys are compared in.
func fold(s string) string {
	return strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(s), "\x00", ""))
}

// Search answers q.
func (j *Journal) Search(ctx context.Context, q Query) (*Page, error) {
	if q.Limit < 1 || q.Limit > 500 {
		return nil, fault.New(fault.Invalid, "limit 应为 1 到 500")
	}
	snap := j.db.NewSnapshot()
	defer snap.Close()
	if q.Key != "" {
		return j.byKey(ctx, snap, q)
	}
	prefix := []byte{tabEntry}
	switch {
	case q.State == inbound.Dead || q.State == inbound.Parked:
		prefix = []byte{tabDead}
	case q.Source != "":
		prefix = pairKey(tabSource, q.Source, "")
	}
	lower, upper := append(slices.Clone(prefix), pipeline.IDFloor(q.Since)...), append(slices.Clone(prefix), 0xff)
	if !q.Until.IsZero() {
		upper = append(slices.Clone(prefix), pipeline.IDFloor(q.Until)...)
	}
	if q.Before != "" {
		if b := append(slices.Clone(prefix), q.Before...); bytes.Compare(b, upper) < 0 {
			upper = b
		}
	}
	it, err := snap.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	p := &Page{Items: []*Entry{}}
	work := j.effort()
	for ok := it.Last(); ok; ok = it.Prev() {
		id := string(it.Key()[len(prefix):])
		if len(p.Items) == q.Limit || work.spent() {
			p.Next = id + "\x00" // the bound is exclusive: begin with this one
			break
		}
		e, err := entry(snap, id)
		if err != nil {
			return nil, err
		}
		if e != nil && q.takes(e) {
			p.Items = append(p.Items, e)
		}
	}
	return p, it.Error()
}

// byKey finds the messages of a business key. The whole key first; where there
// is none, keys that begin so.
func (j *Journal) byKey(ctx context.Context, snap *pebble.Snapshot, q Query) (*Page, error) {
	value := fold(q.Key)
	ids, err := ids(ctx, snap, append(append([]byte{tabKey}, value...), 0), append(append([]byte{tabKey}, value...), 1))
	if err == nil && len(ids) == 0 {
		ids, err = idsBeginning(ctx, snap, value)
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	p := &Page{Items: []*Entry{}}
	work := j.effort()
	for _, id := range slices.Backward(slices.Compact(ids)) {
		if q.Before != "" && id >= q.Before {
			continue
		}
		if len(p.Items) == q.Limit || work.spent() {
			p.Next = id + "\x00"
			break
		}
		e, err := entry(snap, id)
		if err != nil {
			return nil, err
		}
		if e != nil && q.takes(e) {
			p.Items = append(p.Items, e)
		}
	}
	return p, nil
}

// ids are the last message ids between two bounds of the key table.
func ids(ctx context.Context, snap *pebble.Snapshot, lower, upper []byte) ([]string, error) {
	it, err := snap.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var out []string
	for ok := it.Last(); ok && len(out) < maxMatch; ok = it.Prev() {
		if i := bytes.LastIndexByte(it.Key(), 0); i > 0 {
			out = append(out, string(it.Key()[i+1:]))
		}
	}
	return out, it.Error()
}

func idsBeginning(ctx context.Context, snap *pebble.Snapshot, value string) ([]string, error) {
	return ids(ctx, snap, append([]byte{tabKey}, value...), append(append([]byte{tabKey}, value...), 0xff))
}

func (q *Query) takes(e *Entry) bool {
	return (q.Source == "" || e.Source == q.Source) && (q.State == "" || e.State == q.State) && (q.Kind == "" || e.Kind == q.Kind) &&
		(q.Since.IsZero() || !e.Received.Before(q.Since)) && (q.Until.IsZero() || e.Received.Before(q.Until))
}

// entry reads a message with its fate; nil if there is none.
func entry(r pebble.Reader, id string) (*Entry, error) {
	text, err := shelf.Get(r, rowKey(tabEntry, id))
	if err != nil || text == nil {
		return nil, err
	}
	var e Entry
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, err
	}
	e.State = inbound.Waiting
	if text, err = shelf.Get(r, rowKey(tabFate, id)); err != nil || text == nil {
		return &e, err
	}
	return &e, json.Unmarshal(text, &e.Fate)
}

// Get returns one message; fault.NotFound.
func (j *Journal) Get(id string) (*Entry, error) {
	e, err := entry(j.db, id)
	if err == nil && e == nil {
		err = fault.New(fault.NotFound, "没有这条消息，或已超过保留期")
	}
	return e, err
}

// Copies returns the ids of the edited copies of a message, oldest first.
func (j *Journal) Copies(id string) ([]string, error) {
	it, err := j.db.NewIter(&pebble.IterOptions{LowerBound: pairKey(tabCopy, id, ""), UpperBound: append(rowKey(tabCopy, id), 1)})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var out []string
	for ok := it.First(); ok; ok = it.Next() {
		out = append(out, string(it.Key()[len(id)+2:]))
	}
	return out, it.Error()
}

// Message reads a message from the log, with its original bytes; fault.Gone
// when the log no longer holds it.
func (j *Journal) Message(ctx context.Context, id string) (*pipeline.Message, error) {
	e, err := j.Get(id)
	if err != nil {
		return nil, err
	}
	r, err := j.cluster.Read(ctx, e.Topic, e.Partition, e.Offset)
	if err != nil {
		return nil, err
	}
	if e.Topic == kafka.Inbound {
		return r.Message()
	}
	d, err := kafka.Letter(r)
	if err != nil || d == nil {
		return nil, fault.New(fault.Gone, "消息原文已不在日志里")
	}
	d.Message.Body = r.Value
	return d.Message, nil
}
