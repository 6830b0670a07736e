package centre

import (
	"context"

	"github.com/qihuang-health/qihuang/adapters/ncms"
)

// catalogueVersion is the only version there is.
const catalogueVersion = "20260101"

// catalogues are a few entries of each kind, those of the sample messages; the
// centre is a stage prop, not a price list.
var catalogues = map[ncms.Kind][]ncms.CatalogueEntry{
	ncms.Drugs: {{Code: "N5045", Name: "桂枝", Unit: "g"}, {Code: "N5084", Name: "白芍", Unit: "g"}, {Code: "N5060", Name: "炙甘草", Unit: "g"},
		{Code: "N5075", Name: "生姜", Unit: "g"}, {Code: "N5012", Name: "大枣", Unit: "g"}},
	ncms.Services:  {{Code: "N110200001", Name: "普通门诊中医辨证论治", Unit: "次"}},
	ncms.Diseases:  {{Code: "1", Name: "急性上呼吸道感染", ICD10: "J06.900"}},
	ncms.DrgGroups: {},
}

// Catalogue implements [ncms.Catalogues].
func (c *Centre) Catalogue(_ context.Context, q ncms.CatalogueQuery) ([]ncms.CatalogueEntry, error) {
	if q.Version >= catalogueVersion {
		return []ncms.CatalogueEntry{}, nil
	}
	out := []ncms.CatalogueEntry{}
	for _, e := range catalogues[q.Kind] {
		e.Version = catalogueVersion
		out = append(out, e)
	}
	return out, nil
}

func mappingKey(who ncms.Caller, code string) string { return who.Hospital + "|" + code }

// Propose implements [ncms.Catalogues]: what names an entry of the catalogue is
// approved at once, other things are not.
func (c *Centre) Propose(_ context.Context, who ncms.Caller, kind ncms.Kind, items []ncms.Mapping) error {
	known := map[string]bool{}
	for _, e := range catalogues[kind] {
		known[e.Code] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range items {
		a := ncms.Approval{State: "2", Own: "1", OwnOut: "1"}
		if known[m.SchemeCode] {
			a = ncms.Approval{State: "1", Own: "0", OwnOut: "0"}
		}
		c.mappings[mappingKey(who, m.Code)] = a
	}
	return nil
}

// Approval implements [ncms.Catalogues].
func (c *Centre) Approval(_ context.Context, who ncms.Caller, _ ncms.Kind, code string) (ncms.Approval, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.mappings[mappingKey(who, code)]; ok {
		return a, nil
	}
	return ncms.Approval{State: "0", Own: "1", OwnOut: "1"}, nil
}
