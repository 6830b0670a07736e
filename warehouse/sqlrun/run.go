package sqlrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// subject is what is to be run: one of both is set.
type subject struct {
	view    *views.View
	library fhir.Node
}

// errEnough ends a run whose limit of rows is reached.
var errEnough = errors.New("enough rows")

// subject finds the one subject that the parameters name.
func (s *Service) subject(ctx context.Context, p *params) (subject, error) {
	canonical, reference, res := p.text["subjectCanonical"], p.text["subjectReference"], p.nodes["subjectResource"]
	if len(canonical)+len(reference)+len(res) != 1 {
		return subject{}, invalid("subject", "请恰好给出 subjectCanonical、subjectReference、subjectResource 之一",
			"exactly one of subjectCanonical, subjectReference and subjectResource is needed")
	}
	if len(res) == 1 {
		return s.inline(res[0])
	}
	ref := strings.Join(append(canonical, reference...), "")
	if typ, _, ok := strings.Cut(ref, "/"); ok && len(reference) == 1 && typ != "Library" && typ != viewType && !strings.Contains(ref, ":") {
		return subject{}, unprocessable("不能运行", fault.New(fault.Invalid, "a %s is no ViewDefinition or Library", clip(typ)))
	}
	if !strings.HasPrefix(ref, "Library/") {
		if v, err := s.View(ref); err == nil {
			return subject{view: v}, nil
		}
		if n, err := s.resource(ctx, viewType, ref); err == nil {
			return s.inline(n)
		}
	}
	lib, err := s.library(ctx, ref)
	if err != nil {
		return subject{}, err
	}
	return subject{library: lib}, nil
}

func (s *Service) inline(n fhir.Node) (subject, error) {
	switch n.ResourceType() {
	case "Library":
		return subject{library: n}, nil
	case "ViewDefinition", "":
		v, err := views.CompileNode(n, s.parts.Paths)
		if err != nil {
			return subject{}, unprocessable("视图有误", err)
		}
		return subject{view: v}, nil
	}
	return subject{}, unprocessable("不能运行", fault.New(fault.Invalid, "a %s is no ViewDefinition or Library", n.ResourceType()))
}

// run answers the rows of the subject in the format asked for.
func (s *Service) run(ctx context.Context, p *params, f format, min int64) ([]byte, error) {
	sub, err := s.subject(ctx, p)
	if err != nil {
		return nil, err
	}
	limit, err := p.limit()
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if sub.library.Exists() {
		err = s.runLibrary(ctx, sub.library, p, f, limit, &capped{&buf, s.cfg.MaxBytes})
		return buf.Bytes(), err
	}
	w, err := f.output(&capped{&buf, s.cfg.MaxBytes}, sub.view.Columns())
	if err != nil {
		return nil, err
	}
	if err := s.rows(ctx, sub.view, p, limit, min, w); err != nil {
		return nil, err
	}
	err = w.Close()
	return buf.Bytes(), err
}

// capped refuses to grow an answer beyond its limit.
type capped struct {
	buf  *bytes.Buffer
	most int
}

func (c *capped) Write(b []byte) (int, error) {
	if c.buf.Len()+len(b) > c.most {
		return 0, tooMany()
	}
	return c.buf.Write(b)
}

func tooMany() error {
	return fault.New(fault.TooCostly, "the answer is too large").With(fault.Issue{Severity: "error", Code: "too-costly", Key: "rows",
		Text: "结果太大，请用 _limit 限制行数，或用 $sql-export 导出", TextEN: "too many rows: use _limit, or $sql-export"})
}

// rows writes the rows of a view over the resources sent along, else over the
// repository.
func (s *Service) rows(ctx context.Context, v *views.View, p *params, limit int, min int64, w views.Writer) error {
	if p.first("source") != "" {
		return invalid("parameter", "不支持参数 source", "the parameter source is not supported")
	}
	n := 0
	err := s.each(ctx, v.Resource, p, min, perResource(v, func(row []views.Cell) error {
		if n++; n > s.cfg.MaxRows {
			return tooMany()
		}
		if err := w.Write(row); err != nil {
			return err
		}
		if n == limit {
			return errEnough
		}
		return nil
	}))
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// perResource runs the view on a resource; where they do not fit, it names the
// resource.
func perResource(v *views.View, emit func([]views.Cell) error) func(fhir.Node) error {
	return func(res fhir.Node) error {
		err := v.Rows(res, emit)
		if err == nil || errors.Is(err, errEnough) || fault.KindOf(err) != fault.Invalid {
			return err
		}
		return unprocessable("视图不适合资源 "+v.Resource+"/"+res.Get("id").Str(), err)
	}
}

// exportView writes all rows of a view over a snapshot.
func (s *Service) exportView(ctx context.Context, t task, p *params, f format, out io.Writer, snap store.Snapshot) error {
	w, err := f.output(out, t.view.Columns())
	if err != nil {
		return err
	}
	if err := s.stored(ctx, snap, t.view.Resource, p, perResource(t.view, w.Write)); err != nil {
		return err
	}
	return w.Close()
}

// each calls fn for the resources of a type that the parameters select.
func (s *Service) each(ctx context.Context, typ string, p *params, min int64, fn func(fhir.Node) error) error {
	if given := p.nodes["resource"]; len(given) > 0 {
		return resources(given, fn)
	}
	snap, err := s.parts.Store.Snapshot(ctx, min)
	if err != nil {
		return err
	}
	defer snap.Close()
	return s.stored(ctx, snap, typ, p, fn)
}

// stored calls fn for the resources of a type in a snapshot.
func (s *Service) stored(ctx context.Context, snap store.Snapshot, typ string, p *params, fn func(fhir.Node) error) error {
	since, err := p.since()
	if err != nil {
		return err
	}
	patients, all, err := selectedPatients(snap, p)
	if err != nil {
		return err
	}
	if all {
		return s.find(ctx, snap, search.Request{Type: typ, Query: since}, fn)
	}
	for _, id := range patients {
		req := search.Request{Type: typ, Query: since, Compartment: &search.Compartment{Type: "Patient", ID: id}}
		if typ == "Patient" {
			req.Compartment, req.Query = nil, strings.TrimPrefix(since+"&_id="+id, "&")
		}
		if err := s.find(ctx, snap, req, fn); err != nil {
			return err
		}
	}
	return nil
}

const pageSize = 1000

// find calls fn for every match of a search.
func (s *Service) find(ctx context.Context, snap store.Snapshot, req search.Request, fn func(fhir.Node) error) error {
	req.Count, req.Now = pageSize, s.parts.Now()
	ix := snap.Index()
	var parser fhir.Parser
	for {
		page, err := s.parts.Search.Search(ctx, ix, req)
		if err != nil {
			return err
		}
		for _, m := range page.Matches {
			if m.Mode != search.ModeMatch {
				continue
			}
			raw, ok, err := ix.Resource(m.Type, m.ID)
			if err != nil || !ok {
				return errors.Join(err, missing(ok, m))
			}
			tree, err := parser.Parse(raw)
			if err == nil {
				err = fn(tree.Root())
			}
			if err != nil {
				return err
			}
		}
		if page.Next == "" {
			return ctx.Err()
		}
		req.Cursor = page.Next
	}
}

func missing(ok bool, m search.Match) error {
	if ok {
		return nil
	}
	return fault.New(fault.Internal, "index names %s/%s, which is not there", m.Type, m.ID)
}

// selectedPatients returns the ids that patient and group name; all is true if
// neither is given.
func selectedPatients(snap store.Snapshot, p *params) (ids []string, all bool, err error) {
	if len(p.text["patient"])+len(p.text["group"]) == 0 {
		return nil, true, nil
	}
	for _, ref := range p.text["patient"] {
		ids = append(ids, strings.TrimPrefix(ref, "Patient/"))
	}
	for _, ref := range p.text["group"] {
		group, err := snap.Read("Group", strings.TrimPrefix(ref, "Group/"))
		if err != nil {
			return nil, false, fmt.Errorf("group: %w", err)
		}
		tree, err := fhir.Parse(group.Resource)
		if err != nil {
			return nil, false, err
		}
		for m := range tree.Root().Get("member").Each() {
			if id, ok := strings.CutPrefix(m.Path("entity", "reference").Str(), "Patient/"); ok {
				ids = append(ids, id)
			}
		}
	}
	for _, id := range ids {
		if !fhir.IsID(id) {
			return nil, false, invalid("parameter", "patient 应为 Patient/id", "patient must be Patient/id")
		}
	}
	return ids, false, nil
}
