package kafka

import (
	"context"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Log is the one partition of the transactions topic as a store.Log.
type Log struct {
	c *Cluster
	p *Producer
}

// Log returns the repository's log. It fails if the topic has more than one
// partition: the order of transactions would be lost.
func (c *Cluster) Log(ctx context.Context) (*Log, error) {
	p, err := c.Producer(ctx, Transactions, false) // the records are compressed
	if err != nil {
		return nil, err
	}
	if len(p.lanes) != 1 {
		return nil, fault.New(fault.Invalid, "topic %s has %d partitions, want 1", c.Topic(Transactions), len(p.lanes))
	}
	return &Log{c, p}, nil
}

// Append implements store.Log.
func (l *Log) Append(ctx context.Context, records [][]byte) (int64, error) {
	recs := make([]Record, len(records))
	for i, r := range records {
		recs[i].Value = r
	}
	_, first, err := l.p.Append(ctx, recs...)
	return first, err
}

// Read implements store.Log.
func (l *Log) Read(ctx context.Context, from int64, fn func(offset int64, record []byte) error) error {
	return l.c.Follow(ctx, Transactions, 0, from, func(r Record) error { return fn(r.Offset, r.Value) })
}

// Bounds implements store.Log.
func (l *Log) Bounds(ctx context.Context) (first, next int64, err error) {
	return l.c.bounds(ctx, l.c.Topic(Transactions), 0)
}

// Trim lets the log forget records below offset. Only what no snapshot needs
// may be trimmed. The embedded broker does it; on a cluster it is the work of
// its kafka-delete-records tool: fault.Unsupported.
func (l *Log) Trim(_ context.Context, below int64) error {
	if l.c.broker == nil {
		return fault.New(fault.Unsupported, "trim %s with the cluster's kafka-delete-records tool", l.c.Topic(Transactions))
	}
	return l.c.broker.cluster.DeleteRecords(l.c.Topic(Transactions), 0, below)
}

var _ store.Log = (*Log)(nil)
