package record

import (
	"slices"
	"strings"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// Catalogue is one of a centre's lists of what it pays for, as a CodeSystem.
type Catalogue struct {
	Source  string
	Kind    ncms.Kind
	Entries []ncms.CatalogueEntry
}

var catalogueNames = map[ncms.Kind]string{ncms.Drugs: "农合药品目录", ncms.Services: "农合诊疗目录", ncms.Diseases: "农合疾病目录", ncms.DrgGroups: "农合单病种目录"}

// ID is the CodeSystem's resource id.
func (c Catalogue) ID() string { return tcm.ID("cs", "ncms", c.Source, string(c.Kind)) }

// URL is the CodeSystem's canonical: the one Claim items are coded with, for
// drugs and services.
func (c Catalogue) URL() string {
	if c.Kind == ncms.Drugs || c.Kind == ncms.Services {
		return sidCatalogue + c.Source
	}
	return sidCatalogue + c.Source + "/" + string(c.Kind)
}

// Merge adds newer entries to those known, by code.
func Merge(known, newer []ncms.CatalogueEntry) []ncms.CatalogueEntry {
	byCode := map[string]int{}
	out := slices.Clone(known)
	for i, e := range out {
		byCode[e.Code] = i
	}
	for _, e := range newer {
		if i, ok := byCode[e.Code]; ok {
			out[i] = e
			continue
		}
		byCode[e.Code] = len(out)
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b ncms.CatalogueEntry) int { return strings.Compare(a.Code, b.Code) })
	return out
}

// facts are the members of an entry kept in the concept's definition.
func facts(e *ncms.CatalogueEntry) []struct {
	name  string
	value *string
} {
	return []struct {
		name  string
		value *string
	}{{"单位", &e.Unit}, {"规格", &e.Spec}, {"剂型", &e.Form}, {"ICD10", &e.ICD10}, {"自费比例", &e.Own}, {"门诊自费比例", &e.OwnOut}, {"单价限额", &e.Ceiling}, {"版本", &e.Version}}
}

// Resources builds the CodeSystem; at is a FHIR dateTime.
func (c Catalogue) Resources(at string) []tcm.Resource {
	cid, name := c.ID(), catalogueNames[c.Kind]
	out := r4.CodeSystem{Id: &cid, Url: ptr(c.URL()), Name: ptr("NcmsCatalogue" + string(c.Kind)), Title: ptr(name + "（" + c.Source + "）"), Status: r4.PublicationStatusActive,
		Date: &at, Content: r4.CodeSystemContentModeComplete, Count: ptr(len(c.Entries)), CaseSensitive: ptr(true)}
	newest := ""
	for _, e := range c.Entries {
		newest = max(newest, e.Version)
		var parts []string
		for _, f := range facts(&e) {
			if *f.value != "" {
				parts = append(parts, f.name+"="+*f.value)
			}
		}
		out.Concept = append(out.Concept, r4.CodeSystemConcept{Code: e.Code, Display: str(e.Name), Definition: str(strings.Join(parts, "；"))})
	}
	out.Version = str(newest)
	return []tcm.Resource{{Type: "CodeSystem", ID: cid, Model: out}}
}

// ReadCatalogue reads one back.
func ReadCatalogue(n fhir.Node) Catalogue {
	var c Catalogue
	for x := range n.Get("concept").Each() {
		e := ncms.CatalogueEntry{Code: x.Get("code").Str(), Name: x.Get("display").Str()}
		for part := range strings.SplitSeq(x.Get("definition").Str(), "；") {
			key, value, _ := strings.Cut(part, "=")
			for _, f := range facts(&e) {
				if f.name == key {
					*f.value = value
				}
			}
		}
		c.Entries = append(c.Entries, e)
	}
	return c
}

// Map is a hall's codes as the centre approved them, as a ConceptMap.
type Map struct {
	Source, Hospital string
	Kind             ncms.Kind
	Rows             []MapRow
}

// MapRow is one code. State is NHBM_SH: 0 未对照, 1 审核通过, 2 不通过, 9 已对照.
type MapRow struct{ Code, Name, Target, State string }

// ID is the ConceptMap's resource id.
func (m Map) ID() string { return tcm.ID("cm", "ncms", m.Source, m.Hospital, string(m.Kind)) }

// Set puts a row in place.
func (m *Map) Set(code, name, target, state string) {
	for i := range m.Rows {
		if m.Rows[i].Code == code {
			m.Rows[i] = MapRow{code, name, target, state}
			return
		}
	}
	m.Rows = append(m.Rows, MapRow{code, name, target, state})
}

// Judge changes the state of a row that is there.
func (m *Map) Judge(code, state string) {
	for i := range m.Rows {
		if m.Rows[i].Code == code {
			m.Rows[i].State = state
		}
	}
}

var stateWords = map[string]string{"0": "未对照", "1": "审核通过", "2": "不通过", "9": "已对照"}

// Resources builds the ConceptMap. Only what is approved is equivalent.
func (m Map) Resources(at string) []tcm.Resource {
	mid := m.ID()
	group := r4.ConceptMapGroup{Source: ptr(tcm.SystemOf("drug", m.Hospital)), Target: ptr(Catalogue{Source: m.Source, Kind: m.Kind}.URL())}
	for _, r := range m.Rows {
		t := r4.ConceptMapGroupElementTarget{Code: str(r.Target), Equivalence: r4.ConceptMapEquivalenceInexact, Comment: str(stateWords[r.State])}
		switch r.State {
		case "1":
			t.Equivalence = r4.ConceptMapEquivalenceEquivalent
		case "2":
			t.Equivalence = r4.ConceptMapEquivalenceDisjoint
		}
		group.Element = append(group.Element, r4.ConceptMapGroupElement{Code: &r.Code, Display: str(r.Name), Target: []r4.ConceptMapGroupElementTarget{t}})
	}
	out := r4.ConceptMap{Id: &mid, Url: ptr(tcm.Base + "/ConceptMap/" + mid), Name: ptr("NcmsMapping" + string(m.Kind)), Title: ptr(m.Hospital + " " + catalogueNames[m.Kind] + "对照"),
		Status: r4.PublicationStatusActive, Date: &at, Group: []r4.ConceptMapGroup{group}}
	return []tcm.Resource{{Type: "ConceptMap", ID: mid, Model: out}}
}

// ReadMap reads one back.
func ReadMap(n fhir.Node) Map {
	var m Map
	for e := range n.Path("group", "element").Each() {
		t := e.Get("target").At(0)
		row := MapRow{Code: e.Get("code").Str(), Name: e.Get("display").Str(), Target: t.Get("code").Str()}
		for code, words := range stateWords {
			if words == t.Get("comment").Str() {
				row.State = code
			}
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}
