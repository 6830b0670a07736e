package search

import (
	"slices"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
)

// compartment builds the condition that a resource is in a compartment: one of
// the parameters its definition names leads to the compartment's resource
// (https://hl7.org/fhir/R4/compartmentdefinition.html).
func (b *builder) compartment(t *param.Table, c *Compartment) (*node, error) {
	def := b.e.cat.Model.Compartment(c.Type)
	if def == nil {
		return nil, invalid("no-compartment", c.Type+" 没有区室", "there is no "+c.Type+" compartment",
			"Patient, Encounter, Practitioner, RelatedPerson, Device; "+t.Name+"?…="+c.Type+"/"+c.ID)
	}
	var kids []*node
	for _, code := range def.Resources[t.Name] {
		if p := t.ByCode[code]; p != nil {
			kids = append(kids, &node{op: opLeaf, typ: t, leaf: &leaf{param: p, spans: []span{b.to(p, c.Type, c.ID)}}})
		}
	}
	if t.Name == c.Type || slices.Contains(def.Resources[t.Name], "{def}") {
		set := &idSet{}
		set.add(key.AppendID(nil, c.ID))
		kids = append(kids, &node{op: opIDs, typ: t, ids: set.close()})
	}
	if len(kids) == 0 {
		return nil, invalid("not-in-compartment", t.Name+" 不属于 "+c.Type+" 区室", t.Name+" is not part of the "+c.Type+" compartment", "")
	}
	n := or(t, kids)
	n.label = c.Type + "/" + c.ID + " compartment"
	return n, nil
}
