package supervision

import (
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

func TestLegendNamesAShadeOnce(t *testing.T) {
	m := &measures.Measure{Unit: "人次"}
	for _, c := range []struct {
		values []float64
		want   int
	}{{nil, 0}, {[]float64{449}, 1}, {[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 5}} {
		shown := 0
		list := legend(m, c.values)
		for _, l := range list {
			if l != "" {
				shown++
			}
		}
		if len(list) != 5 || shown != c.want {
			t.Errorf("%v: %s", c.values, strings.Join(list, "|"))
		}
	}
}
