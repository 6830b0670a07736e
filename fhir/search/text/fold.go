// Package text makes words comparable for search: folding of case, accents and
// width, the pinyin of Chinese names, and the words of running text with
// Chinese cut into pairs of characters.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold returns s in the form in which strings are compared: lower case, no
// accents, one width, compatible forms made equal, runs of white space one
// space and none at the ends (https://hl7.org/fhir/R4/search.html#string).
func Fold(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			return fold(s)
		}
		if c >= 'A' && c <= 'Z' || c < ' ' || c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ') {
			plain = false
		}
	}
	if plain {
		return s
	}
	return strings.ToLower(squeeze(s))
}

func fold(s string) string {
	if hanOnly(s) {
		return s
	}
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToValidUTF8(s, "\uFFFD")) {
		switch {
		case r >= 0x300 && r <= 0x36f: // accents
		case r == 'ß' || r == 'ẞ':
			b.WriteString("ss")
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return squeeze(norm.NFC.String(b.String()))
}

// hanOnly reports whether every rune is a common Chinese character, which no
// folding changes.
func hanOnly(s string) bool {
	for _, r := range s {
		if r < 0x4e00 || r > 0x9fff {
			return false
		}
	}
	return true
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// Cut shortens s to at most n bytes at a character's boundary.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// HasHan reports whether s has a Chinese character.
func HasHan(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0xe3 { // every Han character is encoded in three or four bytes from E3 on
			for _, r := range s[i:] {
				if isHan(r) {
					return true
				}
			}
			return false
		}
	}
	return false
}

func isHan(r rune) bool { return r >= 0x3400 && unicode.Is(unicode.Han, r) }
