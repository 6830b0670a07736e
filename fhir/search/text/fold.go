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
	upper := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			if out, ok := foldHan(s); ok {
				return squeeze(out)
			}
			return squeeze(foldByTables(s))
		}
		upper = upper || c >= 'A' && c <= 'Z'
	}
	if upper {
		s = strings.ToLower(s)
	}
	return squeeze(s)
}

// foldByTables folds any text.
func foldByTables(s string) string {
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
	return norm.NFC.String(b.String())
}

// foldHan folds what most texts here are made of: common Chinese characters,
// their punctuation, and ASCII in half or full width. ok is false if there is
// anything else.
func foldHan(s string) (out string, ok bool) {
	same := true
	for _, r := range s {
		switch {
		case r >= 0x4e00 && r <= 0x9fff, r == '、', r == '。', r >= '《' && r <= '】': // stay
		case r < utf8.RuneSelf:
			same = same && (r < 'A' || r > 'Z')
		case r >= '！' && r <= '～', r == '\u3000':
			same = false
		default:
			return "", false
		}
	}
	if same {
		return s, true
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\u3000':
			return ' '
		case r >= '！' && r <= '～':
			r -= '！' - '!'
		}
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s), true
}

// squeeze makes runs of white space one space and takes those at the ends away.
func squeeze(s string) string {
	space := true
	for _, r := range s {
		if unicode.IsSpace(r) && (space || r != ' ') {
			return strings.Join(strings.Fields(s), " ")
		}
		space = r == ' '
	}
	return strings.TrimSuffix(s, " ")
}

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
