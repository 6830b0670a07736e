package his

import (
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// check finds what no single value shows: codes, doubled numbers, doses.
func (r *decoding) check(doc *Document, codes UnknownCodes) {
	root := r.tree.Root()
	if codes != Keep {
		for i, d := range doc.Diagnoses {
			r.code(root, i, "diseaseCode", d.DiseaseCode, false)
			r.code(root, i, "syndromeCode", d.SyndromeCode, false)
			r.code(root, i, "icd10", d.ICD10, true)
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

func (r *decoding) code(root fhir.Node, i int, field, code string, western bool) {
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
	n := root.Get("diagnoses").At(i).Get(field)
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
