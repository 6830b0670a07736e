package supervision

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// hold is the key of a page that shows its choices without computing.
const hold = "hold"

// wait is an ad-hoc table that is being computed, as the page shows it.
type wait struct {
	web.Page
	*scope
	Place    int // tables before it, 0 = it is being computed
	Progress measures.Progress
	Query    string
}

// compute answers from the queue: the table, or what to show while it is not
// there. Who asks the same again, as reloading does, waits for the same table.
func (a *App) compute(g *gin.Context, s *scope, p pivot) (pivot, *wait, error) {
	key := s.pivotKey()
	label := "pivot " + key
	job, err := a.queue.Do(g.Request.Context(), key, func(ctx context.Context) (pivot, error) {
		out := p
		return out, a.fillPivot(measures.Labelled(ctx, label), s, &out)
	})
	if err != nil {
		return p, nil, err
	}
	if job.Wait(g.Request.Context(), a.cfg.Patience) {
		p, err = job.Result()
		return p, nil, err
	}
	w := &wait{Page: a.page(g, "自助分析", "/supervision/pivot"), scope: s, Place: job.Place(), Query: s.query().Encode()}
	if w.Place == 0 {
		w.Progress, err = measures.Watch(g.Request.Context(), a.SQL, label)
	}
	return p, w, err
}

// pivotKey names the table of a filter.
func (s *scope) pivotKey() string {
	v := s.query()
	if s.Public {
		v.Set("public", "1")
	}
	return v.Encode()
}

// cancelPivot ends the computation of the form's table and leads back to its choices.
func (a *App) cancelPivot(g *gin.Context) {
	g.Request.URL.RawQuery = field(g, "query")
	s, err := a.scope(g, "m", "d")
	if err != nil {
		a.fail(g, err)
		return
	}
	if job := a.queue.Find(s.pivotKey()); job != nil {
		job.Cancel()
	}
	v := s.query()
	v.Set(hold, "1")
	seeOther(g, "/supervision/pivot?"+v.Encode())
}
