package kafka

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/qihuang-health/qihuang/internal/fault"
)

const (
	laneQueue = 4096             // waiting appends of one partition
	laneBytes = 8 << 20          // of one produce call, unless one append alone is larger
	patience  = 30 * time.Second // for a produce call with its retries
)

// Producer appends to a topic. Waiting appends of one partition share one
// produce call and so one fsync: the calls follow each other without a pause,
// and whatever came in during one goes out with the next. Safe for concurrent use.
type Producer struct {
	lanes []*lane
}

// Producer returns a producer for a topic (without prefix). It lives as long as
// the cluster.
func (c *Cluster) Producer(ctx context.Context, topic string, compress bool) (*Producer, error) {
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("producer of %s: %w", topic, err)
	}
	p := &Producer{}
	for i := range n {
		l, err := c.lane(c.Topic(topic), i, compress)
		if err != nil {
			return nil, err
		}
		p.lanes = append(p.lanes, l)
	}
	return p, nil
}

// Partition returns the partition of a key: the same for as long as the topic
// has the same number of partitions.
func (p *Producer) Partition(key []byte) int {
	h := fnv.New32a()
	h.Write(key)
	return int(h.Sum32() % uint32(len(p.lanes)))
}

// Append returns when every record is durable, with the offset of the first of
// them; the others follow it. All go to the partition of the first one's key.
// fault.TooCostly for a record over the limit, fault.Unavailable when the log is
// away; then, and when ctx ends, the records may still have been appended.
func (p *Producer) Append(ctx context.Context, records ...Record) (partition int, first int64, err error) {
	if len(records) == 0 {
		return 0, 0, nil
	}
	partition = p.Partition(records[0].Key)
	first, err = p.lanes[partition].append(ctx, records)
	return partition, first, err
}

// lane is the way into one partition.
type lane struct {
	c         *Cluster
	topic     string
	partition int
	codec     kafka.Compression
	queue     chan *batch
	stop      context.CancelFunc
	ctx       context.Context // ends when the cluster closes
	done      chan struct{}
}

// batch is one caller's append.
type batch struct {
	records []Record
	size    int
	first   int64
	err     error
	done    chan struct{}
}

func (c *Cluster) lane(topic string, partition int, compress bool) (*lane, error) {
	ctx, stop := context.WithCancel(context.Background())
	l := &lane{c: c, topic: topic, partition: partition, queue: make(chan *batch, laneQueue), ctx: ctx, stop: stop, done: make(chan struct{})}
	if compress {
		l.codec = kafka.Zstd // half of gzip's size in a third of its time; kept clients read it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		stop()
		return nil, fault.New(fault.Unavailable, "the log is closed")
	}
	c.lanes = append(c.lanes, l)
	go l.run()
	return l, nil
}

// close fails what waits and returns when the lane's goroutine has ended.
func (l *lane) close() {
	l.stop()
	<-l.done
}

func (l *lane) append(ctx context.Context, records []Record) (int64, error) {
	b := &batch{records: records, done: make(chan struct{})}
	for i := range records {
		size := len(records[i].Key) + len(records[i].Value) + 64
		if size > l.c.cfg.MaxMessage {
			return 0, fault.New(fault.TooCostly, "record of %d bytes, the log takes at most %d", size, l.c.cfg.MaxMessage)
		}
		b.size += size
	}
	select {
	case l.queue <- b:
	case <-ctx.Done():
		return 0, fault.New(fault.Busy, "the log's queue is full: %w", ctx.Err())
	case <-l.ctx.Done():
		return 0, fault.New(fault.Unavailable, "the log is closed")
	}
	select {
	case <-b.done:
		return b.first, b.err
	case <-ctx.Done():
		return 0, fault.New(fault.Unavailable, "append to %s: %w", l.topic, ctx.Err())
	case <-l.done:
		return 0, fault.New(fault.Unavailable, "the log is closed")
	}
}

func (l *lane) run() {
	defer close(l.done)
	var held *batch // did not fit into the last call
	for {
		group := []*batch{held}
		if held == nil {
			select {
			case group[0] = <-l.queue:
			case <-l.ctx.Done():
				return
			}
		}
		size := group[0].size
		held = nil
	more:
		for {
			select {
			case b := <-l.queue:
				if size+b.size > laneBytes {
					held = b
					break more
				}
				size += b.size
				group = append(group, b)
			default:
				break more
			}
		}
		first, err := l.produce(group)
		for _, b := range group {
			b.first, b.err = first, err
			first += int64(len(b.records))
			close(b.done)
		}
	}
}

// produce makes one durable call of a group, again and again while the broker
// is away. A repeated call may append twice; readers know records by their id.
func (l *lane) produce(group []*batch) (first int64, err error) {
	now := time.Now()
	err = l.c.retry(l.ctx, patience, func(ctx context.Context) error {
		var records []protocol.Record
		for _, b := range group {
			for i := range b.records {
				records = append(records, wire(&b.records[i], now))
			}
		}
		res, err := l.c.client.Produce(ctx, &kafka.ProduceRequest{Topic: l.topic, Partition: l.partition,
			RequiredAcks: kafka.RequireAll, Compression: l.codec, Records: kafka.NewRecordReader(records...)})
		if err != nil {
			return err
		}
		first = res.BaseOffset
		return res.Error
	})
	if err != nil {
		err = fmt.Errorf("append to %s/%d: %w", l.topic, l.partition, err)
	}
	return first, err
}

func wire(r *Record, now time.Time) protocol.Record {
	// The time is the append's, never the content's: brokers drop everything up
	// to the last record that is older than the retention.
	out := protocol.Record{Time: now, Value: protocol.NewBytes(r.Value)}
	if r.Key != nil {
		out.Key = protocol.NewBytes(r.Key)
	}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, protocol.Header{Key: h.Key, Value: []byte(h.Value)})
	}
	return out
}
