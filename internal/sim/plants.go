package sim

import "time"

// Plant is a peculiarity put into the data on purpose, by the name of the
// supervision rule that should find it, and nothing else should.
type Plant struct {
	Rule string `json:"rule"`
	Org  string `json:"org"`
	From string `json:"from"` // first and last day of what was planted
	To   string `json:"to"`
}

// The halls with peculiarities. The first three have them from the first day
// on; the others only in a county large and long enough to tell them from
// chance (see [Config.planted]).
const (
	hallOverdose = iota
	hallClash
	hallForgets
	hallSilent
	hallSurge
	hallImpossible
	hallDear
	hallCluster
)

const (
	plantHalls = 8
	plantDays  = 35
	surge      = 3      // times the usual visits
	dearDoses  = 15     // instead of three to seven
	oldPatient = 900000 // number of the patients born too early
	outbreak   = 0      // the case that two of three visits of a cluster are
)

// plants are the days of the later peculiarities, counted from the last day.
var plants = map[int]struct {
	rule     string
	from, to int
}{hallSilent: {"silence", 8, 5}, hallSurge: {"visits-surge", 4, 2}, hallImpossible: {"impossible-age", 3, 3}, hallDear: {"drug-cost-outlier", plantDays, 1}, hallCluster: {"disease-cluster", 6, 2}}

// planted reports whether the later peculiarities are in the data.
func (c Config) planted() bool { return c.Halls >= plantHalls && c.Days >= plantDays }

// Planted lists the peculiarities of a simulation.
func (c Config) Planted() []Plant {
	day := func(back int) string { return c.Start.In(China()).AddDate(0, 0, c.Days-back).Format(time.DateOnly) }
	all := func(rule string, h int) Plant { return Plant{rule, hallCode(h), day(c.Days), day(1)} }
	out := []Plant{all("overdose", hallOverdose)}
	if c.Halls > hallClash {
		out = append(out, all("eighteen-incompatibles", hallClash))
	}
	if c.Halls > hallForgets {
		out = append(out, all("syndrome-missing", hallForgets))
	}
	if c.planted() {
		for _, h := range []int{hallSilent, hallSurge, hallImpossible, hallDear, hallCluster} {
			p := plants[h]
			out = append(out, Plant{p.rule, hallCode(h), day(min(p.from, c.Days)), day(p.to)})
		}
	}
	return out
}

// on reports whether a hall's later peculiarity holds on a day.
func (c *county) on(h int, date time.Time) bool {
	p, ok := plants[h]
	if !ok || !c.cfg.planted() {
		return false
	}
	last := c.cfg.Start.In(c.zone).AddDate(0, 0, c.cfg.Days)
	y, m, d := last.Date()
	back := int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Sub(time.Date(date.Year(), date.Month(), date.Day(), 0, 0, 0, 0, time.UTC)).Hours() / 24)
	return back <= p.from && back >= p.to || h == hallDear && back >= p.to
}
