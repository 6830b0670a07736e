package his

import (
	"context"
	"strconv"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// check finds what no single value shows: codes, doubled numbers, doses.
func (r *decoding) check(doc *Document, codes UnknownCodes) {
	root := r.tree.Root()
	if codes != Keep {
		for i, d := range doc.Diagnoses {
			r.code(doc, i, "diseaseCode", mapping.Coding{Code: d.DiseaseCode, Display: d.DiseaseName}, false)
			r.code(doc, i, "syndromeCode", mapping.Coding{Code: d.SyndromeCode, Display: d.SyndromeName}, false)
			r.code(doc, i, "icd10", mapping.Coding{Code: d.ICD10, Display: d.Name}, true)
		}
	}
	seen := make(map[string]bool, len(doc.Herbal)+len(doc.WesternRx))
	i := 0
	for n := range root.Get("herbalPrescriptions").Children() {
		p, at := doc.Herbal[i], "herbalPrescriptions["+strconv.Itoa(i)+"]"
		r.number(n, at, p.No, seen)
		if p.Doses != "" && (p.Doses[0] == '-' || p.Doses == "0") {
			r.issue(n.Get("doses"), "error", "value", "bad-value", at+".doses", at+".doses（剂数）应大于 0", "")
		}
		r.herbs(n, at, p.Items)
		i++
	}
	i = 0
	for n := range root.Get("westernPrescriptions").Children() {
		p, at := doc.WesternRx[i], "westernPrescriptions["+strconv.Itoa(i)+"]"
		r.number(n, at, p.No, seen)
		for j, x := range p.Items {
			r.named(n, at, j, x.Code, x.Name)
		}
		i++
	}
}

// translate puts the national code in the place of a local one that was mapped.
func (r *decoding) translate(ctx context.Context, doc *Document, maps mapping.Codes) error {
	if maps == nil {
		return nil
	}
	for i := range doc.Diagnoses {
		d := &doc.Diagnoses[i]
		for _, x := range []struct {
			code, name *string
			western    bool
		}{{&d.DiseaseCode, &d.DiseaseName, false}, {&d.SyndromeCode, &d.SyndromeName, false}, {&d.ICD10, &d.Name, true}} {
			if _, national := tcm.CodingSystem(*x.code, x.western); *x.code == "" || national {
				continue
			}
			to, ok, err := maps.Translate(ctx, DiagnosisMap, tcm.SystemOf("diagnosis", doc.OrgCode), *x.code)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			if ok {
				*x.code = to.Code
				if *x.name == "" {
					*x.name = to.Display
				}
			}
		}
	}
	return nil
}

func (r *decoding) code(doc *Document, i int, field string, c mapping.Coding, western bool) {
	code := c.Code
	if code == "" || len(r.errors) >= maxIssues {
		return
	}
	if _, ok := tcm.CodingSystem(code, western); ok {
		return
	}
	at := "diagnoses[" + strconv.Itoa(i) + "]." + field
	hint := "应为 GB/T 15657 代码，例如 A01.01.01（2021 版）或 BNF012（1995 版）"
	if western {
		hint = "应为 ICD-10 代码，例如 J06.903"
	}
	n := r.tree.Root().Get("diagnoses").At(i).Get(field)
	r.unmapped = append(r.unmapped, mapping.Unmapped{Table: diagnosisTable, ConceptMap: DiagnosisMap,
		System: tcm.SystemOf("diagnosis", doc.OrgCode), Code: code, Display: c.Display, Place: at})
	r.issue(n, "error", "code-invalid", "unknown-code", at, at+" 的代码不属于任何国家标准", hint)
}

func (r *decoding) number(n fhir.Node, at, no string, seen map[string]bool) {
	if seen[no] {
		r.issue(n.Get("no"), "error", "duplicate", "duplicate-number", at+".no", "处方号重复："+at+".no", "一张处方一个处方号")
	}
	seen[no] = true
}

func (r *decoding) herbs(n fhir.Node, at string, herbs []Herb) {
	j := 0
	for c := range n.Get("items").Children() {
		h := herbs[j]
		if h.Dose != "" && h.Dose[0] == '-' {
			p := at + ".items[" + strconv.Itoa(j) + "].dose"
			r.issue(c.Get("dose"), "error", "value", "bad-value", p, p+"（每剂用量）不能为负", "")
		}
		r.named(n, at, j, h.Code, h.Name)
		j++
	}
}

func (r *decoding) named(n fhir.Node, at string, j int, code, name string) {
	if code == "" && name == "" && len(r.errors) < maxIssues {
		p := at + ".items[" + strconv.Itoa(j) + "]"
		r.issue(n.Get("items").At(j), "error", "required", "missing-key", p, p+" 缺少药品编码与药名", "至少给出 code 或 name")
	}
}
