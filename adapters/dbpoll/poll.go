package dbpoll

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/table"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

const buckets = 8 // rows of one patient go through one of them, in order

// columnGone is the alert of a table that lost a column.
const columnGone = "columns"

// Parts is what a poller needs of the hub.
type Parts struct {
	Intake *source.Intake
	State  *source.State
	Dir    string // of the memory of rows sent
	Kind   string // of messages; "" = table.Kind
}

// Poller reads one database.
type Poller struct {
	cfg   Config
	parts Parts
	db    *sql.DB
	sent  *memory
}

// New opens the memory of what was sent; nothing is dialled yet. cfg must be
// valid. Close it after Run.
func New(cfg Config, parts Parts) (*Poller, error) {
	if parts.Kind == "" {
		parts.Kind = table.Kind
	}
	db, err := open(cfg)
	if err != nil {
		return nil, err
	}
	sent, err := openMemory(parts.Dir)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Poller{cfg: cfg, parts: parts, db: db, sent: sent}, nil
}

// Close ends the connections.
func (p *Poller) Close() error { return errors.Join(p.db.Close(), p.sent.close()) }

// Run polls until ctx ends.
func (p *Poller) Run(ctx context.Context) error {
	return p.parts.Intake.Every(ctx, p.cfg.Interval, func(ctx context.Context) {
		if err := p.Round(ctx); err != nil && ctx.Err() == nil {
			p.parts.Intake.Log().Warn("database not read", "fault", fault.KindOf(err).String())
			p.parts.Intake.Trouble(source.Unreachable, fault.Sentence(err))
			return
		}
		p.parts.Intake.Fine(source.Unreachable)
	})
}

// Round reads every table once. One that cannot be read does not stop the
// others; the first error is returned.
func (p *Poller) Round(ctx context.Context) error {
	var first error
	for _, t := range p.cfg.Tables {
		if err := p.table(ctx, t); err != nil && first == nil {
			first = err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return first
}

func (t Table) messageName() string {
	if t.As != "" {
		return t.As
	}
	return t.Name[strings.LastIndexByte(t.Name, '.')+1:]
}

// table sends on what changed in one table.
func (p *Poller) table(ctx context.Context, t Table) error {
	qctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	tx, err := p.begin(qctx)
	if err != nil {
		return away(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	since := parseMark(p.parts.State.Get("mark:" + t.messageName()))
	var args []any
	if t.Watermark != "" && since.form != "" {
		args = append(args, since.parameter(t.Overlap))
	}
	rows, err := tx.QueryContext(qctx, p.cfg.Driver.query(t, len(args) > 0), args...)
	if err != nil {
		return p.unreadable(t, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return away(err)
	}
	r, err := p.reading(ctx, t, columns, since)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := r.row(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return away(err)
	}
	return r.finish()
}

// begin starts a read-only transaction, where the database knows such.
func (p *Poller) begin(ctx context.Context) (*sql.Tx, error) {
	readOnly := p.cfg.Driver == MySQL || p.cfg.Driver == Postgres
	return p.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: readOnly})
}

// away is the fault of a database that does not answer.
func away(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unavailable, "数据库查询超时")
	}
	return fault.New(fault.Unavailable, "数据库连接或查询失败")
}

// unreadable is the fault of a SELECT that the database refuses: mostly a table
// or column that is gone.
func (p *Poller) unreadable(t Table, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return away(err)
	}
	p.parts.Intake.Trouble(columnGone, "表 "+t.Name+" 读不了：表或列可能被改名或删除，或没有权限")
	return fault.New(fault.Invalid, "表 %s 读不了", t.Name)
}

// reading is one pass over one table.
type reading struct {
	p       *Poller
	ctx     context.Context
	t       Table
	columns []string
	key     []int
	patient int
	wm      int // column of the watermark, -1 = none
	since   mark
	latest  mark
	values  []any
	targets []any
	open    [buckets]*table.Batch
	sums    [buckets][]sum
}

// sum is the hash of a row that is on its way.
type sum struct {
	key  []byte
	hash [16]byte
}

func (p *Poller) reading(ctx context.Context, t Table, columns []string, since mark) (*reading, error) {
	r := &reading{p: p, ctx: ctx, t: t, columns: columns, patient: -1, wm: -1, since: since, latest: since}
	at := map[string]int{}
	for i, c := range columns {
		at[strings.ToUpper(c)] = i
	}
	if err := p.columns(t, columns, at); err != nil {
		return nil, err
	}
	for _, k := range t.Key {
		r.key = append(r.key, at[strings.ToUpper(k)])
	}
	if t.Watermark != "" {
		r.wm = at[strings.ToUpper(t.Watermark)]
	}
	for _, c := range p.cfg.Patient {
		if i, ok := at[strings.ToUpper(c)]; ok && r.patient < 0 {
			r.patient = i
		}
	}
	r.values, r.targets = make([]any, len(columns)), make([]any, len(columns))
	for i := range r.values {
		r.targets[i] = &r.values[i]
	}
	return r, nil
}

// columns stops a table that lost a column it had: rows without it would
// silently empty what is known. The other tables go on.
func (p *Poller) columns(t Table, now []string, at map[string]int) error {
	state := "columns:" + t.messageName()
	want := append(append([]string{}, t.Key...), strings.Split(p.parts.State.Get(state), ",")...)
	if t.Watermark != "" {
		want = append(want, t.Watermark)
	}
	for _, c := range want {
		if _, ok := at[strings.ToUpper(c)]; !ok && c != "" {
			p.parts.Intake.Trouble(columnGone, "表 "+t.Name+" 缺少以前有的列 "+c+"；确认是有意修改后，在控制台“接受新的表结构”")
			return fault.New(fault.Invalid, "表 %s 缺少列 %s", t.Name, c)
		}
	}
	return p.parts.State.Set(state, strings.Join(now, ","))
}

// row takes one row, if it differs from what was sent.
func (r *reading) row(rows *sql.Rows) error {
	if err := rows.Scan(r.targets...); err != nil {
		return away(err)
	}
	texts := make([]string, len(r.values))
	h := sha256.New()
	for i, v := range r.values {
		texts[i] = text(v, r.p.cfg.Charset)
		_, _ = io.WriteString(h, texts[i]+"\x00")
	}
	if r.wm >= 0 {
		if m := markOf(r.values[r.wm], r.p.cfg.Charset); m.after(r.latest) {
			r.latest = m
		}
	}
	s := sum{key: r.rowKey(texts)}
	copy(s.hash[:], h.Sum(nil))
	same, err := r.p.sent.same(s)
	if err != nil || same {
		return err
	}
	return r.add(texts, s)
}

func (r *reading) rowKey(texts []string) []byte {
	key := []byte(r.t.messageName())
	for _, i := range r.key {
		key = append(append(key, 0), texts[i]...)
	}
	return key
}

func (r *reading) add(texts []string, s sum) error {
	name := texts[r.key[0]]
	if r.patient >= 0 {
		name = texts[r.patient]
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, name)
	i := int(h.Sum32() % buckets)
	if r.open[i] == nil {
		r.open[i] = &table.Batch{Table: r.t.messageName(), Columns: r.columns}
	}
	r.open[i].Add(len(r.open[i].Rows)+1, texts)
	r.sums[i] = append(r.sums[i], s)
	if len(r.open[i].Rows) >= r.p.cfg.Batch {
		return r.flush(i)
	}
	return nil
}

// flush sends a bucket's rows and then remembers them: a crash in between sends
// them again, which changes nothing.
func (r *reading) flush(i int) error {
	b := r.open[i]
	if b == nil {
		return nil
	}
	r.open[i] = nil
	b.Numbers = nil
	m := r.p.parts.Intake.Message(r.p.parts.Kind, strconv.Itoa(i), "application/json", "", b.JSON())
	m.Headers["table"] = b.Table
	// The same rows may come back after others (A, B, A): the pass tells them apart.
	pass := sha256.Sum256([]byte(m.DedupKey + r.since.String() + r.p.parts.State.Get("pass:"+r.t.messageName())))
	m.DedupKey = hex.EncodeToString(pass[:])
	if err := r.p.parts.Intake.Insist(r.ctx, m); err != nil {
		return err
	}
	err := r.p.sent.add(r.sums[i])
	r.sums[i] = r.sums[i][:0]
	return err
}

// finish sends what is left, then moves the watermark.
func (r *reading) finish() error {
	sent := false
	for i := range r.open {
		sent = sent || r.open[i] != nil || len(r.sums[i]) > 0
		if err := r.flush(i); err != nil {
			return err
		}
	}
	if sent {
		if err := r.p.parts.State.Set("pass:"+r.t.messageName(), r.p.parts.Intake.Now().Format(time.RFC3339Nano)); err != nil {
			return err
		}
	}
	if r.latest == r.since {
		return nil
	}
	return r.p.parts.State.Set("mark:"+r.t.messageName(), r.latest.String())
}
