package his

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// pull08 answers the herbal prescriptions, in the order they were written. The
// interface has no place for 剂数 and frequency.
func (d *Door) pull08(ctx context.Context, org, visitNo string) (string, error) {
	v, err := d.visit(ctx, org, visitNo)
	if err != nil {
		return "", err
	}
	defer v.snap.Close()
	list, err := v.herbal(ctx)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, p := range list {
		var drugs strings.Builder
		for _, it := range p.Items {
			drugs.WriteString(xml("DrugData", tag("drugCode", it.Code)+tag("drugName", it.Name)+tag("drugQuantity", it.Dose)+
				tag("drugUnit", it.Unit)+tag("note", it.Note)))
		}
		at, _ := time.Parse(time.RFC3339, p.Time)
		out.WriteString(xml("Prescription", tag("createTime", local(at, d.cfg.Zone, time.DateTime))+tag("serialNo", visitNo)+
			tag("preName", p.Formula)+tag("orgCode", org)+xml("drugDataList", drugs.String())))
	}
	return out.String(), nil
}

// herbal reads the visit's 饮片 and 颗粒 prescriptions.
func (v *visit) herbal(ctx context.Context) ([]tcm.HerbalPrescription, error) {
	requests, err := v.of(ctx, "MedicationRequest")
	if err != nil {
		return nil, err
	}
	var out []tcm.HerbalPrescription
	for _, r := range requests {
		_, med, _ := cut(r.Path("medicationReference", "reference").Str())
		if med == "" || r.Get("status").Str() == "cancelled" {
			continue
		}
		m, err := v.get("Medication", med)
		if err != nil {
			return nil, err
		}
		if p := tcm.ReadHerbalPrescription(r, m); len(p.Items) > 0 {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b tcm.HerbalPrescription) int {
		if c := strings.Compare(a.Time, b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.No, b.No)
	})
	return out, nil
}

// conditions reads the visit's diagnoses in the Encounter's order.
func (v *visit) conditions(ctx context.Context) ([]tcm.Condition, error) {
	nodes, err := v.of(ctx, "Condition")
	if err != nil {
		return nil, err
	}
	out := make([]tcm.Condition, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, tcm.ReadCondition(n))
	}
	rank := func(id string) int {
		if i := slices.Index(v.Diagnoses, id); i >= 0 {
			return i
		}
		return len(v.Diagnoses)
	}
	slices.SortStableFunc(out, func(a, b tcm.Condition) int { return rank(a.ID) - rank(b.ID) })
	return out, nil
}

// pull09 answers the diagnoses: 病|证 as one, western ones by themselves.
func (d *Door) pull09(ctx context.Context, org, visitNo string) (string, error) {
	v, err := d.visit(ctx, org, visitNo)
	if err != nil {
		return "", err
	}
	defer v.snap.Close()
	conditions, err := v.conditions(ctx)
	if err != nil {
		return "", err
	}
	syndromes := map[string]tcm.Condition{}
	for _, c := range conditions {
		if c.Kind == tcm.Syndrome && c.Disease != "" {
			syndromes[c.Disease] = c
		}
	}
	var out strings.Builder
	level := map[bool]string{}
	for _, c := range conditions {
		if c.Kind == tcm.Syndrome && c.Disease != "" {
			continue
		}
		western := c.Kind != tcm.Disease && c.Kind != tcm.Syndrome
		name, code := c.Coding.Display, c.Coding.Code
		if s, ok := syndromes[c.ID]; ok {
			name, code = name+"|"+s.Coding.Display, code+"|"+s.Coding.Code
		}
		main, cate, kind := "2", "1", "0"
		if level[western] == "" {
			main, level[western] = "1", "1"
		}
		if western {
			cate, kind = "0", "1"
		}
		out.WriteString(xml("Diagnosis", tag("level", main)+tag("cate", cate)+tag("description", "")+tag("name", name)+
			tag("code", code)+tag("group", "")+tag("type", kind)))
	}
	return xml("DiagInfo", tag("serialNo", visitNo)+xml("diagnosislist", out.String())), nil
}
