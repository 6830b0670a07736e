package text

import "unicode"

// Words yields the words of running text, folded: letters and digits that
// stand together; of Chinese each pair of neighbours, and the last character
// alone, so that a search for one character is a search for what begins with it.
func Words(s string, yield func(word string)) {
	runes := []rune(Fold(s))
	for i := 0; i < len(runes); {
		switch r := runes[i]; {
		case isHan(r):
			for ; i < len(runes) && isHan(runes[i]); i++ {
				end := i + 1
				if end < len(runes) && isHan(runes[end]) {
					end++
				}
				yield(string(runes[i:end]))
			}
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			begin := i
			for i < len(runes) && !isHan(runes[i]) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i])) {
				i++
			}
			yield(string(runes[begin:i]))
		default:
			i++
		}
	}
}

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
