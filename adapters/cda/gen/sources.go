package main

import (
	"maps"
	"slices"
	"strings"
)

// sources are the tables of facts as they lie in the folder.
type sources struct {
	Docs struct {
		Meta struct {
			Status          string
			IdentifierRoots map[string]string
		} `json:"_meta"`
		Documents   []document
		CodeSystems []struct{ OID, Name string }
	}
	Sets struct {
		Datasets map[string][]dataElement
	}
	Codes struct {
		Tables map[string]struct {
			Name, OID, Status string
			Items             []struct{ Code, Display string }
		}
	}
}

type document struct {
	Part, Code, Title, TemplateID string
	Sections                      []struct{ Loinc, Display string }
	EntryElements                 []struct{ DE, Name string }
}

func (s *sources) load(dir string) error {
	if err := read(dir, "wst500_documents.json", &s.Docs); err != nil {
		return err
	}
	if err := read(dir, "ws445_datasets.json", &s.Sets); err != nil {
		return err
	}
	return read(dir, "code_tables.json", &s.Codes)
}

// roots are the identifier roots; the remarks of the table's author stay out.
func (s *sources) roots() map[string]string {
	out := map[string]string{}
	for oid, name := range s.Docs.Meta.IdentifierRoots {
		out[oid], _, _ = strings.Cut(name, " (")
	}
	return out
}

// tables are the code systems the documents use; codes where we know them.
func (s *sources) tables() []table {
	known := map[string]table{}
	for _, t := range s.Codes.Tables {
		oid, remark, _ := strings.Cut(t.OID, " ")
		if oid == "" {
			continue
		}
		out := table{OID: oid, Name: t.Name, Status: strings.TrimSpace(t.Status + " " + remark), Codes: map[string]string{}}
		for _, it := range t.Items {
			out.Codes[it.Code] = it.Display
		}
		known[oid] = out
	}
	for _, c := range s.Docs.CodeSystems {
		if _, ok := known[c.OID]; !ok {
			known[c.OID] = table{OID: c.OID, Name: c.Name, Status: "name only"}
		}
	}
	out := []table{}
	for _, oid := range slices.Sorted(maps.Keys(known)) {
		out = append(out, known[oid])
	}
	return out
}

func (s *sources) datasets() []dataset {
	var out []dataset
	for _, name := range slices.Sorted(maps.Keys(s.Sets.Datasets)) {
		out = append(out, dataset{Name: name, Elements: s.Sets.Datasets[name]})
	}
	return out
}

// named are the titles whose data set is called otherwise.
var named = map[string]string{"病历概要": "卫生事件摘要", "门(急)诊病历": "门急诊病历", "检查报告": "检查记录", "检验报告": "检验记录", "入院评估": "入院评估记录",
	"病重(病危)护理记录": "病重（病危）患者护理记录", "24小时内入出院记录": "24h内入出院记录", "24小时内入院死亡记录": "24h内入院死亡记录",
	"手术知情告知书": "手术同意书", "病危(重)通知书": "病危（重）通知书", "其他知情同意书": "其他知情告知同意书", "出院评估与指导": "出院评估及指导"}

func (s *sources) template(d document) template {
	out := template{Code: d.Code, Title: d.Title, Template: d.TemplateID, Part: d.Part, Dataset: d.Title}
	if n := named[d.Title]; n != "" {
		out.Dataset = n
	}
	if s.Sets.Datasets[out.Dataset] == nil {
		out.Dataset = ""
	}
	for _, sec := range d.Sections {
		out.Sections = append(out.Sections, section{Code: sec.Loinc, Display: strings.TrimSpace(sec.Display),
			Title: title(sec.Loinc, strings.TrimSpace(sec.Display)), Elements: []element{}})
	}
	names := make([]string, len(d.EntryElements))
	for i, e := range d.EntryElements {
		names[i] = strings.TrimSpace(e.Name)
	}
	for i, at := range place(names, out.Sections) {
		to := &out.Sections[at]
		to.Elements = append(to.Elements, s.element(out.Dataset, d.EntryElements[i].DE, names[i]))
	}
	return out
}

// errata are numbers that the tables print wrong, with what WS 445 has for the name.
var errata = map[string]string{"DE05.01.022.00": "DE02.10.022.00", "DE056.00.124.00": "DE06.00.124.00",
	"DE056.00.193.00": "DE06.00.193.00", "DE06.0.039.00": "DE06.00.039.00", "DE06.0.319.00": "DE06.00.319.00"}

func (s *sources) element(set, de, name string) element {
	if right := errata[de]; right != "" {
		de = right
	}
	e := element{DE: de, Name: name}
	typ := ""
	if d := s.definition(set, de, name); d != nil {
		typ, e.Format = d.Type, d.Format
	}
	e.Type = cdaType(typ, e.Format, name)
	switch e.Type {
	case "CD":
		e.Table = s.tableOf(de, name)
	case "PQ":
		e.Unit = unit(name)
	}
	return e
}

// definition finds a data element: in the document's own set by number or
// internal id and the closest name, else in any set.
func (s *sources) definition(set, de, name string) *dataElement {
	for _, ds := range append([]string{set}, slices.Sorted(maps.Keys(s.Sets.Datasets))...) {
		best, score := (*dataElement)(nil), -1
		for i := range s.Sets.Datasets[ds] {
			d := &s.Sets.Datasets[ds][i]
			if d.DE != de && d.ID != de {
				continue
			}
			if n := shared(d.Name, name); n > score {
				best, score = d, n
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// shared counts the characters that two names have in common.
func shared(a, b string) int {
	n := 0
	for _, r := range a {
		if strings.ContainsRune(b, r) {
			n++
		}
	}
	return n
}

// cdaType is the data type of CDA for a data element's type (WS 363.1: S1 free
// text, S2/S3 coded, N number, L true/false, D/DT/T dates).
func cdaType(typ, format, name string) string {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
	}
	switch {
	case has("费") && !has("方式", "付费"), has("金额"):
		return "MO"
	case strings.HasSuffix(name, "标志"):
		return "BL"
	case has("编码", "代码") && !has("血袋"):
		return "CD"
	case typ == "N", unit(name) != "":
		return "PQ"
	case typ == "D", typ == "DT", strings.HasPrefix(format, "DT"):
		return "TS"
	case typ == "L":
		return "BL"
	case typ == "S2", typ == "S3":
		return "CD"
	}
	return "ST"
}

// unit is the unit a name ends with in parentheses; a remark there is none.
func unit(name string) string {
	i := strings.LastIndexByte(name, '(')
	if i < 0 || !strings.HasSuffix(name, ")") {
		return ""
	}
	u := name[i+1 : len(name)-1]
	if u == "周" || u == "摄氏度" || strings.ContainsAny(u, "%°Ccdghklmrt") {
		return u
	}
	return ""
}

// fixed are the code systems of elements whose name does not name them.
var fixed = map[string]string{"DE05.01.024.00": "2.16.156.10011.2.3.3.11", "DE05.01.021.00": "2.16.156.10011.2.3.3.11",
	"DE05.10.130.00": "2.16.156.10011.2.3.3.14", "DE06.00.093.00": "2.16.156.10011.2.3.3.12", "DE06.00.196.00": "2.16.156.10011.2.3.2.39",
	"DE08.50.032.00": "2.16.156.10011.2.3.2.40", "DE06.00.289.00": "2.16.156.10011.2.3.1.268", "DE07.00.007.00": "2.16.156.10011.2.3.1.269",
	"DE02.01.040.00": "2.16.156.10011.2.3.3.4", "DE09.00.104.00": "2.16.156.10011.2.3.1.253", "DE06.00.073.00": "2.16.156.10011.2.3.1.159",
	"DE06.00.223.00": "2.16.156.10011.2.3.1.265", "DE05.10.147.00": "2.16.156.10011.2.3.1.257", "DE06.00.255.00": "2.16.156.10011.2.3.1.258",
	"DE04.50.010.00": "2.16.156.10011.2.3.1.250", "DE04.50.001.00": "2.16.156.10011.2.3.1.85"}

func (s *sources) tableOf(de, name string) string {
	if oid := fixed[de]; oid != "" {
		return oid
	}
	bare := strings.TrimSuffix(strings.TrimSuffix(name, "表"), "代码")
	for _, c := range s.Docs.CodeSystems {
		if own := strings.TrimSuffix(strings.TrimSuffix(c.Name, "表"), "代码"); len(bare) > 3 && own != "" && strings.HasSuffix(bare, own) {
			return c.OID
		}
	}
	return ""
}
