package cda

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// entries visits every entry of the document, parts included.
func (k *checking) entries(visit func(e *Entry)) {
	var down func(list []Entry)
	down = func(list []Entry) {
		for i := range list {
			visit(&list[i])
			down(list[i].Parts)
		}
	}
	for i := range k.doc.Sections {
		down(k.doc.Sections[i].Entries)
	}
}

// eachEntry makes a test of the document from one of its coded entries.
func eachEntry(test func(k *checking, r *compiled, e *Entry)) assertion {
	return func(k *checking, r *compiled, _ *xmlread.Element) {
		if k.template == nil {
			return
		}
		k.entries(func(e *Entry) {
			if e.Code.Code != "" {
				test(k, r, e)
			}
		})
	}
}

// element finds what the template says of an entry's data element.
func (k *checking) element(e *Entry) *ElementTemplate {
	_, el := k.template.Element(e.Code.Code, e.Name())
	return el
}

func (k *checking) about(r *compiled, e *Entry, zh string) {
	k.find(r, e.el, "："+clip(e.Code.Code)+" "+clip(e.Name())+zh, ": "+clip(e.Code.Code))
}

func assertElement(k *checking, r *compiled, e *Entry) {
	if dataElement(e.Code.Code) && k.element(e) == nil {
		k.about(r, e, "")
	}
}

// dataElement reports whether a code has the shape of a data element's number.
func dataElement(code string) bool {
	return strings.HasPrefix(code, "DE0") || strings.HasPrefix(code, "HDSD")
}

func assertElementSystem(k *checking, r *compiled, e *Entry) {
	if !dataElement(e.Code.Code) {
		return
	}
	switch e.Code.System {
	case SystemElements, SystemFrontPage, "2.16.156.10011.2.2.2":
	default:
		k.about(r, e, "（是 "+clip(e.Code.System)+"）")
	}
}

// kindOf groups the value types that stand for each other.
func kindOf(typ string) string {
	switch typ {
	case "INT", "REAL", "PQ", "MO":
		return "number"
	}
	return typ
}

func assertType(k *checking, r *compiled, e *Entry) {
	el := k.element(e)
	if el == nil || e.Value.Type == "" || e.Value.Type == "ST" && el.Type != "CD" && el.Type != "BL" {
		return // text may stand for what has no better form
	}
	if kindOf(e.Value.Type) != kindOf(el.Type) && !(el.Type == "ST" && e.Value.Type == "CD") && !(el.Type == "ST" && kindOf(e.Value.Type) == "number") {
		k.about(r, e, "（应为 "+el.Type+"，是 "+e.Value.Type+"）")
	}
}

func assertValued(k *checking, r *compiled, e *Entry) {
	if e.Kind != Observation || !dataElement(e.Code.Code) || !e.Value.Empty() {
		return
	}
	for i := range e.Parts {
		if !e.Parts[i].Value.Empty() {
			return
		}
	}
	k.about(r, e, "")
}

func assertInTable(k *checking, r *compiled, e *Entry) {
	c := e.Value.Code
	if e.Value.Type != "CD" || c.Code == "" {
		return
	}
	if t := k.catalogue.Table(c.System); t != nil && t.Codes != nil && t.Codes[c.Code] == "" {
		k.about(r, e, "（"+clip(c.Code)+" 不在 "+t.Name+"）")
	}
}

func assertCodeSystem(k *checking, r *compiled, e *Entry) {
	el, c := k.element(e), e.Value.Code
	if el == nil || el.Table == "" || e.Value.Type != "CD" || c.Code == "" {
		return
	}
	// ICD-10 stands under several OIDs of one arc.
	if c.System == el.Table || strings.HasPrefix(c.System, el.Table+".") || strings.HasPrefix(el.Table, c.System+".") && c.System != "" {
		return
	}
	if el.Table == SystemTCM && c.System == SystemICD10 || c.System == "2.16.156.10011.2.3.1.100" {
		return
	}
	k.about(r, e, "（应为 "+el.Table+"，是 "+clip(c.System)+"）")
}

// assertEdition tells which edition of GB/T 15657 a TCM code is of: the standard
// binds the 1995 one (AN..9), live systems send both.
func assertEdition(k *checking, r *compiled, e *Entry) {
	c := e.Value.Code
	if c.System != SystemTCM || c.Code == "" {
		return
	}
	edition := Edition(c.Code)
	switch {
	case edition == "":
		k.about(r, e, "（"+clip(c.Code)+" 不是 GB/T 15657 的代码形式）")
	case c.Version != "" && c.Version != edition:
		k.about(r, e, "（"+clip(c.Code)+" 是 "+edition+" 版，文档标为 "+clip(c.Version)+"）")
	case edition == "2021" && c.Version == "":
		k.about(r, e, "（"+clip(c.Code)+" 是 2021 版；WS/T 500 绑定 1995 版，应注明 codeSystemVersion=2021）")
	}
}

// Edition tells the edition of GB/T 15657 by a code's shape: A01.01.01 is of 2021,
// BNF012 and ZBRDC00 of 1995; "" for anything else.
func Edition(code string) string {
	if len(code) >= 3 && (code[0] == 'A' || code[0] == 'B') && code[1] >= '0' && code[1] <= '9' {
		for i := 1; i < len(code); i++ {
			if c := code[i]; c != '.' && (c < '0' || c > '9') {
				return ""
			}
		}
		return "2021"
	}
	if len(code) < 5 || len(code) > 9 || code[0] != 'B' && code[0] != 'Z' {
		return ""
	}
	for i := range len(code) {
		if c := code[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return ""
		}
	}
	return "1995"
}

func assertFormat(k *checking, r *compiled, e *Entry) {
	el := k.element(e)
	if el == nil || el.Format == "" {
		return
	}
	v := e.Value.Text
	if e.Value.Type == "CD" {
		if v = e.Value.Code.Code; e.Value.Code.System == SystemTCM {
			return // longer 2021 codes are the edition's matter
		}
	}
	if v != "" && !Fits(el.Format, v) {
		k.about(r, e, "（"+el.Format+"）")
	}
}

// Fits reports whether a value fits a format of WS 363.1: A, N or AN, then a fixed
// length (AN10), a greatest (AN..50), or digits with decimals (N..8,2). Formats of
// other forms fit everything.
func Fits(format, value string) bool {
	rest := strings.TrimLeft(format, "AN")
	kind := format[:len(format)-len(rest)]
	length, decimals, hasDecimals := strings.Cut(rest, ",")
	if i := strings.LastIndex(length, ".."); i >= 0 {
		length = length[i+2:]
	}
	most, err := strconv.Atoi(length)
	if kind == "" || err != nil {
		return true
	}
	if kind != "N" {
		return utf8.RuneCountInString(value) <= most
	}
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(value, "-"), ".")
	if d, err := strconv.Atoi(decimals); hasDecimals && err == nil {
		return len(whole)+len(fraction) <= most+1 && len(strings.TrimRight(fraction, "0")) <= d
	}
	return len(whole) <= most
}
