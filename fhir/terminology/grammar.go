package terminology

import (
	_ "embed"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/fhirpath/ucum"
	"golang.org/x/text/language"
)

// Systems defined by a grammar.
const (
	SystemUCUM     = "http://unitsofmeasure.org"
	SystemBCP47    = "urn:ietf:bcp:47"
	SystemMIME     = "urn:ietf:bcp:13"
	SystemCurrency = "urn:iso:std:iso:4217"
	SystemCountry  = "urn:iso:std:iso:3166"
)

// grammar is a code system whose codes cannot be listed.
type grammar interface {
	valid(code string) bool
	// display returns a text for a valid code; the code itself if it has none.
	display(code string) string
}

func grammarOf(system string) grammar {
	switch system {
	case SystemUCUM:
		return units{}
	case SystemBCP47, "urn:ietf:rfc:3066":
		return bcp47{}
	case SystemMIME, "urn:ietf:rfc:3986:mime":
		return mime{}
	}
	return nil
}

// units is UCUM, case sensitive.
type units struct{}

func (units) display(code string) string { return code }

func (units) valid(code string) bool {
	_, err := ucum.Parse(code)
	return err == nil
}

// bcp47 is RFC 5646: well-formed, with a registered primary language.
type bcp47 struct{}

func (bcp47) display(code string) string { return code }

func (bcp47) valid(code string) bool {
	if len(code) > 100 {
		return false
	}
	parts := strings.Split(code, "-")
	for _, p := range parts {
		if len(p) == 0 || len(p) > 8 || !isAlnum(p) {
			return false
		}
	}
	if first := strings.ToLower(parts[0]); first == "x" || first == "i" {
		return len(parts) > 1
	}
	if _, err := language.ParseBase(parts[0]); err != nil {
		return false
	}
	return subtags(parts[1:])
}

// subtags checks the order extlang, script, region, variants, extensions.
func subtags(parts []string) bool {
	stage := 0
	for i, p := range parts {
		at := 0
		switch n := len(p); {
		case n == 1:
			return i+1 < len(parts) // an extension or private use: the rest is free
		case n == 3 && isAlpha(p):
			at = 1
		case n == 4 && isAlpha(p):
			at = 2
		case n == 2 && isAlpha(p) || n == 3 && isDigits(p):
			at = 3
		case n >= 5 || n == 4 && isDigit(p[0]):
			at = 4
		default:
			return false
		}
		if at < stage || at == stage && (at == 2 || at == 3) {
			return false
		}
		stage = at
	}
	return true
}

// mime is a media type of RFC 2045/6838, with parameters, or one of the short
// forms that FHIR allows for its own formats
// (http://hl7.org/fhir/R4/http.html#parameters, _format).
type mime struct{}

func (mime) display(code string) string { return code }

func (mime) valid(code string) bool {
	essence, _, _ := strings.Cut(code, ";")
	switch code {
	case "xml", "json", "ttl":
		return true
	}
	typ, sub, ok := strings.Cut(strings.TrimSpace(essence), "/")
	return ok && isToken(typ) && isToken(sub)
}

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func isAlnum(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) && !isLetter(s[i]) {
			return false
		}
	}
	return true
}

func isAlpha(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isLetter(s[i]) {
			return false
		}
	}
	return true
}

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

//go:embed currencies.txt
var currencyList string

// currencies lists ISO 4217.
func currencies() *codeSystem {
	b := newConcepts()
	b.cs.url, b.cs.name, b.cs.content = SystemCurrency, "ISO4217", "complete"
	for line := range strings.Lines(currencyList) {
		if code, display, ok := strings.Cut(strings.TrimSpace(line), " "); ok && code != "#" {
			b.concept(code, display)
		}
	}
	return b.finish()
}

// countries lists ISO 3166-1 (two letters, three letters, digits) as
// golang.org/x/text/language knows it.
func countries() *codeSystem {
	b := newConcepts()
	b.cs.url, b.cs.name, b.cs.content = SystemCountry, "ISO3166", "complete"
	var long, numeric []string
	letters(2, func(code string) {
		r, err := language.ParseRegion(code)
		if err != nil || !r.IsCountry() || r.String() != code || r.ISO3() == "ZZZ" || code == "XK" {
			return
		}
		b.concept(code, "")
		long = append(long, r.ISO3())
		if m := r.M49(); m > 0 {
			numeric = append(numeric, pad3(m))
		}
	})
	for _, code := range append(long, numeric...) {
		b.concept(code, "")
	}
	return b.finish()
}

func pad3(n int) string {
	return string([]byte{byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

// letters calls fn with every word of n capital letters, in order.
func letters(n int, fn func(string)) {
	word := make([]byte, n)
	var fill func(int)
	fill = func(i int) {
		if i == n {
			fn(string(word))
			return
		}
		for c := byte('A'); c <= 'Z'; c++ {
			word[i] = c
			fill(i + 1)
		}
	}
	fill(0)
}
