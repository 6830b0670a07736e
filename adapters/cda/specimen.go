package cda

import (
	"slices"
	"strings"
)

// Specimen is a document with a value for every data element of a template: for
// tests and the conformance report, marked as such. Its facts are fictitious.
func Specimen(c *Catalogue, t *Template) *Document {
	org := Organization{ID: ID{Root: RootOrg, Extension: "370000000001"}, Name: "示例镇卫生院"}
	d := &Document{Template: t.Code, TemplateID: t.OID, ID: ID{Root: RootDocument, Extension: "SPECIMEN-" + t.Code}, Title: t.Title, Time: "20261012083600",
		SetID: ID{Root: RootDocument, Extension: "SPECIMEN-" + t.Code}, Version: "1", Custodian: org,
		Authors: []Author{{Time: "20261012083500", ID: ID{Root: RootAuthor, Extension: "0101"}, Name: "王示例"}},
		Signers: []Signer{{Legal: true, Time: "20261012083600", ID: ID{Root: RootStaff, Extension: "0101"}, Role: "接诊医师", Name: "王示例"},
			{ID: ID{Root: RootStaff, Extension: "0201"}, Role: "审核者", Name: "李示例"}},
		Patient: Patient{IDs: []ID{{Root: visitRoot(t), Extension: "S0001"}}, Numbers: []ID{{Root: RootNationalID, Extension: "379901195603120010"}}, Name: "张三",
			Gender:    Code{Code: "1", System: SystemGender, SystemName: "生理性别代码表(GB/T 2261.1)", Display: "男性"},
			BirthTime: "19560312", Age: "70", AgeUnit: "岁", Department: Organization{Name: "中医科"}, Organization: org}}
	if visitRoot(t) == RootInpatient {
		d.Stay = Stay{Start: "20261001080000", Places: []Organization{{ID: ID{Root: "2.16.156.10011.1.22", Extension: "3"}, Name: "3床"},
			{ID: ID{Root: "2.16.156.10011.1.27"}, Name: "中医病区"}}}
	}
	if t.Code == "C0004" || t.Code == "C0005" {
		d.Patient.IDs = append(d.Patient.IDs, ID{Root: RootRx, Extension: "C000001"})
	}
	for i := range t.Sections {
		s := &t.Sections[i]
		out := Section{Code: Code{Code: s.Code, Display: s.Display, System: SystemLOINC, SystemName: "LOINC"}, Title: s.Title}
		switch {
		case s.Code == "":
			out.Code.System, out.Code.SystemName = "", ""
		case strings.HasPrefix(s.Code, "DE"):
			out.Code.System, out.Code.SystemName = SystemElements, "卫生信息数据元目录"
		}
		if s.Code == "10160-0" && (t.Code == "C0004" || t.Code == "C0005") {
			out.Entries = append(out.Entries, Entry{Kind: Drug, Medicine: &Medicine{Name: "桂枝", Dose: Value{Type: "PQ", Text: "9", Unit: "g"}}})
		}
		for j := range s.Elements {
			out.Entries = append(out.Entries, specimenEntry(c, t, &s.Elements[j]))
		}
		d.Sections = append(d.Sections, out)
	}
	return d
}

// visitRoot is the identifier of visits in documents of a kind: the first eight
// and the consents belong to outpatients too, the rest to wards.
func visitRoot(t *Template) string {
	if t.Code <= "C0008" {
		return RootOutpatient
	}
	return RootInpatient
}

func specimenEntry(c *Catalogue, t *Template, el *ElementTemplate) Entry {
	e := Entry{Kind: Observation, Code: Code{Code: el.DE, System: SystemElements, SystemName: "卫生信息数据元目录", Display: el.Name}}
	if strings.HasPrefix(el.DE, "HDSD") {
		e.Code.System, e.Code.SystemName = SystemFrontPage, "住院病案首页基本数据集"
	}
	if t.Twice(el.DE) {
		e.Qualifier = el.Name
	}
	e.Value = Value{Type: el.Type, Text: "1"}
	switch el.Type {
	case "ST":
		e.Value.Text = specimenText(el)
	case "CD":
		e.Value = Value{Type: "CD", Code: specimenCode(c, el)}
	case "BL":
		e.Value.Text = "true"
	case "TS":
		e.Value.Text = "20261012083500"
	case "MO":
		e.Value.Text, e.Value.Unit = "21.26", "元"
	case "PQ":
		e.Value.Unit = el.Unit
	}
	return e
}

func specimenText(el *ElementTemplate) string {
	if Fits(el.Format, "试填"+el.Name) {
		return "试填" + el.Name
	}
	return "1"
}

// specimenCode takes the first code of a known table; where the table is not known
// the value is words, for a code is never invented.
func specimenCode(c *Catalogue, el *ElementTemplate) Code {
	switch {
	case el.Table == SystemTCM && strings.Contains(el.Name, "证"):
		return Code{Code: "ZBRDC00", System: SystemTCM, SystemName: "GB/T 15657-1995 中医病证分类与代码", Version: "1995", Display: "热毒上攻证"}
	case el.Table == SystemTCM:
		return Code{Code: "BNF012", System: SystemTCM, SystemName: "GB/T 15657-1995 中医病证分类与代码", Version: "1995", Display: "内伤咳嗽病"}
	case el.Table == SystemICD10:
		return Code{Code: "J00.x00", System: SystemICD10, SystemName: "ICD-10", Display: "急性上呼吸道感染"}
	}
	t := c.Table(el.Table)
	if t == nil || t.Codes == nil {
		return Code{NullFlavor: "OTH", Original: "试填" + el.Name}
	}
	codes := make([]string, 0, len(t.Codes))
	for code := range t.Codes {
		codes = append(codes, code)
	}
	first := slices.Min(codes)
	return Code{Code: first, System: t.OID, SystemName: t.Name, Display: t.Codes[first]}
}
