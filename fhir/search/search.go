package search

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Request is a search.
type Request struct {
	Type        string         // resource type; "" = every type, or those of _type
	Query       string         // as in the URL, without '?'
	Compartment *Compartment   // only resources in it; may be nil
	Lenient     bool           // leave out parameters that are unknown or wrong, and report them
	Count       int            // matches on a page where the query has no _count; 0 = 20
	Cursor      string         // Page.Next or Page.Prev of another page of the same query on the same snapshot
	Now         time.Time      // for ap; zero = the epoch
	Zone        *time.Location // of dates without a zone; nil = the engine's
	Base        string         // absolute address the client used: references below it in the query are local; may be ""
	Explain     bool           // fill Page.Plan
}

// Compartment is the compartment of one resource, e.g. Patient/1.
type Compartment struct{ Type, ID string }

// Mode tells why a resource is on a page.
type Mode string

// The modes, as in Bundle.entry.search.mode.
const (
	ModeMatch   Mode = "match"
	ModeInclude Mode = "include"
)

// Match is one resource on a page.
type Match struct {
	Type, ID string
	Mode     Mode
	Score    float64 // 0 = none
}

// Page is a result.
type Page struct {
	Matches []Match  // the matches in order, then what was included
	Total   *int     // exact number of matches on all pages; nil if not known
	Next    string   // cursor of the next page, "" on the last
	Prev    string   // cursor of the page before; "" on the first
	Count   int      // matches asked for on a page; 0 = only the total
	Applied []string // the parameters that took effect, name=value decoded, for the self link
	Ignored []fault.Issue
	Plan    *Plan
}

// Search runs a query on one view of the index. Errors are fault.Invalid (with
// what was meant, perhaps), fault.TooCostly (with advice) or those of the index
// and the terminology.
func (e *Engine) Search(ctx context.Context, ix Index, req Request) (*Page, error) {
	params, err := query.Parse(req.Query)
	if err != nil {
		return nil, err
	}
	e = e.of(ix)
	s := &searcher{run: e.newRun(ctx, ix), req: req, page: &Page{}}
	if !req.Explain { // a plan tells what it costs by itself
		s.guesses = e.sizes
	}
	defer e.cat.Release(s.x)
	s.b = &builder{ctx: ctx, e: e, ix: ix, terms: e.terms, base: req.Base, now: req.Now, zone: req.Zone}
	if s.b.zone == nil {
		s.b.zone = e.cfg.Zone
	}
	if err := s.controls(params); err != nil {
		return nil, err
	}
	if err := s.build(params); err != nil {
		return nil, err
	}
	if err := s.resume(); err != nil {
		return nil, err
	}
	if err := s.execute(); err != nil {
		return nil, err
	}
	return s.page, s.err
}

// IDs returns the ids of up to limit resources that match, in the order of ids:
// for conditional operations. What terminology would decide is refused: the
// answer must be the same on every node that applies the same log.
func (e *Engine) IDs(ctx context.Context, ix Index, typ, q string, limit int) ([]string, error) {
	params, err := query.Parse(q)
	if err != nil {
		return nil, err
	}
	e = e.of(ix)
	s := &searcher{run: e.newRun(ctx, ix), req: Request{Type: typ}, page: &Page{}}
	defer e.cat.Release(s.x)
	s.b = &builder{ctx: ctx, e: e, ix: ix, zone: e.cfg.Zone}
	if err := s.build(params); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(params, func(p query.Param) bool { return !isControl(p.Key) }) { // it would match all
		return nil, invalid("no-condition", "条件操作缺少检索条件", "a conditional operation needs a search condition", "")
	}
	var ids []string
	n := s.nodes[0]
	s.estimate(n)
	c := s.open(n)
	defer c.close()
	for len(ids) < limit && c.next() {
		ids = append(ids, key.ID(c.id()))
	}
	return ids, s.err
}

func (e *Engine) newRun(ctx context.Context, ix Index) *run {
	return &run{ctx: ctx, e: e, ix: ix, x: e.cat.Reader(), counts: map[*param.Table]int{}, limit: e.cfg.MaxCost}
}

// searcher is one search with its parts.
type searcher struct {
	*run
	req   Request
	b     *builder
	types []*param.Table // of the matches; more than one only without a type
	nodes []*node        // condition for each type
	sorts []order
	incl  []inclusion
	count int    // matches on a page; 0 = only count
	total string // none | estimate | accurate | ""
	pos   position
	start int // matches before this page
	page  *Page
}

// controls are the parameters that are no conditions.
var controls = []string{"_id", "_list", "_filter", "_has", "_sort", "_count", "_total", "_summary", "_elements", "_include",
	"_revinclude", "_contained", "_containedType", "_format", "_pretty", "_type"}

func isControl(name string) bool {
	code, _, _ := strings.Cut(name, ":")
	switch code {
	case "_sort", "_count", "_total", "_summary", "_elements", "_include", "_revinclude", "_contained", "_containedType",
		"_format", "_pretty", "_type", "_maxresults", "_offset":
		return true
	}
	return false
}

// build makes the condition of each type from all that are no controls.
func (s *searcher) build(params []query.Param) error {
	if s.types == nil {
		t := s.e.cat.Types[s.req.Type]
		if t == nil {
			return fault.New(fault.NotFound, "unknown resource type %q", s.req.Type)
		}
		s.types = []*param.Table{t}
	}
	for _, t := range s.types {
		kids, err := s.conditions(t, params)
		if err != nil {
			return err
		}
		if c := s.req.Compartment; c != nil {
			n, err := s.b.compartment(t, c)
			if err != nil {
				return err
			}
			kids = append(kids, n)
		}
		s.nodes = append(s.nodes, and(t, kids))
	}
	return nil
}

func (s *searcher) conditions(t *param.Table, params []query.Param) ([]*node, error) {
	var kids []*node
	for _, p := range params {
		if isControl(p.Key) {
			continue
		}
		name, err := query.ParseName(p.Key)
		if err == nil {
			var n *node
			if n, err = s.b.param(t, name, p.Value); err == nil {
				kids = append(kids, n)
				s.apply(p, t)
				continue
			}
		}
		if err := s.ignore(p, err, t); err != nil {
			return nil, s.among(t, err)
		}
	}
	return kids, nil
}

// among explains an error on one of the types searched where the query names
// none: only parameters that all have can be used.
func (s *searcher) among(t *param.Table, err error) error {
	if len(s.types) == 1 || !fault.Is(err, fault.Invalid) || len(fault.IssuesOf(err)) != 1 {
		return err
	}
	is := fault.IssuesOf(err)[0]
	is.Text += "；检索多种资源时只能用它们共有的参数"
	is.TextEN += "; a search over several types takes the parameters that all have"
	is.Hint = strings.TrimPrefix(is.Hint+" · GET "+t.Name+"?… , _type="+t.Name+",…", " · ")
	return fault.New(fault.Invalid, "%w", err).With(is)
}

func (s *searcher) apply(p query.Param, t *param.Table) {
	if t == nil || t == s.types[0] {
		s.page.Applied = append(s.page.Applied, p.Key+"="+p.Value)
	}
}

// ignore reports what a lenient search leaves out; otherwise it is the error.
func (s *searcher) ignore(p query.Param, err error, t *param.Table) error {
	if !s.req.Lenient || !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Unsupported) {
		return err
	}
	if t != nil && t != s.types[0] {
		return nil
	}
	for _, is := range fault.IssuesOf(err) {
		is.Severity = "warning"
		s.page.Ignored = append(s.page.Ignored, is)
	}
	if len(fault.IssuesOf(err)) == 0 {
		s.page.Ignored = append(s.page.Ignored, fault.Issue{Severity: "warning", Code: "invalid", Text: "已忽略参数 " + p.Key, TextEN: err.Error()})
	}
	return nil
}
