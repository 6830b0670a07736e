package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// search is the search interaction on the system, a type or a compartment, by
// GET or POST (https://hl7.org/fhir/R4/search.html).
func (s *Server) search(ctx context.Context, r *Request) (*Reply, error) {
	if s.parts.Search == nil {
		return nil, notOffered("search")
	}
	if err := formQuery(r); err != nil {
		return nil, err
	}
	query := strip(r.Query)
	snap, cur, err := s.page(ctx, r, query)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	q, err := s.query(r, query, cur)
	if err != nil {
		return nil, err
	}
	found, err := s.parts.Search.Search(ctx, snap.Index(), q)
	if err != nil {
		return nil, err
	}
	if found.Total >= 0 {
		cur.total = int64(found.Total)
	}
	cur.offset, cur.place = snap.Offset(), found.Next
	body, err := s.searchset(r, query, snap, found, cur)
	return &Reply{Body: body, Offset: snap.Offset()}, err
}

// query makes the engine's query of a request.
func (s *Server) query(r *Request, query string, cur cursor) (q Query, err error) {
	q = Query{Type: r.Type, Raw: without(query, "_elements", "_summary", "_count"), Lenient: r.Prefer.Lenient,
		Cursor: cur.place, Now: s.clock.Now(), Total: cur.total < 0}
	if q.Count, err = r.Count(s.cfg.DefaultCount, s.cfg.MaxCount); err != nil {
		return q, err
	}
	if r.Param("_summary") == "count" {
		q.Count = 0
	}
	if r.Shape == Compartment || r.Shape == CompartmentSearch {
		q.Compartment, q.Type = r.Type+"/"+r.Target.ID, r.Name
		if r.Name == "*" {
			q.Type = ""
		}
	}
	return q, nil
}

// page pins the state a request is answered from: the one its page link names,
// else the newest.
func (s *Server) page(ctx context.Context, r *Request, query string) (store.Snapshot, cursor, error) {
	token := r.Param(cursorParam)
	if token == "" {
		snap, err := s.snapshot(ctx, r)
		return snap, cursor{total: -1}, err
	}
	cur, err := s.pages.open(path(r), query, token)
	if err != nil {
		return nil, cur, err
	}
	snap, err := s.parts.Store.SnapshotAt(ctx, cur.offset)
	return snap, cur, gone(err)
}

// searchset writes the page.
func (s *Server) searchset(r *Request, query string, snap store.Snapshot, found *Found, cur cursor) ([]byte, error) {
	self := found.Self
	if self == "" {
		self = query
	}
	w := newBundle("searchset", s.parts.NewID(), s.clock.Now(), cur.total, s.links(r, query, self, cur)...)
	for _, h := range found.Hits {
		v, err := snap.Read(h.Type, h.ID)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			continue // an index entry without its resource is not shown
		}
		if err != nil {
			return nil, err
		}
		body, err := s.view(r, v.Resource)
		if err != nil {
			return nil, err
		}
		w.open()
		w.fullURL(r.Base, h.Type, h.ID)
		w.resource(body)
		mode := "match"
		if h.Included {
			mode = "include"
		}
		w.mode(mode)
		w.shut()
	}
	if len(found.Issues) > 0 {
		w.open()
		w.resource(outcome.Issues(found.Issues, outcome.Options{English: r.English, RequestID: r.ID}))
		w.mode("outcome")
		w.shut()
	}
	return w.end(), nil
}

func (w *bundle) mode(m string) {
	w.member("search")
	w.b = append(w.b, `{"mode":"`...)
	w.b = append(w.b, m...)
	w.b = append(w.b, `"}`...)
}

// links returns the self, first and next links of a page. All but first pin the
// state that the page shows.
func (s *Server) links(r *Request, query, self string, cur cursor) []link {
	p := path(r)
	at := r.Base + p
	list := []link{{"self", join(at, self)}, {"first", join(at, query)}}
	if cur.place != "" {
		list = append(list, link{"next", join(at, join2(query, cursorParam+"="+s.pages.seal(p, query, cur)))})
	}
	return list
}

// path is the address of a search or history, below the base, as links show it.
func path(r *Request) string {
	switch r.Shape {
	case TypeLevel, TypeSearch:
		return "/" + r.Type
	case TypeHistory:
		return "/" + r.Type + "/_history"
	case InstanceHistory:
		return "/" + r.Type + "/" + r.Target.ID + "/_history"
	case Compartment, CompartmentSearch:
		return "/" + r.Type + "/" + r.Target.ID + "/" + r.Name
	case SystemHistory:
		return "/_history"
	}
	return "/_search" // GET [base]?… is only the other name of it
}

func join(path, query string) string {
	if query == "" {
		return path
	}
	return path + "?" + query
}

func join2(a, b string) string {
	if a == "" {
		return b
	}
	return a + "&" + b
}

// formQuery adds the form of a POST search to the query.
func formQuery(r *Request) error {
	if r.Method != http.MethodPost || len(r.Body) == 0 {
		return nil
	}
	if r.MediaType != mimeForm {
		return unsupportedMedia(r.MediaType)
	}
	form := strings.TrimSpace(string(r.Body))
	if _, err := url.ParseQuery(form); err != nil {
		return fault.New(fault.Invalid, "the form is not well encoded")
	}
	r.Query, r.params, r.Body = join2(r.Query, form), nil, nil
	if f := r.Params().Get("_format"); f != "" {
		var err error
		if r.Format, err = negotiate(f, r.Param("_pretty"), ""); err != nil {
			return err
		}
	}
	return nil
}

func notOffered(what string) error {
	return fault.New(fault.Unsupported, "%s is not offered here", what).With(fault.Issue{Severity: "error", Code: "not-supported",
		Key: outcome.KeyNotDone, Text: "本服务未提供：" + what, TextEN: "not offered here: " + what})
}
