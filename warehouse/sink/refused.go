package sink

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/changes"
)

// dlq is the table of rows that views refused.
const dlq = "dlq"

// Letters take what cannot be written, for people to see and to replay;
// pipeline.DeadLetters is one.
type Letters interface {
	Put(ctx context.Context, d *pipeline.DeadLetter) error
}

// Kind is that of the messages in dead letters of the sink: a change record.
const Kind = "warehouse-change"

// maxLetters bounds the dead letters of one run: a view that refuses everything
// must not flood the list. The table has them all.
const maxLetters = 1000

// bury keeps what was refused: all of it in the table, and as dead letters.
func (s *Sink) bury(ctx context.Context, b *batch) error {
	if len(b.dead) == 0 {
		return nil
	}
	if err := s.step(dlq); err != nil {
		return err
	}
	out, err := s.conn.PrepareBatch(ctx, "INSERT INTO `"+s.cfg.Database+"`.`"+dlq+"` (type, id, version, view, partition, offset, reason, at)")
	if err != nil {
		return fmt.Errorf("keep refused rows: %w", err)
	}
	for _, r := range b.dead {
		c := r.change
		if c == nil {
			c = &changes.Change{}
		}
		if err := out.Append(c.Type, c.ID, uint64(c.Version), r.view, uint32(r.partition), uint64(r.offset), r.reason, time.Now().UTC()); err != nil {
			_ = out.Abort()
			return fmt.Errorf("keep refused rows: %w", err)
		}
	}
	if err := out.Send(); err != nil {
		return fmt.Errorf("keep refused rows: %w", err)
	}
	for _, r := range b.dead {
		s.letter(ctx, r)
	}
	return nil
}

// letter tells people of a refused row. The table has it already: a list that is
// away does not stop the sink.
func (s *Sink) letter(ctx context.Context, r refusal) {
	if s.cfg.Letters == nil || r.change == nil || s.letters.Add(1) > maxLetters {
		return
	}
	body, err := json.Marshal(r.change)
	if err == nil {
		c := r.change
		id := fmt.Sprintf("warehouse-%s-%s-%d-%s", c.Type, c.ID, c.Version, r.view)
		err = s.cfg.Letters.Put(ctx, &pipeline.DeadLetter{ID: id, Time: time.Now().UTC(), Reason: "视图 " + r.view + " 不能取得这一行：" + r.reason, Location: c.Type + "/" + c.ID, Map: r.view, Attempts: 1,
			Message: &pipeline.Message{ID: id, Source: "warehouse", Kind: Kind, Key: c.Type + "/" + c.ID, ContentType: "application/json", Received: c.LastUpdated, Body: body}})
	}
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "tell of a refused row", "type", r.change.Type, "id", r.change.ID, "error", err)
	}
}

// Handle implements pipeline.Sink for replayed dead letters: the change is
// projected again. fault.Invalid while a view still refuses it.
func (s *Sink) Handle(ctx context.Context, m *pipeline.Message) error {
	c, err := changes.Decode(m.Body)
	if err != nil {
		return err
	}
	b := &batch{items: []arrival{{change: c}}}
	if err := s.store(ctx, b); err != nil {
		return fault.New(fault.Unavailable, "数据仓库暂时不可用：%w", err)
	}
	if len(b.dead) > 0 {
		return fault.New(fault.Invalid, "视图 %s 仍不能取得这一行：%s", b.dead[0].view, b.dead[0].reason)
	}
	return nil
}

var _ pipeline.Sink = (*Sink)(nil)
