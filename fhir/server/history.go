package server

import (
	"context"
	"net/http"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// history is the history of a resource, a type or the system, newest first
// (http.html#history).
func (s *Server) history(ctx context.Context, r *Request) (*Reply, error) {
	if err := parameters(r, historyParams, "历史查询", "a history"); err != nil {
		return nil, err
	}
	query := strip(r.Query)
	q := store.HistoryQuery{Type: r.Type, ID: r.Target.ID}
	at, err := s.historyTimes(r, &q)
	if err != nil {
		return nil, err
	}
	count, err := r.Count(s.cfg.DefaultCount, s.cfg.MaxCount)
	if err != nil {
		return nil, err
	}
	snap, cur, err := s.page(ctx, r, query)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	before, err := place(cur)
	if err != nil {
		return nil, err
	}
	q.Before = before
	if at.End.IsZero() {
		q.Limit = count + 1 // one more tells whether there is a next page
	} else {
		q.Before = 0 // which version was current is known only by walking from the newest
	}
	page, err := collect(ctx, snap, q, at, before, count)
	if err != nil {
		return nil, err
	}
	if len(page) == 0 && before == 0 && q.ID != "" && at.End.IsZero() && q.Since.IsZero() {
		return nil, fault.New(fault.NotFound, "no such resource")
	}
	cur = cursor{offset: snap.Offset(), total: s.historyTotal(q, at, page, before, cur.total)}
	if len(page) > count {
		page = page[:count]
		if count > 0 {
			cur.place = strconv.FormatInt(page[count-1].Seq, 10)
		}
	}
	pin(snap, cur.place != "")
	body, err := s.historyBundle(r, query, page, cur)
	return &Reply{Body: body, Offset: snap.Offset()}, err
}

// historyParams are the parameters of a history; those of the edge come too.
var historyParams = []string{"_count", "_since", "_at", "_summary", "_elements", "_format", "_pretty", cursorParam}

// historyTimes reads _since and _at: versions current at some moment of its span.
func (s *Server) historyTimes(r *Request, q *store.HistoryQuery) (at rest.Span, err error) {
	if v := r.Param("_since"); v != "" {
		t, err := rest.ParseTime(v)
		if err != nil {
			return at, rest.BadParam("_since", v)
		}
		q.Since = t.Start
	}
	if v := r.Param("_at"); v != "" {
		if at, err = rest.ParseTime(v); err != nil {
			return at, rest.BadParam("_at", v)
		}
	}
	return at, nil
}

// collect reads at most count+1 versions of a page. With _at it walks all
// versions and keeps those that were current in the span: made before its end,
// and replaced, if ever, after its start.
func collect(ctx context.Context, snap store.Snapshot, q store.HistoryQuery, at rest.Span, before int64, count int) ([]store.Change, error) {
	var page []store.Change
	settled := map[string]bool{} // resources whose current version at the span's start has been met
	n := 0
	for ch, err := range snap.History(q) {
		if err != nil {
			return nil, err
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !at.End.IsZero() {
			key := ch.Type + "/" + ch.ID
			if !ch.LastUpdated.Before(at.End) || settled[key] {
				continue
			}
			settled[key] = !ch.LastUpdated.After(at.Start)
			if before > 0 && ch.Seq >= before {
				continue
			}
		}
		if page = append(page, ch); len(page) > count {
			break
		}
	}
	return page, nil
}

// historyTotal counts the versions of one resource where that is free: its
// newest version has the number of all. Else the total is left out.
func (s *Server) historyTotal(q store.HistoryQuery, at rest.Span, page []store.Change, before, known int64) int64 {
	switch {
	case before > 0:
		return known
	case q.ID == "" || !at.End.IsZero() || !q.Since.IsZero() || len(page) == 0:
		return -1
	}
	return page[0].Version.Version
}

// place reads the change sequence below which a page goes on.
func place(cur cursor) (int64, error) {
	if cur.place == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(cur.place, 10, 64)
	if err != nil {
		return 0, rest.BadParam(cursorParam, "")
	}
	return n, nil
}

// historyBundle writes the page.
func (s *Server) historyBundle(r *Request, query string, page []store.Change, cur cursor) ([]byte, error) {
	w := bundle.New("history", s.parts.NewID(), s.clock.Now(), cur.total, s.links(r, query, query, cur, cur.place, "")...)
	for _, ch := range page {
		v := ch.Version
		w.Open()
		w.FullURL(r.Base, v.Type, v.ID)
		status := http.StatusOK
		switch {
		case v.Deleted():
			status = http.StatusNoContent
		default:
			body, err := s.view(r, v.Resource)
			if err != nil {
				return nil, err
			}
			w.Resource(body)
			if v.Created {
				status = http.StatusCreated
			}
		}
		w.Request(v)
		w.Response(status)
		w.Version("", v)
		w.Shut()
		w.Shut()
	}
	return w.End(), nil
}
