package rational

import (
	"slices"
	"strings"
	"testing"
)

func load(t testing.TB) *Knowledge {
	t.Helper()
	k, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// lines reads "甘草 6, 甘遂 1.5 先煎".
func lines(t testing.TB, s string) []Line {
	t.Helper()
	var out []Line
	for part := range strings.SplitSeq(s, ",") {
		f := strings.Fields(part)
		m, ok := ParseGrams(f[1])
		if !ok {
			t.Fatalf("bad dose %q", f[1])
		}
		l := Line{Name: f[0], Dose: m}
		if len(f) > 2 {
			l.Decoction = f[2]
		}
		out = append(out, l)
	}
	return out
}

func TestEvaluate(t *testing.T) {
	k := load(t)
	for _, c := range []struct {
		name, rx string
		ctx      Context
		want     []string // kind:severity, in order
	}{
		{"plain_ok", "麻黄 6, 桂枝 6, 苦杏仁 9, 炙甘草 3", Context{}, nil},
		{"eighteen_bad", "甘草 6, 甘遂 1", Context{}, []string{"eighteen-incompatibles:block"}},
		{"eighteen_forms_bad", "制川乌 3, 法半夏 9", Context{}, []string{"eighteen-incompatibles:block"}},
		{"nineteen_bad", "丁香 3, 郁金 9", Context{}, []string{"nineteen-antagonisms:warning"}},
		{"overdose_bad", "黄芪 60", Context{}, []string{"overdose:warning"}},
		{"overdose_edge_ok", "黄芪 30", Context{}, nil},
		{"overdose_external_ok", "黄芪 60", Context{External: true}, nil},
		{"two_doses_a_day_bad", "黄芪 20", Context{DosesADay: 2}, []string{"overdose:warning"}},
		{"toxic_overdose_bad", "附子 30", Context{}, []string{"toxic-overdose:block"}},
		{"duplicate_added_up_bad", "甘草 6, 炙甘草 6", Context{}, []string{"overdose:warning", "duplicate:information"}},
		{"pregnant_bad", "莪术 6", Context{Pregnant: true}, []string{"pregnancy:block"}},
		{"pregnant_not_ok", "莪术 6", Context{}, nil},
		{"ambiguous", "贝母 6", Context{}, []string{"ambiguous-herb:warning"}},
		{"unknown", "不存在草 6", Context{}, []string{"unknown-herb:information"}},
		{"alias_ok", "黄耆 15", Context{}, nil},
		{"decoction_missing", "薄荷 3", Context{Decocted: true}, []string{"decoction:information"}},
		{"decoction_ok", "薄荷 3 后下", Context{Decocted: true}, nil},
		{"absurd_dose", "黄芪 1500", Context{External: true}, []string{"bad-dose:warning"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, f := range k.Evaluate(lines(t, c.rx), c.ctx) {
				got = append(got, string(f.Kind)+":"+string(f.Severity))
				if f.Review != "n/a" && (f.Source == "" && f.Kind != MultiToxic || f.Text == "") {
					t.Errorf("finding without source: %+v", f)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestParseGrams(t *testing.T) {
	for s, want := range map[string]string{"4.5": "4.5g", "0.06": "0.06g", "30": "30g", "1.50": "1.5g"} {
		if m, ok := ParseGrams(s); !ok || m.String() != want {
			t.Errorf("ParseGrams(%q) = %v %v", s, m, ok)
		}
	}
	for _, s := range []string{"", "-1", "x", "1e3", "0.0000001", "1.-5"} {
		if _, ok := ParseGrams(s); ok {
			t.Errorf("ParseGrams(%q) accepted", s)
		}
	}
}

// TestRulesKnowTheirHerbs guards against a list whose names no prescription can hit.
func TestRulesKnowTheirHerbs(t *testing.T) {
	k := load(t)
	if len(k.herbs) != 763 || len(k.pairs) != 12 {
		t.Fatalf("%d herbs, %d pairs", len(k.herbs), len(k.pairs))
	}
	for _, p := range k.pairs {
		if p.Source == "" || p.Edition == "" || p.Review == "" {
			t.Errorf("%s: without source", p.ID)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	k := load(b)
	rx := lines(b, "麻黄 6, 桂枝 6, 苦杏仁 9, 炙甘草 3, 石膏 30, 黄芩 9, 半夏 9, 生姜 6, 大枣 10, 茯苓 15, 白术 12, 陈皮 6")
	b.ReportAllocs()
	for b.Loop() {
		k.Evaluate(rx, Context{Decocted: true})
	}
}
