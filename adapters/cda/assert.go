package cda

import (
	"strings"

	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// assertions names every test that a rule may use.
func assertions() map[string]assertion {
	return map[string]assertion{
		"exists": assertExists, "equals": assertEquals, "either": assertEither, "timestamp": assertTimestamp, "table": assertTable,
		"roots": assertRoots, "template": assertTemplate, "sections": assertSections, "foreign-sections": assertForeign,
		"elements": eachEntry(assertElement), "element-system": eachEntry(assertElementSystem), "types": eachEntry(assertType),
		"tables": eachEntry(assertInTable), "formats": eachEntry(assertFormat), "editions": eachEntry(assertEdition),
		"empty": eachEntry(assertValued), "code-systems": eachEntry(assertCodeSystem), "needs": assertNeeds,
	}
}

// look reads the value a short path leads to: a/b/@c, @c or "." for the text.
func look(e *xmlread.Element, path string) string {
	for step := range strings.SplitSeq(path, "/") {
		switch {
		case step == ".":
			if e != nil && e.Value() == "" {
				return personName(e)
			}
		case step[0] == '@':
			return strings.TrimSpace(e.Attr(step[1:]))
		default:
			e = e.Child(step)
		}
	}
	return e.Value()
}

func assertExists(k *checking, r *compiled, at *xmlread.Element) {
	if look(at, r.args[0]) == "" && at.Attr("nullFlavor") == "" {
		k.find(r, at, "", "")
	}
}

// assertEquals compares an attribute that is there.
func assertEquals(k *checking, r *compiled, at *xmlread.Element) {
	if v := look(at, r.args[0]); !strings.EqualFold(v, r.args[1]) {
		k.find(r, at, "（是 "+clip(v)+"）", " (is "+clip(v)+")")
	}
}

func assertEither(k *checking, r *compiled, at *xmlread.Element) {
	for _, path := range r.args {
		if look(at, path) != "" {
			return
		}
	}
	k.find(r, at, "", "")
}

// assertTimestamp looks at a timestamp if there is one: absence is another
// rule's matter, but the document's own time must be there.
func assertTimestamp(k *checking, r *compiled, at *xmlread.Element) {
	v := look(at, r.args[0])
	if v == "" && (r.Place != "effectiveTime" || at.Attr("nullFlavor") != "") || v != "" && Timestamp(v) {
		return
	}
	k.find(r, at, "", "")
}

// Timestamp reports whether s is an HL7 timestamp: YYYY[MM[DD[HH[MM[SS]]]]] with
// an optional fraction and zone.
func Timestamp(s string) bool {
	if i := strings.IndexAny(s, "+-"); i > 0 {
		if zone := s[i+1:]; len(zone) != 4 || !allDigits(zone) {
			return false
		}
		s = s[:i]
	}
	s, _, _ = strings.Cut(s, ".")
	if len(s) < 4 || len(s) > 14 || len(s)%2 != 0 {
		return false
	}
	if !allDigits(s) {
		return false
	}
	low, high := []string{"01", "01", "00", "00", "00"}, []string{"12", "31", "24", "59", "60"}
	for i := 4; i+2 <= len(s); i += 2 {
		if p := s[i : i+2]; p < low[(i-4)/2] || p > high[(i-4)/2] {
			return false
		}
	}
	return true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func assertTable(k *checking, r *compiled, at *xmlread.Element) {
	code, table := look(at, r.args[0]), k.catalogue.Table(r.args[1])
	if at.Attr("nullFlavor") != "" {
		return
	}
	if table == nil || table.Codes[code] == "" || at.Attr("codeSystem") != r.args[1] {
		k.find(r, at, "（是 "+clip(code)+"）", " (is "+clip(code)+")")
	}
}

// assertRoots looks at identifiers: a root of WS/T 500, or a UUID of the sender.
func assertRoots(k *checking, r *compiled, at *xmlread.Element) {
	if at == nil {
		return
	}
	check := func(e *xmlread.Element) {
		root := e.Attr("root")
		if root == "" || k.catalogue.Roots[root] != "" || strings.Count(root, "-") == 4 {
			return
		}
		k.find(r, e, "："+clip(root), ": "+clip(root))
	}
	if r.args[0] == "." {
		check(at)
		return
	}
	for e := range at.All(r.args[0]) {
		check(e)
	}
}

func assertTemplate(k *checking, r *compiled, at *xmlread.Element) {
	if k.template != nil {
		return
	}
	byID, byCode := k.catalogue.TemplateOf(k.doc.TemplateID), k.catalogue.Template(k.doc.Template)
	detail := "：templateId " + clip(k.doc.TemplateID) + "，code " + clip(k.doc.Template)
	switch {
	case byID != nil && byCode != nil:
		detail += "（模板号属于 " + byID.Code + " " + byID.Title + "）"
	case byCode != nil:
		detail += "（" + byCode.Code + " 应为 " + byCode.OID + "）"
	case byID != nil:
		detail += "（模板号属于 " + byID.Code + "）"
	}
	k.find(r, at.Child("templateId"), detail, "")
}

func assertSections(k *checking, r *compiled, at *xmlread.Element) {
	if k.template == nil {
		return
	}
	had := make([]int, len(k.template.Sections))
	for i := range k.doc.Sections {
		if n := k.template.Section(k.doc.Sections[i].Code.Code, sectionTitle(&k.doc.Sections[i])); n >= 0 {
			had[n]++
		}
	}
	for i := range k.template.Sections {
		s := &k.template.Sections[i]
		if first := k.template.Section(s.Code, s.Display); had[first] == 0 {
			k.find(r, at.Find("component", "structuredBody"), "："+s.Title+"（"+first2(s.Code, s.Display)+"）", ": "+first2(s.Code, s.Display))
		}
	}
}

func first2(a, b string) string { return strings.TrimSpace(first(a, "") + " " + b) }

func sectionTitle(s *Section) string { return first(s.Code.Display, s.Title) }

func assertForeign(k *checking, r *compiled, _ *xmlread.Element) {
	if k.template == nil {
		return
	}
	for i := range k.doc.Sections {
		s := &k.doc.Sections[i]
		if k.template.Section(s.Code.Code, sectionTitle(s)) < 0 {
			k.find(r, s.el, "："+clip(first2(s.Code.Code, sectionTitle(s))), ": "+clip(s.Code.Code))
		}
	}
}

// assertNeeds wants one of several data elements (or a drug) with a value.
func assertNeeds(k *checking, r *compiled, at *xmlread.Element) {
	found := false
	k.entries(func(e *Entry) {
		for want := range strings.SplitSeq(r.args[0], "|") {
			if want == "@drug" && e.Kind == Drug || want == e.Code.Code && !e.Value.Empty() {
				found = true
			}
		}
	})
	if !found {
		k.find(r, at, "", "")
	}
}
