package text

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"Peter": "peter", "  a \t b ": "a b", "Müller": "muller", "STRAẞE": "strasse", "Ａｂｃ１": "abc1", "張三": "張三",
		"\u00c5": "a", "e\u0301": "e", "": "", "が": "が", "ﬁn": "fin",
	} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPinyin(t *testing.T) {
	for in, want := range map[string][]string{
		"张三":  {"zhangsan", "zs"},
		"曾小红": {"cengxiaohong", "zengxiaohong", "cxh", "zxh"},
		"吕布2": {"lvbu2", "lb2"},
		"li":  nil,
	} {
		got := Pinyin(in)
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("Pinyin(%q) = %q lacks %q", in, got, w)
			}
		}
		if want == nil && got != nil {
			t.Errorf("Pinyin(%q) = %q", in, got)
		}
		if len(got) > 2*maxReadings {
			t.Errorf("Pinyin(%q) has %d readings", in, len(got))
		}
	}
}

func TestWords(t *testing.T) {
	var got []string
	Words("患者头痛, BP 150/80mmHg。舌", func(w string) { got = append(got, w) })
	want := []string{"患者", "者头", "头痛", "痛", "bp", "150", "80mmhg", "舌"}
	if !slices.Equal(got, want) {
		t.Errorf("Words = %q, want %q", got, want)
	}
}

func TestTerms(t *testing.T) {
	for in, want := range map[string][]Term{
		"头痛":   {{"头痛", false}},
		"头痛发热": {{"头痛", false}, {"痛发", false}, {"发热", false}},
		"痛":    {{"痛", true}},
		"BP 舌": {{"bp", false}, {"舌", true}},
		"，。":   nil,
	} {
		if got := Terms(in); !slices.Equal(got, want) {
			t.Errorf("Terms(%q) = %v, want %v", in, got, want)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("Müller  Ａ")
	f.Fuzz(func(t *testing.T, s string) {
		if once := Fold(s); Fold(once) != once {
			t.Errorf("Fold(%q) = %q is not stable: %q", s, once, Fold(once))
		}
	})
}

// TestFoldHan compares the short way of folding Chinese with the tables of Unicode.
func TestFoldHan(t *testing.T) {
	check := func(s string) {
		if got, want := Fold(s), squeeze(foldByTables(s)); got != want {
			t.Fatalf("%q: %q, by the tables %q", s, got, want)
		}
	}
	for r := rune(' '); r < 0x30000; r++ {
		check(string(r))
	}
	runes := []rune("aB 9\t\n  　，。、《》【】！～Ａｚ中医馆護头é\u0301ßẞﬁ㎎\uf90a\u00a0\u0085Ω〇々「」“”—…０")
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		s := make([]rune, rnd.IntN(12))
		for i := range s {
			s[i] = runes[rnd.IntN(len(runes))]
		}
		check(string(s))
	}
}
