package console

import (
	"context"
	"fmt"
)

// Chart is a question with its SQL; the answer has a label and, per series, a
// number.
type Chart struct {
	Name  string // in URLs
	Title string // Chinese
	Kind  string // stack | pie | rank | line
	SQL   string // columns: label String, series String, value Int64
}

// Answer is a chart's data, by label and series.
type Answer struct {
	Labels []string `json:"labels"`
	Series []Series `json:"series"`
}

// Series is one line, bar colour or ring; Values are parallel to the labels.
type Series struct {
	Name   string  `json:"name"`
	Values []int64 `json:"values"`
}

// Charts are the four questions of the first page. Days are the hub's zone,
// Asia/Shanghai for indicators; only finished encounters count.
var Charts = [...]Chart{
	{"visits", "各馆每日就诊人次（近 14 天）", "stack", `SELECT toString(toDate(start, 'Asia/Shanghai')) AS label, if(ifNull(org_name, '') = '', org_code, org_name) AS series, toInt64(count()) AS value
FROM qihuang.encounter FINAL
WHERE status = 'finished' AND start >= (SELECT max(start) FROM qihuang.encounter FINAL) - INTERVAL 14 DAY
GROUP BY label, series ORDER BY label, series LIMIT 2000`},
	{"prescriptions", "处方构成（饮片、颗粒、中成药、西药）", "pie", `SELECT transform(category, ['decoction', 'granule', 'patent', 'western'], ['中药饮片', '中药配方颗粒', '中成药', '西药'], category) AS label, '处方数' AS series, toInt64(count()) AS value
FROM qihuang.prescription FINAL
GROUP BY label ORDER BY value DESC LIMIT 20`},
	{"diseases", "中医病名前十", "rank", `SELECT any(display) AS label, '人次' AS series, toInt64(uniqExact(encounter_id)) AS value
FROM qihuang.condition FINAL
WHERE category = 'tcm-disease'
GROUP BY code ORDER BY value DESC, label LIMIT 10`},
	{"syndromes", "证候前十", "rank", `SELECT any(display) AS label, '人次' AS series, toInt64(uniqExact(encounter_id)) AS value
FROM qihuang.condition FINAL
WHERE category = 'tcm-syndrome'
GROUP BY code ORDER BY value DESC, label LIMIT 10`},
}

// chart returns the chart of that name.
func chart(name string) (Chart, bool) {
	for _, c := range Charts {
		if c.Name == name {
			return c, true
		}
	}
	return Chart{}, false
}

// answer runs the chart's SQL and turns its rows into labels and series, both
// in the order of first appearance.
func (c *Console) answer(ctx context.Context, ch Chart) (*Answer, error) {
	a := &Answer{Labels: []string{}, Series: []Series{}}
	labels, series := map[string]int{}, map[string]int{}
	type cell struct {
		label, series int
		value         int64
	}
	var cells []cell
	err := c.SQL.Query(ctx, ch.SQL, nil, func(scan func(...any) error) error {
		var l, s string
		var v int64
		if err := scan(&l, &s, &v); err != nil {
			return err
		}
		if _, ok := labels[l]; !ok {
			labels[l] = len(a.Labels)
			a.Labels = append(a.Labels, l)
		}
		if _, ok := series[s]; !ok {
			series[s] = len(a.Series)
			a.Series = append(a.Series, Series{Name: s})
		}
		cells = append(cells, cell{labels[l], series[s], v})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", ch.Name, err)
	}
	for i := range a.Series {
		a.Series[i].Values = make([]int64, len(a.Labels))
	}
	for _, x := range cells {
		a.Series[x.series].Values[x.label] = x.value
	}
	return a, nil
}

// Table returns the answer as rows of text: label, then one cell per series.
func (a *Answer) Table() [][]string {
	rows := make([][]string, len(a.Labels))
	for i, l := range a.Labels {
		rows[i] = append(rows[i], l)
		for _, s := range a.Series {
			rows[i] = append(rows[i], fmt.Sprint(s.Values[i]))
		}
	}
	return rows
}
