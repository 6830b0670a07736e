package supervision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// hall is a place that sees patients.
type hall struct{ Code, Name, City, Area, Level string }

// places is the directory of halls: those registered as Organization, and those
// that only their visits name.
type places struct {
	halls []hall // by code
	names map[string]string
	fresh string // when the tables last changed
}

// unregistered is the place of halls whose Organization names none.
const unregistered = "未登记地区"

// directoryAge is how long the directory of halls is kept.
const directoryAge = 20 * time.Second

// directory reads the halls, at most every [directoryAge].
func (a *App) directory(ctx context.Context) (*places, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.places != nil && a.Now().Sub(a.read) < directoryAge {
		return a.places, nil
	}
	p := &places{names: map[string]string{}}
	err := a.SQL.Query(ctx, `SELECT code, any(n), any(city), any(area), any(level) FROM (
  SELECT assumeNotNull(code) AS code, ifNull(name, '') AS n, ifNull(city, '') AS city, ifNull(area, '') AS area, ifNull(level, '') AS level
  FROM qihuang.hall FINAL WHERE code IS NOT NULL AND ifNull(level, '') NOT IN ('province', 'city', 'county')
  UNION ALL SELECT org_code, any(ifNull(org_name, '')), '', '', '' FROM qihuang.encounter FINAL
  WHERE ifNull(org_code, '') NOT IN (SELECT assumeNotNull(code) FROM qihuang.hall FINAL WHERE code IS NOT NULL) GROUP BY org_code)
WHERE code != '' GROUP BY code ORDER BY code LIMIT 20000`, nil, func(scan func(...any) error) error {
		var h hall
		if err := scan(&h.Code, &h.Name, &h.City, &h.Area, &h.Level); err != nil {
			return err
		}
		h.Name, h.City = cmp.Or(h.Name, h.Code), cmp.Or(h.City, unregistered)
		h.Area = cmp.Or(h.Area, h.City)
		p.names[h.Code] = h.Name
		p.halls = append(p.halls, h)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the directory of halls: %w", err)
	}
	var at time.Time
	if err := a.SQL.Query(ctx, `SELECT max(last_updated) FROM qihuang.resource`, nil, func(scan func(...any) error) error { return scan(&at) }); err != nil {
		return nil, fmt.Errorf("read the freshness of the warehouse: %w", err)
	}
	p.fresh = at.In(shanghai).Format("2006-01-02 15:04:05")
	a.places, a.read = p, a.Now()
	return p, nil
}

// within returns the halls of a place; empty parts do not limit.
func (p *places) within(city, area, code string) []hall {
	var out []hall
	for _, h := range p.halls {
		if (city == "" || h.City == city) && (area == "" || h.Area == area) && (code == "" || h.Code == code) {
			out = append(out, h)
		}
	}
	return out
}

// only is the directory of the halls that ok names.
func (p *places) only(ok func(code string) bool) *places {
	out := &places{names: p.names, fresh: p.fresh}
	for _, h := range p.halls {
		if ok(h.Code) {
			out.halls = append(out.halls, h)
		}
	}
	return out
}

// level of a hall, "" = not registered.
func (p *places) level(code string) string {
	if i := slices.IndexFunc(p.halls, func(h hall) bool { return h.Code == code }); i >= 0 {
		return p.halls[i].Level
	}
	return ""
}

// cities and areas list the names of places, in order; areas only of one city.
func (p *places) cities() []string { return distinct(p.halls, func(h hall) string { return h.City }) }

func (p *places) areas(city string) []string {
	return distinct(p.within(city, "", ""), func(h hall) string { return h.Area })
}

func distinct(halls []hall, of func(hall) string) []string {
	var out []string
	for _, h := range halls {
		out = append(out, of(h))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// levels are the kinds of a hall in words.
var levels = map[string]string{"hospital": "中医医院", "community": "社区卫生服务中心", "township": "乡镇卫生院", "village": "村卫生室", "hall": "中医馆", "": "未登记"}
