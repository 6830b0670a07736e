package alerts

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Finding is what a rule says of a hall on a day.
type Finding struct {
	Rule     *Rule     `json:"-"`
	Name     string    `json:"rule"`
	Title    string    `json:"title"`
	Level    string    `json:"level"`
	Org      string    `json:"org"`
	OrgName  string    `json:"orgName,omitempty"`
	Doctor   string    `json:"doctor,omitempty"`  // where the rule counts by doctor
	Subject  string    `json:"subject,omitempty"` // disease or syndrome, where the rule counts by it
	From     time.Time `json:"-"`                 // first day of the days looked at
	Day      time.Time `json:"-"`                 // the last
	Value    float64   `json:"value"`
	Expected float64   `json:"expected"` // the limit, baseline or median
	Text     string    `json:"text"`     // for people
}

// Hall is what detection knows of a hall.
type Hall struct{ Code, Name, Level, Owner string } // Owner: code of the organisation above it

// sums are a numerator and denominator of a span of days.
type sums struct{ n, d float64 }

func (s sums) value(m *measures.Measure) (float64, bool) {
	if m.Denominator == "" {
		return s.n, true
	}
	return s.n / s.d, s.d > 0
}

// weight is what `least` bounds: the denominator, or the count itself.
func (s sums) weight(m *measures.Measure) float64 {
	if m.Denominator == "" {
		return s.n
	}
	return s.d
}

// series are a rule's days by hall (and doctor, disease …): key → day → sums.
type series map[key]map[int]sums

type key struct{ org, part string }

// days numbers days so that spans can be added up.
func dayNumber(t time.Time) int {
	y, m, d := t.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func (s series) over(k key, last, n int) (out sums) {
	for d := last - n + 1; d <= last; d++ {
		v := s[k][d]
		out.n, out.d = out.n+v.n, out.d+v.d
	}
	return out
}

// Detector runs rules over the warehouse.
type Detector struct {
	Catalogue *measures.Catalogue
	SQL       measures.Querier
	Rules     []*Rule
}

// Detect returns what fires on each day from from to to (inclusive days of
// Asia/Shanghai), ordered by day, rule and hall.
func (d *Detector) Detect(ctx context.Context, from, to time.Time) ([]Finding, error) {
	halls, err := d.halls(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, r := range d.Rules {
		s, err := d.read(ctx, r, from, to)
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.Name, err)
		}
		var open series // only clusters ask for the days of whole halls
		if r.Kind == Cluster {
			open = s.halls()
		}
		for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
			for _, f := range r.fire(s, open, halls, day) {
				f.Rule, f.Name, f.Title, f.Level, f.Day, f.OrgName = r, r.Name, r.Title, r.Level, day, halls[f.Org].Name
				if f.From.IsZero() {
					f.From = day.AddDate(0, 0, 1-max(1, r.Window))
				}
				out = append(out, f)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		if c := a.Day.Compare(b.Day); c != 0 {
			return c
		}
		return strings.Compare(a.Name+"\x00"+a.Org, b.Name+"\x00"+b.Org)
	})
	return out, nil
}

// spans are how many days a rule asks for at once, and how many rows may come:
// 912 halls × 14 days, 2,480 doctors × 5 days, 912 halls × 7 days × 60 diseases.
var spans = map[string]struct{ days, rows int }{"": {14, measures.MaxGroups}, "doctor": {5, measures.MaxGroups}, "disease": {7, 400_000}, "syndrome": {7, 400_000}}

// read gets the days a rule needs.
func (d *Detector) read(ctx context.Context, r *Rule, from, to time.Time) (series, error) {
	dims, span := []string{"org", "day"}, spans[r.By]
	if r.By != "" {
		dims = append(dims, r.By)
	}
	out := series{}
	for begin := from.AddDate(0, 0, 1-r.span()); !begin.After(to); begin = begin.AddDate(0, 0, span.days) {
		end := begin.AddDate(0, 0, span.days)
		if last := to.AddDate(0, 0, 1); end.After(last) {
			end = last
		}
		rows, err := d.Catalogue.Table(ctx, d.SQL, measures.Scope{From: begin, To: end, Rows: span.rows}, dims, r.measure)
		if err == nil {
			err = out.add(rows)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// add takes in rows of hall, day and (by doctor, disease …) part.
func (s series) add(rows []measures.Row) error {
	for _, row := range rows {
		day, err := time.Parse(time.DateOnly, row.Keys[1])
		if err != nil {
			return err
		}
		k := key{org: row.Keys[0]}
		if len(row.Keys) > 2 {
			k.part = row.Keys[2]
		}
		if s[k] == nil {
			s[k] = map[int]sums{}
		}
		s[k][dayNumber(day)] = sums{row.Scores[0].Numerator, row.Scores[0].Denominator}
	}
	return nil
}

// halls reads the directory of halls.
func (d *Detector) halls(ctx context.Context) (map[string]Hall, error) {
	out := map[string]Hall{}
	const sql = `SELECT ifNull(h.code, ''), ifNull(h.name, ''), ifNull(h.level, ''), ifNull(p.code, '') FROM qihuang.hall AS h FINAL LEFT JOIN qihuang.hall AS p FINAL ON p.id = h.parent_id WHERE h.code IS NOT NULL`
	err := d.SQL.Query(ctx, sql, nil, func(scan func(...any) error) error {
		var h Hall
		err := scan(&h.Code, &h.Name, &h.Level, &h.Owner)
		out[h.Code] = h
		return err
	})
	return out, err
}

// fire holds the rule against a day; open are the days of each hall.
func (r *Rule) fire(s, open series, halls map[string]Hall, day time.Time) []Finding {
	last := dayNumber(day)
	if r.Kind == Peer {
		return r.peers(s, halls, last)
	}
	var out []Finding
	for _, k := range s.keys() {
		var f *Finding
		switch r.Kind {
		case Threshold:
			f = r.threshold(s.over(k, last, r.Window), halls[k.org].Level)
		case Change:
			f = r.change(s, k, last)
		case Silence:
			f = r.silence(s, k, last)
		case Cluster:
			f = r.cluster(s, k, open, last)
		case Impossible:
			if v := s[k][last].n; v > *r.Above {
				f = &Finding{Value: v, Expected: *r.Above, Text: fmt.Sprintf("当日 %.0f 次，上限 %.0f", v, *r.Above)}
			}
		}
		if f != nil {
			f.Org = k.org
			if r.Kind == Cluster {
				f.Subject = k.part
			} else {
				f.Doctor = k.part
			}
			if r.Kind == Silence {
				f.From = day.AddDate(0, 0, 1-r.Days)
			}
			out = append(out, *f)
		}
	}
	return out
}

func (s series) keys() []key {
	list := make([]key, 0, len(s))
	for k := range s {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b key) int { return strings.Compare(a.org+"\x00"+a.part, b.org+"\x00"+b.part) })
	return list
}

func (r *Rule) threshold(w sums, level string) *Finding {
	v, ok := w.value(r.measure)
	limit := r.limits(level)
	switch {
	case !ok || w.weight(r.measure) < r.Least:
		return nil
	case limit.Above != nil && v > *limit.Above:
		return &Finding{Value: v, Expected: *limit.Above, Text: fmt.Sprintf("近 %d 天%s为 %s，高于 %s", r.Window, r.measure.Title, r.Show(v), r.Show(*limit.Above))}
	case limit.Below != nil && v < *limit.Below:
		return &Finding{Value: v, Expected: *limit.Below, Text: fmt.Sprintf("近 %d 天%s为 %s，低于 %s", r.Window, r.measure.Title, r.Show(v), r.Show(*limit.Below))}
	}
	return nil
}

// change compares the window with the days before: counts per day with data,
// the values of ratios. A hall without data on half of the days before is new.
func (r *Rule) change(s series, k key, last int) *Finding {
	w, before := s.over(k, last, r.Window), s.over(k, last-r.Window, r.Baseline)
	v, ok := w.value(r.measure)
	b, had := before.value(r.measure)
	days := s.open(k, last-r.Window, r.Baseline)
	if !ok || !had || b == 0 || 2*days < r.Baseline || w.weight(r.measure) < r.Least || before.weight(r.measure) < r.Least {
		return nil
	}
	if r.measure.Denominator == "" {
		v, b = v/float64(max(1, s.open(k, last, r.Window))), b/float64(days)
	}
	up, down := r.Direction != "down" && v >= b*r.Factor, r.Direction != "up" && v <= b/r.Factor
	if !up && !down {
		return nil
	}
	return &Finding{Value: v, Expected: b, Text: fmt.Sprintf("近 %d 天%s（日均）为 %s，此前 %d 天为 %s", r.Window, r.measure.Title, r.Show(v), r.Baseline, r.Show(b))}
}

// halls are the days of each hall, whatever the part.
func (s series) halls() series {
	out := series{}
	for k, days := range s {
		hall := key{org: k.org}
		if out[hall] == nil {
			out[hall] = map[int]sums{}
		}
		for d, v := range days {
			sum := out[hall][d]
			out[hall][d] = sums{sum.n + v.n, sum.d + v.d}
		}
	}
	return out
}

// cluster compares the cases of one disease or syndrome with what the days before
// lead to expect of as many days open: by a factor, and beyond chance. The
// difference of the roots of two Poisson counts is nearly normal with a variance
// of a quarter each (Anscombe 1948), the expectation's in the ratio of the
// spans. A hall without data on half of the days before is new.
func (r *Rule) cluster(s series, k key, open series, last int) *Finding {
	hall := key{org: k.org}
	n, before, days := s.over(k, last, r.Window).n, s.over(k, last-r.Window, r.Baseline).n, open.open(hall, last-r.Window, r.Baseline)
	if k.part == "" || n < r.Least || 2*days < r.Baseline {
		return nil
	}
	expected := before / float64(days) * float64(open.open(hall, last, r.Window))
	z := 2 * (math.Sqrt(n) - math.Sqrt(expected)) / math.Sqrt(1+float64(r.Window)/float64(r.Baseline))
	if n < expected*r.Factor || z < r.Z {
		return nil
	}
	return &Finding{Value: n, Expected: expected, Text: fmt.Sprintf("近 %d 天“%s” %.0f 人次，按此前 %d 天推算为 %.1f 人次（z %.1f）", r.Window, k.part, n, r.Baseline, expected, z)}
}

// open counts the days with data.
func (s series) open(k key, last, n int) (days int) {
	for d := last - n + 1; d <= last; d++ {
		if v := s[k][d]; v.n != 0 || v.d != 0 {
			days++
		}
	}
	return days
}

func (r *Rule) silence(s series, k key, last int) *Finding {
	if s.over(k, last, r.Days).n > 0 {
		return nil
	}
	busy := 0
	for d := last - r.Days - r.Baseline + 1; d <= last-r.Days; d++ {
		if s[k][d].n > 0 {
			busy++
		}
	}
	if share := float64(busy) / float64(r.Baseline); share < r.Usual {
		return nil
	}
	return &Finding{Value: 0, Expected: float64(busy), Text: fmt.Sprintf("连续 %d 天没有就诊，此前 %d 天中有 %d 天开诊", r.Days, r.Baseline, busy)}
}

// peers compares halls of one level by the robust z value: the distance from
// the median in units of 1.4826 MAD.
func (r *Rule) peers(s series, halls map[string]Hall, last int) (out []Finding) {
	groups := map[string]map[string]float64{}
	for _, k := range s.keys() {
		w := s.over(k, last, r.Window)
		if v, ok := w.value(r.measure); ok && w.weight(r.measure) >= r.Least {
			level := halls[k.org].Level
			if groups[level] == nil {
				groups[level] = map[string]float64{}
			}
			groups[level][k.org] = v
		}
	}
	for _, group := range groups {
		if len(group) < r.Peers {
			continue
		}
		median, mad := robust(group)
		for org, v := range group {
			z := (v - median) / max(1.4826*mad, 1e-9)
			far := math.Abs(v-median) >= r.Deviation*math.Abs(median)
			if !far || !(z > r.Z && r.Direction != "down" || z < -r.Z && r.Direction != "up") {
				continue
			}
			out = append(out, Finding{Org: org, Value: v, Expected: median,
				Text: fmt.Sprintf("近 %d 天%s为 %s，%d 家同级机构的中位数为 %s（稳健 z %.1f）", r.Window, r.measure.Title, r.Show(v), len(group), r.Show(median), z)})
		}
	}
	slices.SortFunc(out, func(a, b Finding) int { return strings.Compare(a.Org, b.Org) })
	return out
}

// robust returns the median and the median absolute deviation.
func robust(values map[string]float64) (median, mad float64) {
	list := make([]float64, 0, len(values))
	for _, v := range values {
		list = append(list, v)
	}
	median = middle(list)
	for i, v := range list {
		list[i] = math.Abs(v - median)
	}
	return median, middle(list)
}

func middle(list []float64) float64 {
	slices.Sort(list)
	n := len(list)
	if n%2 == 1 {
		return list[n/2]
	}
	return (list[n/2-1] + list[n/2]) / 2
}

// Show writes a value in the indicator's unit.
func (r *Rule) Show(v float64) string {
	if r.measure.Scoring == "proportion" {
		return fmt.Sprintf("%.1f%%", 100*v)
	}
	return fmt.Sprintf("%.1f %s", v, r.measure.Unit)
}

// Episode is a run of days on which a rule fired for a hall.
type Episode struct {
	Finding          // of the first day
	First   string   `json:"first"` // YYYY-MM-DD
	Last    string   `json:"last"`
	Days    []string `json:"days"`
}

// Episodes joins findings of following days; a pause of up to gap days does not
// end an episode.
func Episodes(list []Finding, gap int) []Episode {
	open := map[string]*Episode{}
	var out []*Episode
	for _, f := range list {
		id := f.key()
		day := f.Day.Format(time.DateOnly)
		if e := open[id]; e != nil && dayNumber(f.Day)-dayNumber(e.last()) <= gap+1 {
			e.Last, e.Days = day, append(e.Days, day)
			continue
		}
		e := &Episode{Finding: f, First: day, Last: day, Days: []string{day}}
		open[id], out = e, append(out, e)
	}
	episodes := make([]Episode, len(out))
	for i, e := range out {
		episodes[i] = *e
	}
	return episodes
}

func (e *Episode) last() time.Time {
	t, err := time.Parse(time.DateOnly, e.Last)
	if err != nil {
		return e.Day
	}
	return t
}
