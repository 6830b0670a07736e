package supervision

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// chart is what the script draws: kinds are line, bar, stack, rank, pie.
type chart struct {
	Kind   string   `json:"-"`
	Title  string   `json:"-"`
	Labels []string `json:"labels"`
	Series []series `json:"series"`
}

type series struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
}

// Data is the chart as JSON, for the page's data attribute.
func (c chart) Data() string {
	b, err := json.Marshal(c)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// plotted is a value as charts show it: percent for shares.
func plotted(m *measures.Measure, s measures.Score) float64 {
	v := s.Value
	if m.Scoring == "proportion" {
		v *= 100
	}
	return math.Round(v*100) / 100
}

// axis is the name of a series with its unit.
func axis(m *measures.Measure) string {
	switch {
	case m.Scoring == "proportion":
		return m.Title + "（%）"
	case m.Unit != "":
		return m.Title + "（" + m.Unit + "）"
	}
	return m.Title
}

// quantile of sorted values, between neighbours in proportion.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// percentile says which share of the values is not above v, in percent.
func percentile(values []float64, v float64) int {
	below := 0
	for _, x := range values {
		if x <= v {
			below++
		}
	}
	return int(math.Round(100 * float64(below) / float64(max(1, len(values)))))
}

// defined returns the values of an indicator that have one, in order.
func defined(rows []measures.Row, at int) []float64 {
	var out []float64
	for _, r := range rows {
		if r.Scores[at].Defined {
			out = append(out, r.Scores[at].Value)
		}
	}
	slices.Sort(out)
	return out
}
