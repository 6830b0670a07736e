// Package kafka is the hub's log: topics on a Kafka cluster, or on an embedded
// broker that speaks the same protocol when no cluster is configured. Either is
// reached through segmentio/kafka-go only. What that library leaves open
// (stale commits, batching by time, no idempotent producer) is closed here; see
// DESIGN.md.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// The topics, without prefix.
const (
	Inbound      = "inbound"      // messages of partners as they arrived; key = source + patient
	Transactions = "transactions" // the repository's log; one partition
	Changes      = "changes"      // every version; key = Type/id
	DeadLetter   = "dead-letter"  // refused messages
	Audit        = "audit"        // access records
)

// Config says where the log is.
type Config struct {
	Brokers           []string // host:port of a cluster; empty = embedded broker
	Dir               string   // embedded: data folder
	Host              string   // embedded: address to listen on
	Port              int      // embedded: port to listen on, 0 = any
	Prefix            string   // of every topic
	InboundPartitions int
	Replication       int // of topics made on a cluster; -1 = the cluster's default
	MaxMessage        int // bytes of the largest record
}

// Default returns an embedded broker on 127.0.0.1:9092 with its data in dir.
func Default(dir string) Config {
	return Config{Dir: dir, Host: "127.0.0.1", Port: 9092, Prefix: "qihuang.", InboundPartitions: 1, Replication: -1, MaxMessage: 64 << 20}
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	switch {
	case len(c.Brokers) == 0 && c.Dir == "":
		return fault.New(fault.Invalid, "kafka: neither brokers nor a data folder")
	case c.InboundPartitions < 1 || c.InboundPartitions > 1024:
		return fault.New(fault.Invalid, "kafka: %d inbound partitions", c.InboundPartitions)
	case c.MaxMessage < 1<<20:
		return fault.New(fault.Invalid, "kafka: largest record %d bytes, at least 1 MiB", c.MaxMessage)
	}
	return nil
}

// Cluster is a connection to the log. Safe for concurrent use.
type Cluster struct {
	cfg       Config
	logger    *slog.Logger
	broker    *broker // nil with a real cluster
	brokers   []string
	transport *kafka.Transport
	client    *kafka.Client

	mu    sync.Mutex
	lanes []*lane
	down  bool
}

// Open starts the embedded broker if no cluster is configured, connects, and
// makes the topics that are missing.
func Open(ctx context.Context, cfg Config, logger *slog.Logger) (*Cluster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, logger: logger, brokers: cfg.Brokers}
	if len(cfg.Brokers) == 0 {
		b, err := startBroker(cfg, logger)
		if err != nil {
			return nil, err
		}
		c.broker, c.brokers = b, b.addrs()
	}
	c.transport = &kafka.Transport{ClientID: "qihuang", MetadataTTL: 10 * time.Second, DialTimeout: 5 * time.Second}
	c.client = &kafka.Client{Addr: kafka.TCP(c.brokers...), Transport: c.transport}
	if err := c.makeTopics(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Embedded reports whether the broker runs inside this process.
func (c *Cluster) Embedded() bool { return c.broker != nil }

// Brokers returns the addresses of the brokers.
func (c *Cluster) Brokers() []string { return c.brokers }

// Topic returns the full name of a topic.
func (c *Cluster) Topic(name string) string { return c.cfg.Prefix + name }

// Close ends the producers, the connections and the embedded broker.
func (c *Cluster) Close() error {
	c.mu.Lock()
	lanes := c.lanes
	c.lanes, c.down = nil, true
	c.mu.Unlock()
	for _, l := range lanes {
		l.close()
	}
	c.transport.CloseIdleConnections()
	if c.broker != nil {
		c.broker.close()
	}
	return nil
}

func (c *Cluster) makeTopics(ctx context.Context) error {
	forever := []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "-1"}, {ConfigName: "retention.bytes", ConfigValue: "-1"}}
	month := []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: strconv.Itoa(30 * 24 * 3600 * 1000)}}
	topic := func(name string, partitions int, cfg []kafka.ConfigEntry) kafka.TopicConfig {
		cfg = append(cfg[:len(cfg):len(cfg)], kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: strconv.Itoa(c.cfg.MaxMessage + 4096)})
		t := kafka.TopicConfig{Topic: c.Topic(name), NumPartitions: partitions, ReplicationFactor: c.cfg.Replication, ConfigEntries: cfg}
		if c.broker != nil {
			t.ReplicationFactor = 1
		}
		return t
	}
	topics := []kafka.TopicConfig{
		topic(Inbound, c.cfg.InboundPartitions, month),
		topic(Transactions, 1, forever),
		topic(Changes, 1, month),
		topic(DeadLetter, 1, forever),
		topic(Audit, 1, forever),
	}
	return c.retry(ctx, 30*time.Second, func(ctx context.Context) error {
		res, err := c.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: topics})
		if err != nil {
			return err
		}
		for name, err := range res.Errors {
			if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
				return fmt.Errorf("make topic %s: %w", name, err)
			}
		}
		return nil
	})
}

// Partitions returns how many partitions a topic has.
func (c *Cluster) Partitions(ctx context.Context, topic string) (n int, err error) {
	err = c.retry(ctx, 30*time.Second, func(ctx context.Context) error {
		res, err := c.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{c.Topic(topic)}})
		if err != nil {
			return err
		}
		for _, t := range res.Topics {
			if t.Error != nil {
				return t.Error
			}
			n = len(t.Partitions)
		}
		if n == 0 {
			return kafka.UnknownTopicOrPartition
		}
		return nil
	})
	return n, err
}

// bounds returns the first offset kept and the next to be written.
func (c *Cluster) bounds(ctx context.Context, topic string, partition int) (first, next int64, err error) {
	err = c.retry(ctx, 30*time.Second, func(ctx context.Context) error {
		res, err := c.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
			topic: {kafka.FirstOffsetOf(partition), kafka.LastOffsetOf(partition)}}})
		if err != nil {
			return err
		}
		for _, p := range res.Topics[topic] {
			if p.Partition != partition {
				continue
			}
			if p.Error != nil {
				return p.Error
			}
			first, next = p.FirstOffset, p.LastOffset
			return nil
		}
		return kafka.UnknownTopicOrPartition
	})
	return first, next, err
}

// retry calls fn, with growing pauses, until it succeeds, fails for good, ctx
// ends, or patience is over; then the log is unavailable.
func (c *Cluster) retry(ctx context.Context, patience time.Duration, fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := fn(ctx)
		if err == nil {
			return nil
		}
		if !transient(err) && ctx.Err() == nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fault.New(fault.Unavailable, "the log is not reachable: %w", err)
		}
	}
}

// transient reports whether the same request may succeed later.
func transient(err error) bool {
	var ke kafka.Error
	if errors.As(err, &ke) {
		return ke.Temporary() || ke == kafka.UnknownTopicOrPartition
	}
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// Stat is the state of one partition, for the console.
type Stat struct {
	Topic     string
	Partition int
	First     int64            // first offset kept
	Next      int64            // next offset to be written
	Lag       map[string]int64 // per consumer group: records not yet committed
}

// Stats describes every partition of the given topics (without prefix) and how
// far the groups have come.
func (c *Cluster) Stats(ctx context.Context, topics, groups []string) ([]Stat, error) {
	var out []Stat
	ask := map[string][]int{}
	for _, name := range topics {
		n, err := c.Partitions(ctx, name)
		if err != nil {
			return nil, err
		}
		for p := range n {
			first, next, err := c.bounds(ctx, c.Topic(name), p)
			if err != nil {
				return nil, err
			}
			out = append(out, Stat{Topic: c.Topic(name), Partition: p, First: first, Next: next, Lag: map[string]int64{}})
			ask[c.Topic(name)] = append(ask[c.Topic(name)], p)
		}
	}
	for _, g := range groups {
		res, err := c.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: g, Topics: ask})
		if err != nil {
			return nil, fmt.Errorf("offsets of group %s: %w", g, err)
		}
		for i := range out {
			for _, p := range res.Topics[out[i].Topic] {
				if p.Partition == out[i].Partition && p.Error == nil && p.CommittedOffset >= 0 {
					out[i].Lag[g] = out[i].Next - p.CommittedOffset
				}
			}
		}
	}
	return out, nil
}
