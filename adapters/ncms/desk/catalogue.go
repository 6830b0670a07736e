package desk

import (
	"context"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
)

// Catalogued is a desk of a centre that has catalogues. It implements
// [ncms.Catalogues]: what is downloaded becomes a CodeSystem, what is approved a
// ConceptMap of the hall.
type Catalogued struct {
	*Desk
	centre ncms.Catalogues
}

// WithCatalogues adds the catalogues of the desk's centre.
func WithCatalogues(d *Desk, centre ncms.Catalogues) *Catalogued { return &Catalogued{d, centre} }

// Catalogue implements [ncms.Catalogues]: newer entries join those known.
func (c *Catalogued) Catalogue(ctx context.Context, q ncms.CatalogueQuery) ([]ncms.CatalogueEntry, error) {
	entries, err := c.centre.Catalogue(ctx, q)
	if err != nil || len(entries) == 0 {
		return entries, err
	}
	defer c.lock("catalogue " + string(q.Kind))()
	v, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	defer v.close()
	all := record.Catalogue{Source: c.cfg.Source, Kind: q.Kind}
	n, _, err := v.read("CodeSystem", all.ID())
	if err != nil {
		return nil, err
	}
	all.Entries = record.Merge(record.ReadCatalogue(n).Entries, entries)
	return entries, c.save(ctx, all.Resources(c.dateTime())...)
}

// Propose implements [ncms.Catalogues].
func (c *Catalogued) Propose(ctx context.Context, who ncms.Caller, kind ncms.Kind, items []ncms.Mapping) error {
	if err := c.centre.Propose(ctx, who, kind, items); err != nil {
		return err
	}
	return c.changeMap(ctx, who, kind, func(m *record.Map) {
		for _, i := range items {
			m.Set(i.Code, i.Name, i.SchemeCode, "9")
		}
	})
}

// Approval implements [ncms.Catalogues].
func (c *Catalogued) Approval(ctx context.Context, who ncms.Caller, kind ncms.Kind, code string) (ncms.Approval, error) {
	a, err := c.centre.Approval(ctx, who, kind, code)
	if err != nil {
		return a, err
	}
	for _, k := range []ncms.Kind{ncms.Drugs, ncms.Services} { // the question does not say which
		if kind != "" && kind != k {
			continue
		}
		if err := c.changeMap(ctx, who, k, func(m *record.Map) { m.Judge(code, a.State) }); err != nil {
			return a, err
		}
	}
	return a, nil
}

// changeMap rewrites a hall's ConceptMap; one without elements is not written.
func (c *Catalogued) changeMap(ctx context.Context, who ncms.Caller, kind ncms.Kind, change func(*record.Map)) error {
	defer c.lock("map " + who.Hospital + string(kind))()
	v, err := c.look(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	m := record.Map{Source: c.cfg.Source, Hospital: who.Hospital, Kind: kind}
	n, _, err := v.read("ConceptMap", m.ID())
	if err != nil {
		return err
	}
	m.Rows = record.ReadMap(n).Rows
	if change(&m); len(m.Rows) == 0 {
		return nil
	}
	return c.save(ctx, m.Resources(c.dateTime())...)
}
