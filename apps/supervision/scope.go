package supervision

import (
	"html/template"
	"net/url"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

var shanghai = measures.Shanghai()

// scope is the filter of a page: a period and a place. It stands in the URL, so
// that pages can be shared and "back" keeps it.
type scope struct {
	Path            string
	From, To        string // days, both included
	City, Area, Org string // "" = all
	Doctor          string // id, "" = all
	Fresh           string
	Cities, Areas   []string
	Halls           []hall // to choose from
	HallName        string
	Extra           url.Values // what else the page keeps
	Public          bool       // small counts are suppressed
	begin, end      time.Time
	orgs            []string
	places          *places
	Length          int // of the period, in days
}

// scope reads the filter: 30 days up to today where nothing is said.
func (a *App) scope(g *gin.Context, keep ...string) (*scope, error) {
	today := a.Now().In(shanghai)
	s := &scope{Path: g.Request.URL.Path, From: g.Query("from"), To: g.Query("to"), City: g.Query("city"), Area: g.Query("area"), Org: g.Query("org"), Doctor: g.Query("doctor"), Public: g.Query("public") == "1", Extra: url.Values{}}
	for _, k := range keep {
		if v, ok := g.Request.URL.Query()[k]; ok {
			s.Extra[k] = v
		}
	}
	if err := s.confine(g); err != nil {
		return nil, err
	}
	if s.To == "" {
		s.To = today.Format(time.DateOnly)
	}
	if s.From == "" {
		s.From = today.AddDate(0, 0, -29).Format(time.DateOnly)
	}
	var err error
	if s.begin, _, err = measures.Day(s.From); err != nil {
		return nil, err
	}
	if _, s.end, err = measures.Day(s.To); err != nil {
		return nil, err
	}
	if !s.begin.Before(s.end) {
		return nil, fault.New(fault.Invalid, "止日早于起日，请重新选择日期")
	}
	s.Length = int(s.end.Sub(s.begin).Hours()/24 + 0.5)
	if s.places, err = a.directory(g.Request.Context()); err != nil {
		return nil, err
	}
	if in := s.places.within("", s.Area, ""); s.City == "" && s.Area != "" && len(in) > 0 {
		s.City = in[0].City
	}
	may, err := a.oversees(g)
	if err != nil {
		return nil, err
	}
	if s.Org != "" && !may(s.Org) {
		return nil, beyond()
	}
	choice := s.places.only(may)
	s.Fresh, s.Cities, s.Areas, s.Halls = s.places.fresh, choice.cities(), choice.areas(s.City), choice.within(s.City, s.Area, "")
	return s, s.limit()
}

// limit turns the place into the halls it has.
func (s *scope) limit() error {
	if s.City == "" && s.Area == "" && s.Org == "" {
		return nil
	}
	for _, h := range s.places.within(s.City, s.Area, s.Org) {
		s.orgs = append(s.orgs, h.Code)
	}
	if s.orgs == nil {
		return fault.New(fault.NotFound, "这个范围内没有登记的中医馆，请重新选择地区")
	}
	s.HallName = s.places.names[s.Org]
	return nil
}

// measured is the scope as the indicators take it.
func (s *scope) measured() measures.Scope {
	return measures.Scope{From: s.begin, To: s.end, Orgs: s.orgs}
}

// Scopes of comparison: the period of the same length before, and the same days
// of last year.
func (s *scope) previous() measures.Scope {
	m := s.measured()
	m.From, m.To = s.begin.Add(s.begin.Sub(s.end)), s.begin
	return m
}

func (s *scope) lastYear() measures.Scope {
	m := s.measured()
	m.From, m.To = s.begin.AddDate(-1, 0, 0), s.end.AddDate(-1, 0, 0)
	return m
}

// has reports whether a hall is within the place.
func (s *scope) has(org string) bool { return s.orgs == nil || slices.Contains(s.orgs, org) }

// Where names the place in words.
func (s *scope) Where() string {
	switch {
	case s.Org != "":
		return s.HallName
	case s.Area != "" && s.Area != s.City:
		return s.City + s.Area
	case s.City != "":
		return s.City
	}
	return "全省"
}

// Period names the period in words.
func (s *scope) Period() string { return s.From + " 至 " + s.To }

// query is the filter with changes (pairs of key and value), encoded.
func (s *scope) query(changes ...string) url.Values {
	v := url.Values{}
	for k, list := range s.Extra {
		v[k] = list
	}
	for k, x := range map[string]string{"from": s.From, "to": s.To, "city": s.City, "area": s.Area, "org": s.Org, "doctor": s.Doctor} {
		if x != "" {
			v.Set(k, x)
		}
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			v.Del(changes[i])
		} else {
			v.Set(changes[i], changes[i+1])
		}
	}
	return v
}

// Link is a page with the filter and changes to it, for templates.
func (s *scope) Link(path string, changes ...string) template.URL {
	q := s.query(changes...).Encode()
	if q == "" {
		return template.URL(path)
	}
	return template.URL(path + "?" + q)
}

// Here is the page itself with changes.
func (s *scope) Here(changes ...string) template.URL { return s.Link(s.Path, changes...) }

// Hidden is the filter without some keys, for forms that change those.
func (s *scope) Hidden(without ...string) map[string]string {
	out := map[string]string{}
	for k, v := range s.query() {
		if !slices.Contains(without, k) && len(v) > 0 {
			out[k] = v[0]
		}
	}
	return out
}

// deeper names the dimension one step further down, and the key it sets.
func (s *scope) deeper() (dimension, key string) {
	switch {
	case s.Org != "":
		return "doctor", "doctor"
	case s.Area != "" || len(s.Cities) < 2 && len(s.Areas) < 2:
		return "org", "org"
	case s.City != "" || len(s.Cities) < 2:
		return "area", "area"
	}
	return "city", "city"
}

// dimensionTitles are the ways to break an indicator down, in words.
var dimensionTitles = map[string]string{"city": "市", "area": "县（区）", "org": "中医馆", "doctor": "医生", "level": "机构级别", "day": "日", "week": "周", "month": "月", "quarter": "季", "year": "年",
	"weekday": "星期", "visit-type": "初复诊", "insurance": "付费方式", "gender": "性别", "age-band": "年龄段", "disease": "中医病名", "syndrome": "证候", "icd10": "西医诊断", "category": "处方类别", "formula": "方名"}

// valueTitles are coded values of dimensions, in words.
var valueTitles = map[string]map[string]string{
	"visit-type": {"1": "初诊", "2": "复诊"}, "gender": {"male": "男", "female": "女", "other": "其他", "unknown": "不详"},
	"insurance": {"01": "职工医保", "02": "居民医保", "03": "新农合", "04": "贫困救助", "05": "商业保险", "06": "全公费", "07": "全自费", "08": "其他社会保险", "99": "其他"},
	"category":  {"decoction": "中药饮片", "granule": "配方颗粒", "paste": "膏方", "agreed": "协定方", "patent": "中成药", "western": "西药"},
	"level":     levels, "weekday": {"1": "周一", "2": "周二", "3": "周三", "4": "周四", "5": "周五", "6": "周六", "7": "周日"},
}

// name puts a value of a dimension in words.
func (s *scope) name(dimension, key string) string {
	if n := valueTitles[dimension][key]; n != "" {
		return n
	}
	switch {
	case dimension == "org" && s.places.names[key] != "":
		return s.places.names[key]
	case key == "" && (dimension == "city" || dimension == "area"):
		return unregistered
	case key == "":
		return "未填写"
	}
	return key
}

// params binds the period and the halls in SQL of the pages' own.
func (s *scope) params() map[string]string { return s.measured().Params() }
