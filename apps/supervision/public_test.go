package supervision

import (
	"reflect"
	"testing"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

func TestSuppress(t *testing.T) {
	count := &measures.Measure{}
	share := &measures.Measure{Denominator: "count()", Scoring: "proportion"}
	score := func(n, d float64) measures.Score { return measures.Score{Numerator: n, Denominator: d, Defined: true} }
	for _, c := range []struct {
		name string
		m    *measures.Measure
		in   []measures.Score
		want []bool
	}{
		{"nothing small", count, []measures.Score{score(10, 0), score(0, 0), score(400, 0)}, []bool{false, false, false}},
		{"one small hides the next", count, []measures.Score{score(9, 0), score(500, 0), score(40, 0)}, []bool{true, false, true}},
		{"two small hide themselves", count, []measures.Score{score(9, 0), score(1, 0), score(40, 0)}, []bool{true, true, false}},
		{"alone", count, []measures.Score{score(3, 0)}, []bool{true}},
		{"nobody is no small count", share, []measures.Score{score(0, 100), score(20, 100)}, []bool{false, false}},
		{"those without can be few", share, []measures.Score{score(95, 100), score(95, 200), score(50, 100)}, []bool{true, false, true}},
		{"few in all", share, []measures.Score{score(0, 8), score(3, 9), score(50, 100)}, []bool{true, true, false}},
	} {
		if got := suppress(c.m, c.in, 10); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, wanted %v", c.name, got, c.want)
		}
	}
}
