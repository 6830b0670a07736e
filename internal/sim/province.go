package sim

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Province describes a province-year that is written straight into the
// warehouse: the engine makes the rows itself, from the number of a visit and
// the seed. It is for measuring at full size; data that passes the real doors
// comes from [Run].
type Province struct {
	Seed   uint64
	Visits int // in all
	Halls  int
	Days   int
	Start  time.Time // first day
}

// DefaultProvince is the size to plan for: 912 halls, 15 million visits a year.
func DefaultProvince(start time.Time) Province {
	return Province{Seed: 1, Visits: 15_000_000, Halls: 912, Days: 365, Start: start}
}

// Validate reports what is wrong.
func (p Province) Validate() error {
	switch {
	case p.Visits < 1000 || p.Visits > 200_000_000:
		return fmt.Errorf("visits 应在 1000 到 2 亿之间")
	case p.Halls < 1 || p.Halls > 100_000 || p.Days < 1 || p.Days > 3660 || p.Start.IsZero():
		return fmt.Errorf("halls 应在 1 到 100000，days 在 1 到 3660 之间，start 必填")
	}
	return nil
}

// cities are the prefecture-level codes of a province with sixteen cities.
var cities = []string{"01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "13", "14", "15", "16", "17"}

const (
	counties    = 8  // of a city
	doctors     = 10 // of a hall
	visitsEach  = 3  // of a patient in all
	chunkVisits = 500_000
)

// Step is one statement of the generation, with the visits it writes.
type Step struct {
	Table  string
	Visits int
	SQL    string
}

// Steps are the statements that write the province, in order, each of bounded
// size. The tables must be empty of this data: ids are the same every time, so
// that writing twice changes nothing with FINAL.
func (p Province) Steps() ([]Step, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	c, err := loadClinic()
	if err != nil {
		return nil, err
	}
	out := p.directory()
	for from := 0; from < p.Visits; from += chunkVisits {
		n := min(chunkVisits, p.Visits-from)
		visits := p.visits(c, from, n)
		for _, t := range p.tables() {
			out = append(out, Step{t.name, n, "INSERT INTO qihuang." + t.name + " (" + t.columns + ", _resource, _line, _version, _deleted) SELECT " + t.values + " FROM " + visits + t.rest + blocks})
		}
		// the roll-up has no _resource
		out = append(out, Step{"prescription", n, "INSERT INTO qihuang.prescription (id, no, encounter_id, patient_id, org_code, doctor_id, category, doses, amount, formula, status, authored, _version, _deleted)" +
			" SELECT rx, concat('S', no), enc, pat, org, doc, kind, if(herbal, doses, NULL), rx_cost, if(herbal, formula, NULL), 'active', at, 1, 0 FROM " + visits + " WHERE has_rx" + blocks})
	}
	return out, nil
}

// blocks makes few large parts of an insert: merging small ones costs as much
// as writing them.
const blocks = " SETTINGS max_insert_block_size = 4000000, min_insert_block_size_rows = 4000000, min_insert_block_size_bytes = 1000000000"

// hash is a number that follows from the seed, the visit and a purpose.
func (p Province) hash(purpose string) string {
	return fmt.Sprintf("sipHash64(%d, '%s', n)", p.Seed, purpose)
}

func orgOf(hall string) string {
	return fmt.Sprintf("concat('37', arrayElement(%s, toUInt32(%s %% 16 + 1)), leftPad(toString(intDiv(%s, 16) %% %d + 1), 2, '0'), leftPad(toString(%s + 1), 6, '0'))", texts(cities), hall, hall, counties, hall)
}

// visits is a subquery with a row per visit; a statement reads the columns that
// it needs. Ids grow with time, as those that the repository gives do.
func (p Province) visits(c *Clinic, from, n int) string {
	y, m, d := p.Start.Date()
	perHall := max(1, p.Visits/p.Halls/visitsEach)
	return "(SELECT " + strings.Join([]string{
		fmt.Sprintf("n, toUInt32(n %% %d) AS hall", p.Halls), "toString(1000000000 + n) AS no",
		fmt.Sprintf("toDateTime64('%04d-%02d-%02d 08:00:00', 3, 'Asia/Shanghai') + toIntervalDay(intDiv(n * %d, %d)) + toIntervalSecond(%s %% 32400) AS at", y, m, d, p.Days, p.Visits, p.hash("t")),
		orgOf("hall") + " AS org",
		fmt.Sprintf("concat('prac-sim-', toString(hall * %d + %s %% %d)) AS doc", doctors, p.hash("d"), doctors),
		fmt.Sprintf("concat('pat-sim-', toString(hall), '-', toString(%s %% %d)) AS pat", p.hash("p"), perHall),
		"concat('enc-sim-', no) AS enc", "concat('sim|S', no) AS rx",
		"disease, disease_code, syndrome, syndrome_code, formula, icd, icd_name, herb_names",
		fmt.Sprintf("%s %% 100 AS dice", p.hash("r")), "dice < 90 AS has_rx", "dice < 70 AS herbal",
		"multiIf(dice < 60, 'decoction', dice < 70, 'granule', dice < 80, 'patent', 'western') AS kind",
		fmt.Sprintf("3 + 2 * (%s %% 3) AS doses", p.hash("n")),
		fmt.Sprintf("if(hall = 0 AND intDiv(n, %d) %% 10 = 7, 4, 1) AS times", p.Halls),
		fmt.Sprintf("if(herbal, toDecimal64(grams * times * doses * (10 + %s %% 50) / 100, 2), toDecimal64(10 + %s %% 40, 2)) AS rx_cost", p.hash("f"), p.hash("f")),
		"herb_grams", fmt.Sprintf("%s %% 4 = 0 AS treated", p.hash("z")),
		fmt.Sprintf("arrayElement(['普通针刺','艾灸治疗','拔罐疗法','推拿治疗'], toUInt32(%s %% 4 + 1)) AS technique", p.hash("q")),
	}, ", ") + fmt.Sprintf(" FROM (SELECT number AS n, toUInt32(%s %% %d) AS cs FROM numbers(%d, %d)) AS v INNER JOIN %s AS c ON c.cs = v.cs)", p.hash("c"), len(c.Cases), from, n, cases(c))
}

// cases is a table of what is treated, and with what, by number.
func cases(c *Clinic) string {
	western := map[string]WesternName{}
	for _, w := range c.Western {
		western[w.Disease] = w
	}
	rows := make([]string, len(c.Cases))
	for i, cs := range c.Cases {
		w, sum := western[cs.DiseaseCode], 0
		var names, grams []string
		for _, h := range cs.Herbs {
			if herb, ok := c.herb(h); ok {
				g := max(1, int(math.Floor((herb.MinG+herb.MaxG)/2)))
				names, grams, sum = append(names, h), append(grams, fmt.Sprint(g)), sum+g
			}
		}
		rows[i] = fmt.Sprintf("(%d, %s, %s, [%s], %d)", i, strings.Trim(texts([]string{cs.Disease, cs.DiseaseCode, cs.Syndrome, cs.SyndromeCode, cs.Formula, w.Code, w.Name}), "[]"), texts(names), strings.Join(grams, ","), sum)
	}
	return "(SELECT * FROM values('cs UInt32, disease String, disease_code String, syndrome String, syndrome_code String, formula String, icd String, icd_name String, herb_names Array(String), herb_grams Array(UInt32), grams UInt32', " + strings.Join(rows, ", ") + "))"
}

// texts writes a list as an array of ClickHouse.
func texts(list []string) string {
	q := make([]string, len(list))
	for i, s := range list {
		q[i] = "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
	}
	return "[" + strings.Join(q, ",") + "]"
}

// into is a table that visits fill.
type into struct{ name, columns, values, rest string }

func (p Province) tables() []into {
	key := func(typ, id string) string { return "concat('" + typ + "/', " + id + "), " }
	return []into{
		{"encounter", "id, visit_no, org_code, org_name, doctor_id, patient_id, start, status, class, visit_type, insurance",
			"enc, no, org, concat('示例馆', toString(hall + 1)), doc, pat, at, 'finished', 'AMB', if(" + p.hash("v") + " % 10 < 4, '2', '1'), arrayElement(['03','02','01','07'], toUInt32(" + p.hash("i") + " % 4 + 1)), " + key("Encounter", "enc") + "0, 1, 0", ""},
		{"condition", "id, encounter_id, patient_id, code, display, system, category, recorded",
			"concat(enc, '-', toString(k)), enc, pat, arrayElement([disease_code, syndrome_code, icd], k), arrayElement([disease, syndrome, icd_name], k), 'sim', arrayElement(['tcm-disease', 'tcm-syndrome', 'western'], k), at, " + key("Condition", "concat(enc, '-', toString(k))") + "0, 1, 0",
			" ARRAY JOIN [1, 2, 3] AS k WHERE arrayElement([disease_code, syndrome_code, icd], k) != ''"},
		{"finding", "id, encounter_id, patient_id, kind, text, time",
			"concat(enc, '-', kind_of), enc, pat, kind_of, '模拟', at, " + key("Observation", "concat(enc, '-', kind_of)") + "0, 1, 0", " ARRAY JOIN ['inspection', 'listening', 'inquiry', 'palpation', 'tongue', 'pulse'] AS kind_of"},
		{"record", "id, encounter_id, patient_id, title, date, sections, has_chief_complaint", "concat('rec-', enc), enc, pat, '门诊病历', at, 8, true, " + key("Composition", "concat('rec-', enc)") + "0, 1, 0", ""},
		{"treatment", "id, encounter_id, patient_id, name, amount, doctor_id, status, time", "concat('proc-', enc), enc, pat, technique, 25, doc, 'completed', at, " + key("Procedure", "concat('proc-', enc)") + "0, 1, 0", " WHERE treated"},
		{"charge", "id, encounter_id, patient_id, org_code, category, name, quantity, amount, status, time",
			"concat('chg-', enc, '-', toString(k)), enc, pat, org, arrayElement(['consultation', kind, 'treatment'], k), arrayElement(['中医辨证论治费', kind, technique], k), 1, arrayElement([toDecimal64(5, 2), rx_cost, toDecimal64(25, 2)], k), 'billed', at, " +
				key("ChargeItem", "concat('chg-', enc, '-', toString(k))") + "0, 1, 0", " ARRAY JOIN [1, 2, 3] AS k WHERE k = 1 OR k = 2 AND has_rx OR k = 3 AND treated"},
		{"prescription_item", "prescription_id, line, code, name, dose, unit, quantity",
			"rx, i - 1, '', herb, if(herbal, gram * times, NULL), 'g', if(herbal, gram * times * doses, 1), " + key("Medication", "rx") + "i - 1, 1, 0",
			" ARRAY JOIN if(herbal, herb_names, ['示例成药']) AS herb, if(herbal, herb_grams, [0]) AS gram, if(herbal, arrayEnumerate(herb_names), [1]) AS i WHERE has_rx"},
	}
}

// directory writes the organisations, doctors and patients.
func (p Province) directory() []Step {
	row := ", _resource, _line, _version, _deleted) SELECT "
	perHall := max(1, p.Visits/p.Halls/visitsEach)
	hall := fmt.Sprintf("FROM numbers(%d)", p.Halls)
	out := []Step{
		{"hall", 0, "INSERT INTO qihuang.hall (id, code, name, level, city, area, parent_id, active" + row + "'org-sim-37', '370000', '示例省', 'province', NULL, NULL, NULL, true, 'Organization/org-sim-37', 0, 1, 0"},
		{"hall", 0, "INSERT INTO qihuang.hall (id, code, name, level, city, parent_id, active" + row + "concat('org-sim-37', c), concat('37', c, '00'), concat('示例市', c), 'city', concat('示例市', c), 'org-sim-37', true, concat('Organization/org-sim-37', c), 0, 1, 0 FROM (SELECT arrayJoin(" + texts(cities) + ") AS c)"},
		{"hall", 0, fmt.Sprintf("INSERT INTO qihuang.hall (id, code, name, level, city, area, parent_id, active"+row+"concat('org-sim-37', c, k), concat('37', c, k), concat('示例县', k), 'county', concat('示例市', c), concat('示例县', c, k), concat('org-sim-37', c), true, concat('Organization/org-sim-37', c, k), 0, 1, 0 "+
			"FROM (SELECT arrayJoin(%s) AS c) AS a CROSS JOIN (SELECT leftPad(toString(number + 1), 2, '0') AS k FROM numbers(%d)) AS b", texts(cities), counties)},
		{"hall", 0, "INSERT INTO qihuang.hall (id, code, name, level, city, area, parent_id, active" + row + "concat('org-sim-', code), code, concat('示例馆', toString(number + 1)), 'township', concat('示例市', substring(code, 3, 2)), concat('示例县', substring(code, 3, 4)), concat('org-sim-', substring(code, 1, 6)), true, concat('Organization/org-sim-', code), 0, 1, 0 FROM (SELECT number, " +
			orgOf("number") + " AS code " + hall + ")"},
		{"practitioner", 0, "INSERT INTO qihuang.practitioner (id, no, org_code, name" + row + fmt.Sprintf("concat('prac-sim-', toString(number)), toString(number), %s, '示例医生', concat('Practitioner/prac-sim-', toString(number)), 0, 1, 0 FROM numbers(%d)", orgOf(fmt.Sprintf("intDiv(number, %d)", doctors)), p.Halls*doctors)},
	}
	for from := 0; from < p.Halls*perHall; from += chunkVisits {
		n := min(chunkVisits, p.Halls*perHall-from)
		id := fmt.Sprintf("concat('pat-sim-', toString(intDiv(number, %d)), '-', toString(number %% %d))", perHall, perHall)
		out = append(out, Step{"patient", 0, "INSERT INTO qihuang.patient (id, identifier, name, gender, birth_date, org_code, active" + row + fmt.Sprintf("%s, toString(number), '示例患者', if(sipHash64(%d, 'g', number) %% 2, 'male', 'female'), toDate32('1936-01-01') + toIntervalDay(sipHash64(%d, 'b', number) %% 31000), %s, true, concat('Patient/', %s), 0, 1, 0 FROM numbers(%d, %d)",
			id, p.Seed, p.Seed, orgOf(fmt.Sprintf("intDiv(number, %d)", perHall)), id, from, n)})
	}
	return out
}
