package measures

import (
	"context"
	"time"
)

// labelKey is where a context keeps the label of its queries.
type labelKey struct{}

// Labelled marks the queries of a context, so that [Watch] finds them while they
// run. The querier passes the label on as the setting log_comment.
func Labelled(ctx context.Context, label string) context.Context {
	return context.WithValue(ctx, labelKey{}, label)
}

// Label is the label of a context's queries, "" for none.
func Label(ctx context.Context) string {
	s, _ := ctx.Value(labelKey{}).(string)
	return s
}

// Progress is how far queries are.
type Progress struct {
	Rows, Total int64 // read, and to be read as far as is known
	Elapsed     time.Duration
}

// Percent is the share of rows read, at most 99: what runs has not ended.
func (p Progress) Percent() int {
	if p.Total == 0 {
		return 0
	}
	return int(min(99, 100*p.Rows/p.Total))
}

// Seconds is the time so far.
func (p Progress) Seconds() int { return int(p.Elapsed.Seconds()) }

// Watch reads the progress of the queries that run under a label; zero when none
// does.
func Watch(ctx context.Context, q Querier, label string) (p Progress, err error) {
	const sql = `SELECT toInt64(sum(read_rows)), toInt64(sum(total_rows_approx)), max(elapsed) FROM system.processes WHERE Settings['log_comment'] = {label:String}`
	var seconds float64
	err = q.Query(ctx, sql, map[string]string{"label": label}, func(scan func(...any) error) error { return scan(&p.Rows, &p.Total, &seconds) })
	p.Elapsed = time.Duration(seconds * float64(time.Second))
	return p, err
}
