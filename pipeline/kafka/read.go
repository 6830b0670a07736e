package kafka

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Header is one header of a record.
type Header struct{ Key, Value string }

// Record is one record of a topic.
type Record struct {
	Partition  int
	Offset     int64
	Time       time.Time // when it was appended; set by the log
	Key, Value []byte
	Headers    []Header
}

// Header returns the value of the first header named key, or "".
func (r *Record) Header(key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return h.Value
		}
	}
	return ""
}

const (
	fetchBytes = 4 << 20
	fetchWait  = 5 * time.Second
	fetchLimit = 30 * time.Second // for the broker to answer at all
)

// Follow calls fn for every record of a partition at or after from, in order,
// waiting for new ones and riding out broker restarts, until ctx ends or fn
// fails; it returns that error. fn may keep the record. fault.Gone when from
// lies below the first record kept.
func (c *Cluster) Follow(ctx context.Context, topic string, partition int, from int64, fn func(Record) error) error {
	full := c.Topic(topic)
	for pause := 5 * time.Millisecond; ; {
		next, err := c.fetch(ctx, full, partition, from, fn)
		if next > from {
			from, pause = next, 5*time.Millisecond
		}
		var failed handlerError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			continue
		case errors.As(err, &failed):
			return failed.error
		case errors.Is(err, kafka.OffsetOutOfRange):
			first, end, berr := c.bounds(ctx, full, partition)
			if berr != nil {
				return berr
			}
			return fault.New(fault.Gone, "%s/%d holds offsets %d to %d, not %d", full, partition, first, end-1, from)
		case !transient(err):
			c.logger.Warn("fetch failed, trying again", "topic", full, "partition", partition, "offset", from, "error", err)
			pause = max(pause, 250*time.Millisecond)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		pause = min(2*pause, time.Second)
	}
}

// Read returns one record. fault.Gone when the log no longer holds it,
// fault.NotFound when it does not hold it yet.
func (c *Cluster) Read(ctx context.Context, topic string, partition int, offset int64) (*Record, error) {
	first, next, err := c.Bounds(ctx, topic, partition)
	switch {
	case err != nil:
		return nil, err
	case offset < first:
		return nil, fault.New(fault.Gone, "消息原文已不在日志里")
	case offset >= next:
		return nil, fault.New(fault.NotFound, "日志里还没有这条消息")
	}
	var found *Record
	_, err = c.fetch(ctx, c.Topic(topic), partition, offset, func(r Record) error {
		found = &r
		return errFound
	})
	if found != nil && found.Offset == offset {
		return found, nil
	}
	if err == nil || errors.Is(err, errFound) {
		err = fault.New(fault.Gone, "消息原文已不在日志里")
	}
	return nil, err
}

var errFound = errors.New("found")

// Bounds returns the first offset kept of a partition and the next to be
// written.
func (c *Cluster) Bounds(ctx context.Context, topic string, partition int) (first, next int64, err error) {
	return c.bounds(ctx, c.Topic(topic), partition)
}

type handlerError struct{ error }

// fetch makes one fetch and hands its records on; next is where to continue.
func (c *Cluster) fetch(ctx context.Context, topic string, partition int, from int64, fn func(Record) error) (next int64, err error) {
	next = from
	fetchCtx, cancel := context.WithTimeout(ctx, fetchWait+fetchLimit)
	defer cancel()
	res, err := c.client.Fetch(fetchCtx, &kafka.FetchRequest{Topic: topic, Partition: partition, Offset: from,
		MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait})
	if err != nil {
		return next, err
	}
	if res.Error != nil {
		return next, res.Error
	}
	if c, ok := res.Records.(io.Closer); ok {
		defer c.Close()
	}
	for {
		rec, err := res.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return next, nil
		}
		if err != nil {
			return next, err
		}
		if rec.Offset < from { // a batch may begin below what was asked for
			continue
		}
		r := Record{Partition: partition, Offset: rec.Offset, Time: rec.Time}
		if r.Key, err = protocol.ReadAll(rec.Key); err != nil {
			return next, err
		}
		if r.Value, err = protocol.ReadAll(rec.Value); err != nil {
			return next, err
		}
		for _, h := range rec.Headers {
			r.Headers = append(r.Headers, Header{h.Key, string(h.Value)})
		}
		if err := fn(r); err != nil {
			return next, handlerError{err}
		}
		next = rec.Offset + 1
	}
}
