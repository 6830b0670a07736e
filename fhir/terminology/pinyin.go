package terminology

import (
	"strings"
	"sync"
	"unicode"

	"github.com/mozillazg/go-pinyin"
)

// lazyPinyin is the text-search index of a code system, built on the first
// filter: the folded display and designations of every concept, and their
// Chinese syllables.
type lazyPinyin struct {
	once   sync.Once
	folded arena
	spell  arena
}

func (cs *codeSystem) searchIndex() *lazyPinyin {
	x := &cs.pinyin
	x.once.Do(func() {
		var folded, spell arenaBuilder
		var buf []byte
		for c := int32(0); c < cs.len(); c++ {
			text := cs.display(c)
			for _, d := range cs.designationsOf(c) {
				text += "\x00" + d.value
			}
			folded.add(strings.ToLower(text))
			buf = appendSpelling(buf[:0], text)
			spell.add(string(buf))
		}
		x.folded, x.spell = folded.build(), spell.build()
	})
	return x
}

// Tones off: the vowels as golang pinyin data writes them.
var toneless = strings.NewReplacer("ā", "a", "á", "a", "ǎ", "a", "à", "a", "ē", "e", "é", "e", "ě", "e", "è", "e",
	"ê̄", "e", "ế", "e", "ê̌", "e", "ề", "e", "ê", "e", "ī", "i", "í", "i", "ǐ", "i", "ì", "i", "ō", "o", "ó", "o",
	"ǒ", "o", "ò", "o", "ū", "u", "ú", "u", "ǔ", "u", "ù", "u", "ü", "v", "ǖ", "v", "ǘ", "v", "ǚ", "v", "ǜ", "v",
	"ń", "n", "ň", "n", "ǹ", "n", "ḿ", "m", "m̀", "m")

// appendSpelling appends the pinyin of the Chinese characters in text: each
// character's readings joined by '|' and closed by ' ', a '.' where other text
// breaks the run. Text without Chinese appends nothing.
func appendSpelling(dst []byte, text string) []byte {
	start := len(dst)
	for _, r := range text {
		readings, ok := pinyin.PinyinDict[int(r)]
		if !ok || r < 0x2E80 {
			if len(dst) > start && dst[len(dst)-1] != '.' && (unicode.IsPunct(r) || unicode.IsSpace(r) || r == 0) {
				dst = append(dst, '.')
			}
			continue
		}
		first := len(dst)
		for reading := range strings.SplitSeq(toneless.Replace(readings), ",") {
			if hasReading(dst[first:], reading) {
				continue
			}
			if len(dst) > first {
				dst = append(dst, '|')
			}
			dst = append(dst, reading...)
		}
		dst = append(dst, ' ')
	}
	return dst
}

func hasReading(list []byte, reading string) bool {
	for r := range strings.SplitSeq(string(list), "|") {
		if r == reading {
			return true
		}
	}
	return false
}

// The ranks of a filter match, best first; noMatch sorts nowhere.
const (
	rankExact    = iota // the code or a name is the word
	rankStart           // the code or a name begins with the word
	rankSpelled         // the commonest spelling of a name, in syllables or initials, is the word
	rankSpelling        // the commonest spelling of a name begins with it
	rankInside          // a name contains it
	rankWithin          // the commonest spelling contains it, from a character on
	rankRare            // a rarer reading of a character does
	noMatch
)

// spellRank reports how needle (lower-case letters) spells a run of characters
// in spell, each by its whole syllable, its first letter, its initial (zh, ch,
// sh), or, for the last one, any beginning of the syllable: hq, huangqi, huangq
// and hqi all find 黄芪. Only the display, which comes first, is rankSpelled.
func spellRank(spell, needle string) int {
	best := noMatch
	start := true
	for i := 0; i < len(spell); {
		if spell[i] == '.' {
			i, start = i+1, true
			continue
		}
		switch fit := spellAt(spell[i:], needle, false); {
		case fit == wholeName && i == 0:
			return rankSpelled
		case fit > noFit && start:
			best = min(best, rankSpelling)
		case fit > noFit:
			best = min(best, rankWithin)
		case best == noMatch && spellAt(spell[i:], needle, true) > noFit:
			best = rankRare
		}
		start = false
		end := strings.IndexByte(spell[i:], ' ')
		if end < 0 {
			break
		}
		i += end + 1
	}
	return best
}

// What spellAt finds.
const (
	noFit     = iota
	someFit   // the needle spells the first characters
	wholeName // it spells all of them, the last one by its syllable or initial
)

// spellAt matches needle at the character that spell begins with, by its first
// reading only or by all.
func spellAt(spell, needle string, all bool) int {
	end := strings.IndexByte(spell, ' ')
	if needle == "" {
		if end < 0 || spell[0] == '.' {
			return wholeName
		}
		return someFit
	}
	if end < 0 || spell[0] == '.' {
		return noFit
	}
	rest, best, tried := spell[end+1:], noFit, 0
	try := func(n int) { // each length once: readings that begin alike multiply the paths otherwise
		if tried&(1<<n) == 0 && best < wholeName {
			tried |= 1 << n
			best = max(best, spellAt(rest, needle[n:], all))
		}
	}
	for readings := spell[:end]; readings != ""; {
		var r string
		r, readings, _ = strings.Cut(readings, "|")
		if !all {
			readings = ""
		}
		n := commonPrefix(r, needle)
		if n == 0 {
			continue
		}
		if n == len(needle) {
			best = max(best, someFit)
		}
		if n == len(r) {
			try(n)
		}
		if n >= 2 && r[1] == 'h' {
			try(2)
		}
		try(1)
	}
	return best
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// textFilter is a $expand filter: every word must be found in the code, the
// display, a designation, or the pinyin of one.
type textFilter []string

// maxNeedle bounds one word of a filter (the spelling match backtracks).
const maxNeedle = 64

func newTextFilter(s string) textFilter {
	words := strings.Fields(strings.ToLower(s))
	for i, w := range words {
		if len(w) > maxNeedle {
			words[i] = strings.ToValidUTF8(w[:maxNeedle], "")
		}
	}
	return words
}

// rank says how well a concept matches: as well as its worst word.
func (f textFilter) rank(cs *codeSystem, c int32) int {
	x, worst := cs.searchIndex(), rankExact
	for _, w := range f {
		r := min(nameRank(x.folded.at(c), w), codeRank(cs.code(c), w))
		if r > rankStart && isAlpha(w) {
			r = min(r, spellRank(x.spell.at(c), w))
		}
		if r == noMatch {
			return noMatch
		}
		worst = max(worst, r)
	}
	return worst
}

// nameRank looks for a word in names separated by NUL.
func nameRank(names, w string) int {
	best := noMatch
	for at := 0; ; {
		i := strings.Index(names[at:], w)
		if i < 0 {
			return best
		}
		at += i
		end := at + len(w)
		switch {
		case at > 0 && names[at-1] != 0:
			best = min(best, rankInside)
		case end == len(names) || names[end] == 0:
			return rankExact
		default:
			best = min(best, rankStart)
		}
		at = end
	}
}

func codeRank(code, w string) int {
	switch {
	case len(code) < len(w) || !strings.EqualFold(code[:len(w)], w):
		return noMatch
	case len(code) == len(w):
		return rankExact
	}
	return rankStart
}
