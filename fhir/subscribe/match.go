package subscribe

import (
	"context"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/memindex"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// side is one state of a changed resource: as it is, or as it was.
type side struct {
	raw   []byte
	index *memindex.Index // made when first asked
}

// change is one change while it is held against the subscriptions.
type change struct {
	s *Service
	store.Change
	now, before side
	loaded      bool // before was read
}

// previous is the version before, absent for a creation.
func (c *change) previous(ctx context.Context) (*side, error) {
	if c.loaded || c.Created || c.Version.Version < 2 {
		return &c.before, nil
	}
	snap, err := c.s.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	v, err := snap.VRead(c.Type, c.ID, c.Version.Version-1)
	switch {
	case fault.Is(err, fault.Gone), fault.Is(err, fault.NotFound): // deleted, or compacted away
	case err != nil:
		return nil, err
	default:
		c.before.raw = v.Resource
	}
	c.loaded = true
	return &c.before, nil
}

// matches reports whether the resource as of sd fulfils a search. What only the
// repository can decide (chains, _has, lists) is asked there.
func (c *change) matches(ctx context.Context, sd *side, q string) (bool, error) {
	if sd.raw == nil {
		return false, nil
	}
	req := search.Request{Type: c.Type, Query: q, Count: 1, Now: c.LastUpdated}
	if beyond(q) {
		snap, err := c.s.parts.Store.Snapshot(ctx, 0)
		if err != nil {
			return false, err
		}
		defer snap.Close()
		req.Query = q + "&_id=" + c.ID
		return found(c.s.parts.Search.Search(ctx, snap.Index(), req))
	}
	if sd.index == nil {
		sd.index = memindex.New()
		if err := sd.index.Add(c.s.parts.Search, sd.raw); err != nil {
			return false, err
		}
		sd.index.Sort()
	}
	return found(c.s.parts.Search.Search(ctx, sd.index, req))
}

func found(p *search.Page, err error) (bool, error) { return err == nil && len(p.Matches) > 0, err }

// beyond reports whether a query looks at other resources.
func beyond(q string) bool {
	params, err := query.Parse(q)
	if err != nil {
		return false
	}
	for _, p := range params {
		if strings.Contains(p.Key, ".") || strings.HasPrefix(p.Key, "_has") || p.Key == "_list" || p.Key == "_filter" || strings.HasSuffix(p.Key, ":identifier") {
			return true
		}
	}
	return false
}

// event reports whether the change is an event of a subscription.
func (c *change) event(ctx context.Context, sub *subscription) (bool, error) {
	d := sub.def
	if d.classic() {
		if d.Type != c.Type || c.Deleted() {
			return false, nil
		}
		return c.matches(ctx, &c.now, d.Query)
	}
	t := c.s.topics[fhir.ParseCanonical(d.Topic).URL]
	if t == nil {
		return false, nil
	}
	for _, tr := range t.triggers(c.Type) {
		ok, err := c.fires(ctx, tr)
		if err != nil {
			return false, err
		}
		if ok {
			return c.passes(ctx, d)
		}
	}
	return false, nil
}

// fires reports whether a trigger goes off
// (http://hl7.org/fhir/R5/subscriptiontopic.html#resourceTrigger).
func (c *change) fires(ctx context.Context, tr Trigger) (bool, error) {
	switch {
	case c.Deleted() && !tr.Delete, c.Created && !tr.Create, !c.Deleted() && !c.Created && !tr.Update:
		return false, nil
	}
	var before *side
	if tr.Previous != "" || tr.FHIRPath != "" || c.Deleted() {
		var err error
		if before, err = c.previous(ctx); err != nil {
			return false, err
		}
	}
	ok, err := c.queries(ctx, tr, before)
	if err != nil || !ok || tr.FHIRPath == "" {
		return ok, err
	}
	return c.path(ctx, tr.FHIRPath, before)
}

// queries weighs the two searches of a trigger.
func (c *change) queries(ctx context.Context, tr Trigger, before *side) (ok bool, err error) {
	if tr.Previous == "" && tr.Current == "" {
		return true, nil
	}
	old, now := !tr.CreateFails, !tr.DeleteFails
	if tr.Previous != "" && !c.Created {
		if old, err = c.matches(ctx, before, tr.Previous); err != nil {
			return false, err
		}
	}
	if tr.Current != "" && !c.Deleted() {
		if now, err = c.matches(ctx, &c.now, tr.Current); err != nil {
			return false, err
		}
	}
	switch {
	case tr.Previous == "":
		return now, nil
	case tr.Current == "":
		return old, nil
	case tr.Both:
		return old && now, nil
	}
	return old || now, nil
}

// path evaluates the FHIRPath criterion with %previous and %current.
func (c *change) path(ctx context.Context, src string, before *side) (bool, error) {
	x, err := c.s.parts.Paths.Compile(src)
	if err != nil {
		return false, err
	}
	vars := map[string]fhirpath.Collection{"previous": nil, "current": nil}
	var input fhir.Node
	for name, raw := range map[string][]byte{"previous": before.raw, "current": c.now.raw} {
		if raw == nil {
			continue
		}
		tree, err := fhir.Parse(raw)
		if err != nil {
			return false, err
		}
		vars[name] = fhirpath.Collection{c.s.parts.Paths.Item(tree.Root())}
		if name == "current" || !input.Exists() {
			input = tree.Root()
		}
	}
	return x.EvalBool(&fhirpath.Context{Ctx: ctx, Now: c.LastUpdated, Variables: vars}, input)
}

// passes reports whether the change passes the subscription's own filters: of
// a deletion, its last content does.
func (c *change) passes(ctx context.Context, d *Definition) (bool, error) {
	sd := &c.now
	if c.Deleted() {
		var err error
		if sd, err = c.previous(ctx); err != nil {
			return false, err
		}
	}
	for _, f := range d.Filters {
		typ, q := splitFilter(f)
		if typ != "" && typ != c.Type {
			continue // narrows another resource of the topic
		}
		if ok, err := c.matches(ctx, sd, q); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// splitFilter splits [Type?]query.
func splitFilter(f string) (typ, q string) {
	if i := strings.IndexByte(f, '?'); i >= 0 && !strings.Contains(f[:i], "=") {
		return f[:i], f[i+1:]
	}
	return "", f
}
