package text

import (
	"slices"
	"strings"
	"sync"

	"github.com/mozillazg/go-pinyin"
)

// maxReadings bounds how many readings of one name are indexed; characters
// that are read in several ways multiply.
const maxReadings = 8

// Pinyin returns the readings of a folded text with Chinese characters, each
// once in full (zhangsan) and once in initials (zs), without tones, ü as v.
// Other letters and digits stay, anything else is left out. Nil if there is
// nothing Chinese in it.
func Pinyin(folded string) []string {
	if !HasHan(folded) {
		return nil
	}
	full, initials := []string{""}, []string{""}
	for _, r := range folded {
		var readings []string
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			readings = []string{string(r)}
		case isHan(r):
			readings = slices.Clone(readingsOf(r))
		}
		if len(readings) == 0 {
			continue
		}
		full = times(full, readings)
		for i, s := range readings {
			readings[i] = s[:1]
		}
		initials = times(initials, distinct(readings))
	}
	return distinct(append(full, initials...))
}

// known keeps the readings of the characters that came up: the library cleans its
// table with regular expressions at every look. There are some ten thousand.
var known sync.Map // rune → []string

func readingsOf(r rune) []string {
	if list, ok := known.Load(r); ok {
		return list.([]string)
	}
	args := pinyin.NewArgs()
	args.Heteronym = true
	list := distinct(pinyin.SinglePinyin(r, args))
	known.Store(r, list)
	return list
}

func times(begin, end []string) []string {
	if len(begin)*len(end) > maxReadings {
		end = end[:1]
	}
	out := make([]string, 0, len(begin)*len(end))
	for _, e := range end {
		for _, b := range begin {
			out = append(out, b+e)
		}
	}
	return out
}

func distinct(s []string) []string {
	out := s[:0]
	for _, v := range s {
		if v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// Latin reports whether a folded search value may be pinyin: letters only.
// Apostrophes and spaces between syllables are left out of the result.
func Latin(folded string) (string, bool) {
	s := strings.Map(func(r rune) rune {
		if r == ' ' || r == '\'' || r == '’' {
			return -1
		}
		return r
	}, folded)
	for i := 0; i < len(s); i++ {
		if s[i] < 'a' || s[i] > 'z' {
			return "", false
		}
	}
	return s, s != ""
}
