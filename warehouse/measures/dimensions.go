package measures

import "slices"

// dimension is a column or expression that groups the rows of the facts.
type dimension struct {
	sql  string
	only string // the one fact that has it, "" = both
	hall bool   // it needs the hall's row
	wide bool   // it needs the wide fact
	cube bool   // a day of a hall has one value of it
}

// dimensions by name; every Measure lists its own as stratifiers.
var dimensions = map[string]dimension{
	"org":        {sql: "org_code", cube: true},
	"area":       {sql: "h.area", hall: true, cube: true},
	"city":       {sql: "h.city", hall: true, cube: true},
	"level":      {sql: "h.level", hall: true, cube: true},
	"day":        {sql: "day", cube: true},
	"week":       {sql: "toMonday(day)", cube: true},
	"month":      {sql: "formatDateTime(day, '%Y-%m')", cube: true},
	"quarter":    {sql: "concat(toString(toYear(day)), 'Q', toString(toQuarter(day)))", cube: true},
	"year":       {sql: "toYear(day)", cube: true},
	"weekday":    {sql: "toDayOfWeek(day)", cube: true},
	"doctor":     {sql: "doctor_id"},
	"visit-type": {sql: "visit_type", only: "visit"},
	"insurance":  {sql: "insurance", only: "visit"},
	"gender":     {sql: "gender", only: "visit", wide: true},
	"age-band":   {sql: "multiIf(age IS NULL OR age < 0, '不详', age < 7, '0–6', age < 18, '7–17', age < 45, '18–44', age < 60, '45–59', age < 75, '60–74', '75+')", only: "visit", wide: true},
	"disease":    {sql: "disease", only: "visit", wide: true},
	"syndrome":   {sql: "syndrome", only: "visit", wide: true},
	"icd10":      {sql: "icd10", only: "visit", wide: true},
	"category":   {sql: "category", only: "prescription"},
	"formula":    {sql: "formula", only: "prescription"},
}

func dimensionNames(fact string) (names []string) {
	for name, d := range dimensions {
		if d.only == "" || d.only == fact {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
