// Package extract makes research extracts that identify nobody: pseudonyms by a
// keyed hash, dates shifted per person, ages in bands and areas generalised until
// every combination of them holds at least k people, rare diagnoses and small
// cells suppressed, people who refused left out. A report tells what was done and
// what is left of the risk.
package extract

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Config says how an extract is made.
type Config struct {
	K        int    `json:"k"`        // people in the smallest class
	Shift    int    `json:"shift"`    // days that dates are moved, at most, per person
	Small    int    `json:"small"`    // cells and diagnoses of fewer people are suppressed
	Suppress int    `json:"suppress"` // percent of rows that may be left out before ages and areas are made coarser
	Consent  string `json:"consent"`  // opt-out: all but those who refused; opt-in: only those who agreed
	Key      []byte `json:"-"`        // of pseudonyms and shifts; the same key gives the same ones
}

// Default is the project's: k 5, dates up to 30 days, cells of 10.
func Default() Config { return Config{K: 5, Shift: 30, Small: 10, Suppress: 5, Consent: "opt-out"} }

// Validate reports what is wrong.
func (c Config) Validate() error {
	switch {
	case c.K < 2 || c.K > 1000:
		return fault.New(fault.Invalid, "k 应在 2 到 1000 之间")
	case c.Shift < 1 || c.Shift > 365:
		return fault.New(fault.Invalid, "日期平移 shift 应在 1 到 365 天之间")
	case c.Small < 1 || c.Small > 1000 || c.Suppress < 0 || c.Suppress > 50:
		return fault.New(fault.Invalid, "small 应在 1 到 1000，suppress 应在 0 到 50 之间")
	case c.Consent != "opt-out" && c.Consent != "opt-in":
		return fault.New(fault.Invalid, "consent 应为 opt-out 或 opt-in")
	case len(c.Key) < 16:
		return fault.New(fault.Invalid, "密钥太短")
	}
	return nil
}

// Row is a visit of the extract.
type Row struct {
	Person, Visit            string // pseudonyms
	Gender, AgeBand, Area    string // quasi-identifiers, generalised
	Date                     string // shifted
	VisitType, Payer         string
	Disease, Syndrome, ICD10 string
	Formula                  string
	Herbs, Doses, Cost       string
	patient                  string
	birth, day               time.Time
}

// Header names the columns of a row.
var Header = []string{"person", "visit", "gender", "age_band", "area", "date", "visit_type", "payer", "disease", "syndrome", "icd10", "formula", "herbs", "doses", "cost"}

// Fields are the row's values in the order of Header.
func (r *Row) Fields() []string {
	return []string{r.Person, r.Visit, r.Gender, r.AgeBand, r.Area, r.Date, r.VisitType, r.Payer, r.Disease, r.Syndrome, r.ICD10, r.Formula, r.Herbs, r.Doses, r.Cost}
}

// Cell is a count of people of a diagnosis; People is -1 where it is too small to
// be told.
type Cell struct {
	Disease, Gender, AgeBand string
	People                   int
}

// Report tells how the extract was made.
type Report struct {
	Config
	From            string   `json:"from"`
	To              string   `json:"to"`
	Visits          int      `json:"visits"`     // finished visits in the scope
	Refused         int      `json:"refused"`    // of them left out for want of consent
	Suppressed      int      `json:"suppressed"` // of them left out because their class was too small
	Rows            int      `json:"rows"`
	People          int      `json:"people"`
	QuasiIdentifers []string `json:"quasiIdentifiers"`
	AgeYears        int      `json:"ageYears"`      // width of the age bands; 0 = no ages
	AreaDigits      int      `json:"areaDigits"`    // of the area code kept; 0 = no areas
	Classes         int      `json:"classes"`       // combinations of the quasi-identifiers
	Smallest        int      `json:"smallestClass"` // people in the smallest: the k that is reached
	Rare            int      `json:"rareValues"`    // diagnoses and formulas replaced by 其他
	SmallCells      int      `json:"smallCells"`    // cells of the table suppressed
	Direct          []string `json:"removed"`       // direct identifiers that are not in the extract
}

// Result is an extract.
type Result struct {
	Rows   []Row
	Cells  []Cell
	Report Report
}

// maxVisits bounds what is held in memory.
const maxVisits = 1_000_000

// ladder are the generalisations, from the finest on: years of an age band, and
// digits of the area code.
var ladder = []struct{ years, digits int }{{5, 6}, {10, 6}, {10, 4}, {20, 4}, {20, 2}, {40, 2}, {40, 0}, {0, 0}}

// Make makes an extract of the finished visits of a scope.
func Make(ctx context.Context, q measures.Querier, scope measures.Scope, cfg Config, now time.Time) (*Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	rows, err := read(ctx, q, scope)
	if err != nil {
		return nil, err
	}
	out := &Result{Report: Report{Config: cfg, From: scope.From.In(measures.Shanghai()).Format(time.DateOnly), To: scope.To.Add(-time.Second).In(measures.Shanghai()).Format(time.DateOnly),
		Visits: len(rows), QuasiIdentifers: []string{"gender", "age_band", "area"}, Direct: []string{"姓名", "身份证号", "病人号", "电话", "住址", "出生日期", "就诊号", "机构与医生", "病历文本"}}}
	decided, err := consents(ctx, q, now)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(r Row) bool {
		said, ok := decided[r.patient]
		return ok && said == "deny" || cfg.Consent == "opt-in" && said != "permit"
	})
	out.Report.Refused = out.Report.Visits - len(rows)
	out.generalise(rows, cfg)
	for i := range out.Rows {
		out.Rows[i].disguise(cfg)
	}
	out.rare(cfg.Small)
	out.cells(cfg.Small)
	slices.SortFunc(out.Rows, func(a, b Row) int { return strings.Compare(a.Person+a.Date+a.Visit, b.Person+b.Date+b.Visit) })
	out.Report.Rows = len(out.Rows)
	return out, nil
}

func read(ctx context.Context, q measures.Querier, scope measures.Scope) (rows []Row, err error) {
	const sql = `WITH finished AS (SELECT id, assumeNotNull(patient_id) AS patient_id, ifNull(org_code, '') AS org_code, toDate(start, 'Asia/Shanghai') AS day, visit_type, insurance FROM qihuang.encounter FINAL
  WHERE status = 'finished' AND patient_id IS NOT NULL AND start >= {from:DateTime64(3, 'UTC')} AND start < {to:DateTime64(3, 'UTC')} AND (empty({orgs:Array(String)}) OR org_code IN {orgs:Array(String)}))
SELECT f.id, f.patient_id, f.org_code, f.day, ifNull(f.visit_type, ''), ifNull(f.insurance, ''), ifNull(p.gender, ''), ifNull(p.birth_date, toDate32('1900-01-01')),
  ifNull(d.disease, ''), ifNull(d.syndrome, ''), ifNull(d.icd10, ''), ifNull(x.formula, ''), arrayStringConcat(arraySort(x.herbs), '、'), toString(ifNull(x.doses, 0)), toString(ifNull(c.cost, 0))
FROM finished AS f
LEFT JOIN (SELECT id, gender, birth_date FROM qihuang.patient FINAL WHERE id IN (SELECT patient_id FROM finished)) AS p ON p.id = f.patient_id
LEFT JOIN (SELECT encounter_id, minIf(display, category = 'tcm-disease') AS disease, minIf(display, category = 'tcm-syndrome') AS syndrome, minIf(code, category = 'western') AS icd10
  FROM qihuang.condition FINAL WHERE encounter_id IN (SELECT id FROM finished) GROUP BY encounter_id) AS d ON d.encounter_id = f.id
LEFT JOIN (SELECT r.encounter_id AS encounter_id, min(r.formula) AS formula, max(r.doses) AS doses, groupUniqArray(ifNull(i.name, '')) AS herbs
  FROM qihuang.prescription AS r FINAL LEFT JOIN (SELECT assumeNotNull(prescription_id) AS prescription_id, name FROM qihuang.prescription_item FINAL WHERE prescription_id IS NOT NULL) AS i ON i.prescription_id = r.id
  WHERE r.category IN ('decoction', 'granule') AND r.encounter_id IN (SELECT id FROM finished) GROUP BY r.encounter_id) AS x ON x.encounter_id = f.id
LEFT JOIN (SELECT encounter_id, sum(amount) AS cost FROM qihuang.charge FINAL WHERE encounter_id IN (SELECT id FROM finished) GROUP BY encounter_id) AS c ON c.encounter_id = f.id`
	err = q.Query(ctx, sql, scope.Params(), func(scan func(...any) error) error {
		var r Row
		if len(rows) >= maxVisits {
			return fault.New(fault.TooCostly, "超过 %d 次就诊，请缩小时间或机构范围", maxVisits)
		}
		err := scan(&r.Visit, &r.patient, &r.Area, &r.day, &r.VisitType, &r.Payer, &r.Gender, &r.birth, &r.Disease, &r.Syndrome, &r.ICD10, &r.Formula, &r.Herbs, &r.Doses, &r.Cost)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// consents are each patient's newest decision on research that is in force.
func consents(ctx context.Context, q measures.Querier, now time.Time) (map[string]string, error) {
	out := map[string]string{}
	const sql = `SELECT assumeNotNull(patient_id), argMax(ifNull(decision, 'permit'), ifNull(time, toDateTime64(0, 3, 'UTC'))) FROM qihuang.consent FINAL
WHERE patient_id IS NOT NULL AND status = 'active' AND scope = 'research' AND (start IS NULL OR start <= {now:DateTime64(3, 'UTC')}) AND ("end" IS NULL OR "end" >= {now:DateTime64(3, 'UTC')}) GROUP BY patient_id`
	err := q.Query(ctx, sql, map[string]string{"now": now.UTC().Format("2006-01-02 15:04:05.000")}, func(scan func(...any) error) error {
		var patient, decision string
		err := scan(&patient, &decision)
		out[patient] = decision
		return err
	})
	return out, err
}

// band is the age band of a row; "" without a birth date, or without ages.
func (r *Row) band(years int) string {
	if years == 0 || r.birth.Year() <= 1900 {
		return ""
	}
	age := r.day.Year() - r.birth.Year()
	if r.day.YearDay() < r.birth.YearDay() {
		age--
	}
	if age >= 90 {
		return "90+" // the very old stand out
	}
	low := max(0, age) / years * years
	return fmt.Sprintf("%d–%d", low, min(low+years-1, 89))
}

type class struct{ gender, band, area string }

// generalise picks the finest generalisation that leaves out few enough rows,
// and leaves out the classes that are still too small.
func (out *Result) generalise(rows []Row, cfg Config) {
	for level, g := range ladder {
		people := map[class]map[string]bool{}
		classes := make([]class, len(rows))
		for i := range rows {
			r := &rows[i]
			c := class{r.Gender, r.band(g.years), r.Area[:min(g.digits, len(r.Area))]}
			classes[i] = c
			if people[c] == nil {
				people[c] = map[string]bool{}
			}
			people[c][r.patient] = true
		}
		suppressed := 0
		for _, c := range classes {
			if len(people[c]) < cfg.K {
				suppressed++
			}
		}
		if 100*suppressed > cfg.Suppress*len(rows) && level < len(ladder)-1 {
			continue
		}
		all := map[string]bool{}
		out.Report.AgeYears, out.Report.AreaDigits, out.Report.Suppressed = g.years, g.digits, suppressed
		for i, r := range rows {
			if c := classes[i]; len(people[c]) >= cfg.K {
				r.AgeBand, r.Area = c.band, c.area
				out.Rows, all[r.patient] = append(out.Rows, r), true
			}
		}
		for _, members := range people {
			if n := len(members); n >= cfg.K {
				out.Report.Classes++
				if out.Report.Smallest == 0 || n < out.Report.Smallest {
					out.Report.Smallest = n
				}
			}
		}
		out.Report.People = len(all)
		return
	}
}

// disguise replaces ids by pseudonyms and moves the date.
func (r *Row) disguise(cfg Config) {
	person := keyed(cfg.Key, "person", r.patient)
	r.Person, r.Visit = word(person), word(keyed(cfg.Key, "visit", r.Visit))
	days := int(binary.BigEndian.Uint32(keyed(cfg.Key, "shift", r.patient))%uint32(2*cfg.Shift)) - cfg.Shift
	if days >= 0 {
		days++ // never 0
	}
	r.Date = r.day.AddDate(0, 0, days).Format(time.DateOnly)
}

func keyed(key []byte, purpose, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose + "\x00" + text))
	return h.Sum(nil)
}

func word(sum []byte) string {
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// rare replaces diagnoses and formulas that few people have: they would tell
// who it is.
func (out *Result) rare(small int) {
	fields := []func(*Row) *string{func(r *Row) *string { return &r.Disease }, func(r *Row) *string { return &r.Syndrome }, func(r *Row) *string { return &r.ICD10 }, func(r *Row) *string { return &r.Formula }}
	for _, field := range fields {
		people := map[string]map[string]bool{}
		for i := range out.Rows {
			v := *field(&out.Rows[i])
			if people[v] == nil {
				people[v] = map[string]bool{}
			}
			people[v][out.Rows[i].Person] = true
		}
		for i := range out.Rows {
			if v := field(&out.Rows[i]); *v != "" && len(people[*v]) < small {
				*v = "其他"
			}
		}
		for v, p := range people {
			if v != "" && len(p) < small {
				out.Report.Rare++
			}
		}
	}
	for i := range out.Rows { // a rare formula is told by its herbs too
		if r := &out.Rows[i]; r.Formula == "其他" {
			r.Herbs = ""
		}
	}
}

// cells count people by diagnosis, gender and age band.
func (out *Result) cells(small int) {
	people := map[Cell]map[string]bool{}
	for _, r := range out.Rows {
		c := Cell{Disease: r.Disease, Gender: r.Gender, AgeBand: r.AgeBand}
		if people[c] == nil {
			people[c] = map[string]bool{}
		}
		people[c][r.Person] = true
	}
	for c, p := range people {
		if c.People = len(p); c.People < small {
			c.People = -1
			out.Report.SmallCells++
		}
		out.Cells = append(out.Cells, c)
	}
	slices.SortFunc(out.Cells, func(a, b Cell) int {
		return strings.Compare(a.Disease+"\x00"+a.Gender+"\x00"+a.AgeBand, b.Disease+"\x00"+b.Gender+"\x00"+b.AgeBand)
	})
}
