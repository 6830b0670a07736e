package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/search"
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
	if (r.Shape == rest.TypeLevel || r.Shape == rest.TypeSearch) && !strings.Contains(r.Query, "include") { // what is included has elements of its own
		if err := s.elements(r, r.Type); err != nil {
			return nil, err
		}
	}
	query := strip(r.Query)
	snap, cur, err := s.page(ctx, r, query)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	span, within := s.step(ctx, "search")
	page, err := s.parts.Search.Search(within, snap.Index(), s.searchRequest(r, query, cur))
	span.End()
	if err != nil {
		return nil, err
	}
	if page.Total != nil {
		cur.total = int64(*page.Total)
	}
	cur.offset = snap.Offset()
	pin(snap, page.Next != "")
	body, err := s.searchset(r, query, snap, page, cur)
	return &Reply{Body: body, Offset: snap.Offset()}, err
}

// searchRequest makes the engine's request.
func (s *Server) searchRequest(r *Request, query string, cur cursor) search.Request {
	req := search.Request{Type: r.Type, Query: query, Lenient: r.Prefer.Lenient, Count: s.cfg.DefaultCount, Cursor: cur.place, Now: s.clock.Now(), Base: r.Base}
	if r.Shape == rest.Compartment || r.Shape == rest.CompartmentSearch {
		req.Compartment = &search.Compartment{Type: r.Type, ID: r.Target.ID}
		req.Type = strings.TrimPrefix(r.Name, "*")
	}
	return req
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

// pin keeps the state of a page that has a next one, for its link to find.
func pin(snap store.Snapshot, more bool) {
	if p, ok := snap.(store.Pinner); ok && more {
		p.Pin()
	}
}

// searchset writes the page.
func (s *Server) searchset(r *Request, query string, snap store.Snapshot, page *search.Page, cur cursor) ([]byte, error) {
	self := encode(page.Applied)
	if len(page.Ignored) > 0 {
		query = self // a page link works without the preference that this request had
	}
	links := s.links(r, query, self, cur, page.Next, page.Prev)
	w := bundle.New("searchset", s.parts.NewID(), s.clock.Now(), cur.total, links...)
	for _, m := range page.Matches {
		v, err := snap.Read(m.Type, m.ID)
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
		w.Open()
		w.FullURL(r.Base, m.Type, m.ID)
		w.Resource(body)
		w.Mode(string(m.Mode), m.Score)
		w.Shut()
	}
	if len(page.Ignored) > 0 {
		w.Open()
		w.Resource(outcome.Issues(page.Ignored, outcome.Options{English: r.English, RequestID: r.ID}))
		w.Mode("outcome", 0)
		w.Shut()
	}
	return w.End(), nil
}

// encode writes name=value pairs as a query string that reads like the one sent.
func encode(pairs []string) string {
	keep := strings.NewReplacer("%3A", ":", "%2C", ",", "%7C", "|", "%2F", "/", "%24", "$")
	out := make([]string, len(pairs))
	for i, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		out[i] = keep.Replace(url.QueryEscape(name)) + "=" + keep.Replace(url.QueryEscape(value))
	}
	return strings.Join(out, "&")
}

// links returns the self, first, next and previous links of a page. The last
// two pin the state that the page shows; next and prev are places, "" for none.
func (s *Server) links(r *Request, query, self string, cur cursor, next, prev string) []bundle.Link {
	p := path(r)
	at := r.Base + p
	list := []bundle.Link{{Relation: "self", URL: join(at, self)}, {Relation: "first", URL: join(at, query)}}
	for _, l := range []bundle.Link{{Relation: "next", URL: next}, {Relation: "previous", URL: prev}} {
		if cur.place = l.URL; cur.place != "" {
			list = append(list, bundle.Link{Relation: l.Relation, URL: join(at, join2(query, cursorParam+"="+s.pages.seal(p, query, cur)))})
		}
	}
	return list
}

// path is the address of a search or history, below the base, as links show it.
func path(r *Request) string {
	switch r.Shape {
	case rest.TypeLevel, rest.TypeSearch:
		return "/" + r.Type
	case rest.TypeHistory:
		return "/" + r.Type + "/_history"
	case rest.InstanceHistory:
		return "/" + r.Type + "/" + r.Target.ID + "/_history"
	case rest.Compartment, rest.CompartmentSearch:
		return "/" + r.Type + "/" + r.Target.ID + "/" + r.Name
	case rest.SystemHistory:
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
	if r.MediaType != rest.Form {
		return unsupportedMedia(r.MediaType, rest.Form)
	}
	form := strings.TrimSpace(string(r.Body))
	if _, err := url.ParseQuery(form); err != nil {
		return badBody("表单的百分号编码不正确", "the form is not well encoded")
	}
	r.SetQuery(join2(r.Query, form))
	r.Body = nil
	if f := r.Params().Get("_format"); f != "" {
		var err error
		if r.Format, err = rest.Negotiate(f, r.Param("_pretty"), ""); err != nil {
			return err
		}
	}
	return nil
}

func notOffered(what string) error {
	return fault.New(fault.Unsupported, "%s is not offered here", what).With(fault.Issue{Severity: "error", Code: "not-supported",
		Key: outcome.KeyNotDone, Text: "本服务未提供：" + what, TextEN: "not offered here: " + what})
}
