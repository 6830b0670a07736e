// Package changes publishes every version of the repository to the topic
// changes: in order, at least once, by one node at a time. The format is the
// contract docs/formats/changes.md.
package changes

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// Group is the consumer group that elects the publishing node. Its committed
// offset on the transactions topic is the publisher's progress: every change of
// the transactions below it is in the topic.
const Group = "qihuang-changes"

// Publisher carries a repository's changes to the topic.
type Publisher struct {
	cluster  *kafka.Cluster
	producer *kafka.Producer
	feed     store.Feed
	logger   *slog.Logger
	batch    int
}

// New returns a publisher of feed.
func New(ctx context.Context, cluster *kafka.Cluster, feed store.Feed, logger *slog.Logger) (*Publisher, error) {
	p, err := cluster.Producer(ctx, kafka.Changes, true)
	if err != nil {
		return nil, err
	}
	return &Publisher{cluster: cluster, producer: p, feed: feed, logger: logger, batch: 2 << 20}, nil
}

// Run publishes until ctx ends.
func (p *Publisher) Run(ctx context.Context) error {
	return p.cluster.Consume(ctx, Group, kafka.Transactions, p.publish)
}

// commitEvery spaces out the commits of progress: after a crash the changes of
// so much time are published again.
const commitEvery = 200 * time.Millisecond

// pause is between two calls that are not full. Every call is two fsyncs, and the
// embedded broker does one thing at a time: published one by one, the changes
// would hold up the writes that make them.
const pause = 50 * time.Millisecond

const sendLimit = 10 * time.Second // for one batch of changes to be durable

func (p *Publisher) publish(ctx context.Context, claim *kafka.Claim) error {
	// The changes come from the repository, which has them even where the log
	// was trimmed.
	from := claim.Committed
	seq, err := p.feed.FirstSeq(ctx, from)
	if err != nil {
		return err
	}
	through, committed, last := from-1, from-1, time.Time{}
	commit := func() error {
		if through == committed {
			return nil
		}
		committed, last = through, time.Now()
		return claim.Commit(through + 1)
	}
	for {
		wait, cancel := ctx, context.CancelFunc(func() {})
		if through != committed { // come back to commit even if nothing follows
			wait, cancel = context.WithTimeout(ctx, commitEvery)
		}
		changes, upTo, err := p.feed.Changes(wait, seq, p.batch)
		cancel()
		switch {
		case ctx.Err() != nil:
			return commit()
		case err != nil && wait.Err() != nil:
		case err != nil:
			return err
		default:
			size, err := p.send(ctx, changes)
			if err != nil {
				return err
			}
			if size > 0 && size < p.batch/2 {
				rest(ctx, pause)
			}
			if n := len(changes); n > 0 {
				seq = changes[n-1].Seq + 1 // numbers may have holes where history was dropped
			}
			through = max(through, upTo)
		}
		if time.Since(last) >= commitEvery {
			if err := commit(); err != nil {
				return err
			}
		}
	}
}

// rest waits for d or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// send appends changes in order and returns their size. Those of one resource share a partition; the
// partitions follow each other, so no change overtakes an earlier one of its own.
func (p *Publisher) send(ctx context.Context, changes []store.Change) (size int, err error) {
	parts := map[int][]kafka.Record{}
	for _, c := range changes {
		r := kafka.Record{Key: []byte(c.Type + "/" + c.ID), Value: Encode(nil, c)}
		size += len(r.Value)
		n := p.producer.Partition(r.Key)
		parts[n] = append(parts[n], r)
	}
	// An append once begun is awaited, so that a clean stop knows what is out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendLimit)
	defer cancel()
	for _, records := range parts {
		if _, _, err := p.producer.Append(ctx, records...); err != nil {
			return size, err
		}
	}
	return size, nil
}

// Change is a record of the topic as a consumer decodes it.
type Change struct {
	Type        string          `json:"type"`
	ID          string          `json:"id"`
	Version     int64           `json:"version"`
	LastUpdated time.Time       `json:"lastUpdated"`
	Method      store.Method    `json:"method"`
	Created     bool            `json:"created,omitempty"`
	Seq         int64           `json:"seq"`
	Offset      int64           `json:"offset"`
	Resource    json.RawMessage `json:"resource,omitempty"`
}

// Of is the record of c as a consumer would decode it. It shares c's resource.
func Of(c store.Change) *Change {
	return &Change{Type: c.Type, ID: c.ID, Version: c.Version.Version, LastUpdated: c.LastUpdated, Method: c.Method, Created: c.Created,
		Seq: c.Seq, Offset: c.Offset, Resource: c.Resource}
}

// Encode appends the record of c to dst. The resource's own bytes stand in it as
// they are stored.
func Encode(dst []byte, c store.Change) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(append(dst, c.Type...), `","id":"`...)
	dst = append(append(dst, c.ID...), `","version":`...)
	dst = strconv.AppendInt(dst, c.Version.Version, 10)
	dst = append(dst, `,"lastUpdated":"`...)
	dst = c.LastUpdated.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(append(dst, `","method":"`...), c.Method...)
	dst = append(dst, '"')
	if c.Created {
		dst = append(dst, `,"created":true`...)
	}
	dst = strconv.AppendInt(append(dst, `,"seq":`...), c.Seq, 10)
	dst = strconv.AppendInt(append(dst, `,"offset":`...), c.Offset, 10)
	if !c.Deleted() {
		dst = append(append(dst, `,"resource":`...), c.Resource...)
	}
	return append(dst, '}')
}

// Decode reads a record. fault.Invalid if it is none. The resource is a part of
// value, which must stay as it is.
func Decode(value []byte) (*Change, error) {
	bad := func(err error) (*Change, error) { return nil, fault.New(fault.Invalid, "not a change record: %w", err) }
	tree, err := fhir.Parse(value)
	if err != nil {
		return bad(err)
	}
	n := tree.Root()
	c := &Change{Type: n.Get("type").Str(), ID: n.Get("id").Str(), Method: store.Method(n.Get("method").Str())}
	c.Created, _ = n.Get("created").Bool()
	if c.Type == "" || c.ID == "" {
		return bad(errors.New("no type or id"))
	}
	for name, to := range map[string]*int64{"version": &c.Version, "seq": &c.Seq, "offset": &c.Offset} {
		if m := n.Get(name); m.Exists() {
			var ok bool
			if *to, ok = m.Int(); !ok {
				return bad(errors.New(name + " is no integer"))
			}
		}
	}
	if c.LastUpdated, err = time.Parse(time.RFC3339Nano, n.Get("lastUpdated").Str()); err != nil {
		return bad(err)
	}
	if r := n.Get("resource"); r.Exists() {
		c.Resource = r.Raw()
	}
	return c, nil
}
