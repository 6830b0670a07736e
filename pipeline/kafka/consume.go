package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"
)

// Claim is one partition given to this member of a group for one generation.
type Claim struct {
	Partition int
	Next      int64 // first offset to read: where the group stands, if the log still holds it
	Committed int64 // where the group stands, 0 if it never committed
	c         *Cluster
	gen       *kafka.Generation
	topic     string
}

// Follow is Cluster.Follow on the claimed partition.
func (c *Claim) Follow(ctx context.Context, from int64, fn func(Record) error) error {
	return c.c.Follow(ctx, c.topic, c.Partition, from, fn)
}

// Commit tells the group that everything below next has had its effect. It
// goes through the claim's own generation: after a rebalance the broker refuses
// it, and the new owner stays where it is.
func (c *Claim) Commit(next int64) error {
	return c.gen.CommitOffsets(map[string]map[int]int64{c.c.Topic(c.topic): {c.Partition: next}})
}

// Consume joins a consumer group on a topic (without prefix) and calls fn for
// each partition it is given, each in its own goroutine, with a context that
// ends with the generation; when one fn returns, the group assigns again.
// Consume returns nil when ctx ends, after every fn has returned.
func (c *Cluster) Consume(ctx context.Context, group, topic string, fn func(ctx context.Context, claim *Claim) error) error {
	cg, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: group, Brokers: c.brokers, Topics: []string{c.Topic(topic)},
		HeartbeatInterval: time.Second, SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second,
		JoinGroupBackoff: 200 * time.Millisecond, StartOffset: kafka.FirstOffset, Timeout: 10 * time.Second,
	})
	if err != nil {
		return err
	}
	defer cg.Close() // waits for the generation's functions
	for ctx.Err() == nil {
		gen, err := cg.Next(ctx)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, kafka.ErrGroupClosed) {
				return nil
			}
			c.logger.Warn("join consumer group", "group", group, "error", err)
			continue
		}
		for _, a := range gen.Assignments[c.Topic(topic)] {
			claim := &Claim{Partition: a.ID, Next: a.Offset, c: c, gen: gen, topic: topic}
			gen.Start(func(genCtx context.Context) { c.runClaim(ctx, genCtx, group, claim, fn) })
		}
	}
	return nil
}

func (c *Cluster) runClaim(ctx, genCtx context.Context, group string, claim *Claim, fn func(context.Context, *Claim) error) {
	runCtx, cancel := context.WithCancel(genCtx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	claim.Committed = max(claim.Next, 0)
	first, next, err := c.bounds(runCtx, c.Topic(claim.topic), claim.Partition)
	if err == nil {
		switch {
		case claim.Next < first: // never committed, or trimmed away meanwhile
			claim.Next = first
		case claim.Next > next: // the topic was made anew
			claim.Next, claim.Committed = first, 0
		}
		err = fn(runCtx, claim)
	}
	if err != nil && runCtx.Err() == nil {
		c.logger.Error("consumer stopped, starting again", "group", group, "topic", claim.topic, "partition", claim.Partition, "error", err)
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-runCtx.Done():
		}
	}
}
