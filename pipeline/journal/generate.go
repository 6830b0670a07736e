package journal

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// Generate notes n invented messages of a hundred sources and half a million
// patients, as the log would bring them: to measure searches by.
func (j *Journal) Generate(n int) error {
	base := j.clock.Now().Add(-j.cfg.Window / 2)
	names := j.keys
	defer func() { j.keys = names }()
	b := j.db.NewBatch()
	defer func() { _ = b.Close() }()
	for i := range n {
		p := i % 500_000
		j.keys = func(*pipeline.Message) []Key {
			return []Key{{'o', fmt.Sprint("org", i%900)}, {'p', fmt.Sprint("p", p)}, {'n', fmt.Sprint("患者", p)}, {'v', fmt.Sprint("v", i)}, {'r', fmt.Sprint("r", i)}}
		}
		m := &pipeline.Message{ID: pipeline.IDFloor(base.Add(time.Duration(i) * time.Millisecond)), Source: fmt.Sprint("source-", i%100), Kind: "his-visit", Received: base}
		if err := j.note(b, m, kafka.Inbound, &kafka.Record{Offset: int64(i)}); err != nil {
			return err
		}
		if b.Len() > 4<<20 || i == n-1 {
			if err := errors.Join(b.Commit(pebble.NoSync), b.Close()); err != nil {
				return err
			}
			b = j.db.NewBatch()
		}
	}
	return nil
}
