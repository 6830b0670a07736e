package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words yields the words of running text, folded: letters and digits that
// stand together; of Chinese each pair of neighbours, and the last character
// alone, so that a search for one character is a search for what begins with it.
func Words(s string, yield func(word string)) {
	s = Fold(s)
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case isHan(r):
			next, m := utf8.DecodeRuneInString(s[n:])
			if !isHan(next) {
				m = 0
			}
			yield(s[:n+m])
		case alphanumeric(r):
			if n = strings.IndexFunc(s, func(r rune) bool { return !alphanumeric(r) }); n < 0 {
				n = len(s)
			}
			yield(s[:n])
		}
		s = s[n:]
	}
}

func alphanumeric(r rune) bool { return (unicode.IsLetter(r) || unicode.IsDigit(r)) && !isHan(r) }

// Terms returns what to look for to find the words of a query in text cut by
// [Words]: every one of them.
func Terms(query string) (terms []Term) {
	var last string
	Words(query, func(w string) {
		r := []rune(w)
		if len(r) == 1 && isHan(r[0]) {
			if p := []rune(last); len(p) == 2 && isHan(p[0]) && p[1] == r[0] {
				last = "" // the tail of a run already looked for as a pair
				return
			}
			terms = append(terms, Term{w, true})
			return
		}
		last = w
		terms = append(terms, Term{w, false})
	})
	return terms
}

// Term is one word to look for.
type Term struct {
	Word   string
	Prefix bool // any word that begins with it
}
