package supervision

import (
	"context"
	"html/template"
	"maps"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// cityGrid places the 16 cities of Shandong on a schematic map: one tile a city,
// neighbours near each other. It is our own drawing and no boundary data.
var cityGrid = map[string][2]int{
	"德州市": {1, 0}, "滨州市": {2, 0}, "东营市": {3, 0}, "烟台市": {5, 0}, "威海市": {6, 0},
	"聊城市": {0, 1}, "济南市": {1, 1}, "淄博市": {2, 1}, "潍坊市": {3, 1}, "青岛市": {4, 1},
	"泰安市": {1, 2}, "临沂市": {3, 2}, "日照市": {4, 2},
	"菏泽市": {0, 3}, "济宁市": {1, 3}, "枣庄市": {2, 3},
}

// tileMap is an indicator by city (or by county inside one).
type tileMap struct {
	Measure *measures.Measure
	City    string // the city whose counties are shown, "" = all cities
	Tiles   []mapTile
	Rest    []mapTile // places without a tile
	Legend  []string  // upper ends of the five shades, "" for one that no place has
}

type mapTile struct {
	Name, Text, Parts string
	Column, Row       int // from 1
	Shade             int // 0 = no data, 1 … 5
	Link              template.URL
	value             float64
	defined           bool
}

// legend tells the upper end of each shade. Where few places have a value, shades
// end alike: the first of them colours the places, and the rest are left out.
func legend(m *measures.Measure, values []float64) []string {
	out := make([]string, 5)
	if len(values) == 0 {
		return out
	}
	before := ""
	for i := range out {
		if end := text(m, measures.Score{Value: quantile(values, float64(i+1)/5), Defined: true}); end != before {
			out[i], before = end, end
		}
	}
	return out
}

func (a *App) tileMap(ctx context.Context, s *scope, measure string) (tileMap, error) {
	m, err := a.Measures.Get(measure)
	if err != nil {
		return tileMap{}, err
	}
	dimension := "city"
	if s.City != "" {
		dimension = "area"
	}
	rows, err := a.Measures.Breakdown(ctx, a.SQL, s.measured(), m, dimension)
	if err != nil {
		return tileMap{}, err
	}
	t := tileMap{Measure: m, City: s.City}
	values := defined(rows, 0)
	t.Legend = legend(m, values)
	byName := map[string]mapTile{}
	for _, r := range rows {
		name := s.name(dimension, r.Keys[0])
		x := mapTile{Name: name, Text: text(m, r.Scores[0]), Parts: parts(m, r.Scores[0]), value: r.Scores[0].Value, defined: r.Scores[0].Defined, Link: s.Here(dimension, name, "measure", measure)}
		if x.defined {
			x.Shade = 1 + min(4, slices.IndexFunc([]float64{0.2, 0.4, 0.6, 0.8, 1}, func(q float64) bool { return x.value <= quantile(values, q)+1e-12 }))
		}
		byName[name] = x
	}
	if dimension == "city" {
		for _, name := range slices.Sorted(maps.Keys(cityGrid)) {
			x, ok := byName[name]
			if !ok {
				x = mapTile{Name: name, Text: "—"}
			}
			x.Column, x.Row = cityGrid[name][0]+1, cityGrid[name][1]+1
			t.Tiles = append(t.Tiles, x)
			delete(byName, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		t.Rest = append(t.Rest, byName[name])
	}
	return t, nil
}

func (t tileMap) sheet() sheet {
	x := sheet{Title: t.Measure.Title + " 分布", Head: []string{"地区", t.Measure.Title, "分子 / 分母"}}
	for _, m := range append(slices.Clone(t.Tiles), t.Rest...) {
		x.Rows = append(x.Rows, []string{m.Name, m.Text, m.Parts})
	}
	return x
}

// mapPage is the map of an indicator, with its table.
func (a *App) mapPage(g *gin.Context) {
	s, err := a.scope(g, "measure")
	if err != nil {
		a.fail(g, err)
		return
	}
	measure := g.DefaultQuery("measure", "outpatient-visits")
	t, err := a.tileMap(g.Request.Context(), s, measure)
	if err != nil {
		a.fail(g, err)
		return
	}
	below := "area"
	if s.City != "" {
		below = "org"
	}
	r, err := a.rank(g.Request.Context(), s, t.Measure, below, 0)
	if err != nil {
		a.fail(g, err)
		return
	}
	if a.export(g, s, t.Measure.Title+"分布", t.sheet(), r.sheet()) {
		return
	}
	a.render(g, "map", struct {
		web.Page
		*scope
		Map      tileMap
		Ranking  ranking
		Measures []choice
	}{a.page(g, "地区分布", "/supervision/map"), s, t, r, a.chooser(measure)})
}

// chooser lists all indicators.
func (a *App) chooser(current ...string) []choice {
	var out []choice
	for _, m := range a.Measures.All() {
		out = append(out, choice{m.Name, m.Title, slices.Contains(current, m.Name)})
	}
	return out
}
