package search

import (
	"bytes"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/path"
	"github.com/qihuang-health/qihuang/fhir/search/query"
)

// hierarchy adds the references to a resource and to all below or above it, where
// its type has a parent of its own type: organizations, locations, encounters
// (https://hl7.org/fhir/R4/search.html#reference, :above and :below).
func (b *builder) hierarchy(l *leaf, modifier, typ, id string) error {
	ids := []string{id}
	t := b.e.cat.Types[typ]
	parent := parentOf(b.e.cat, t)
	seen := map[string]bool{id: true}
	for i := 0; i < len(ids) && parent != nil; i++ {
		next, err := b.children(parent, t, ids[i])
		if modifier == "above" {
			next, err = b.parents(parent, t, ids[i])
		}
		if err != nil {
			return err
		}
		for _, id := range next {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
		if len(ids) > query.MaxValues {
			return costly("层级中的资源过多", "the hierarchy has too many resources", "请从更低的一级检索 (search from a lower level)")
		}
	}
	for _, id := range ids {
		l.spans = append(l.spans, b.to(l.param, typ, id))
	}
	return nil
}

// parentOf is the parameter that leads from a type to its own kind, nil if none does.
func parentOf(c *param.Catalog, t *param.Table) *param.Param {
	for _, code := range []string{"partof", "part-of"} {
		if p := t.ByCode[code]; p != nil && p.Kind == param.Reference && slices.Contains(c.Targets(p), t.Name) {
			return p
		}
	}
	return nil
}

// children lists who names a resource as the parent.
func (b *builder) children(parent *param.Param, t *param.Table, id string) (ids []string, err error) {
	s := exactly(param.AppendTarget(parent.Prefix(key.Ref), t.Name, id))
	it := b.ix.Iter(s.lower, s.upper)
	for it.Next() && len(ids) <= query.MaxValues {
		if id, ok := s.id(it.Key()); ok {
			ids = append(ids, key.ID(id))
		}
	}
	return ids, it.Close()
}

// parents lists whom a resource names as its parent.
func (b *builder) parents(parent *param.Param, t *param.Table, id string) (ids []string, err error) {
	raw, ok, err := b.ix.Resource(t.Name, id)
	if err != nil || !ok {
		return nil, err
	}
	tree, err := fhir.Parse(raw)
	if err != nil {
		return nil, err
	}
	x := b.e.cat.Reader()
	defer b.e.cat.Release(x)
	x.Reset(b.e.cat, id, tree.Root())
	prefix := param.AppendTarget(parent.Prefix(key.Ref), t.Name, "")
	err = x.Each(parent, func(k []byte) bool {
		if bytes.HasPrefix(k, prefix[:len(prefix)-1]) {
			id, _, _ := key.CutText(k[len(prefix)-1:])
			ids = append(ids, strings.Clone(string(id)))
		}
		return true
	})
	return ids, err
}

// resource returns the resource of ours that a value of a reference parameter
// names, also by its id alone where it can be of one type only.
func (b *builder) resource(p *param.Param, s string) (typ, id string) {
	if typ, id = b.target(s); typ != "" || strings.ContainsAny(s, ":/|") {
		return typ, id
	}
	if types := b.e.cat.Targets(p); len(types) == 1 {
		typ, id = path.Split(types[0] + "/" + s)
	}
	return typ, id
}
