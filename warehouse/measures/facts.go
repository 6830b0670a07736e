package measures

import (
	"fmt"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
)

// The facts that indicators are aggregates over: one row per finished visit,
// one per prescription of a finished visit. Each is written once, and selected
// for a scope asked for (live) or a span of days (the marts).

// live bounds the encounters of a query by bound parameters.
const live = `start >= {from:DateTime64(3, 'UTC')} AND start < {to:DateTime64(3, 'UTC')} AND (empty({orgs:Array(String)}) OR org_code IN {orgs:Array(String)})`

// finished are the visits that count, where the condition on encounter holds.
func finished(where string) string {
	return `finished AS (
  SELECT id, ifNull(org_code, '') AS org_code, doctor_id, patient_id, toDate(start, 'Asia/Shanghai') AS day, visit_type, insurance
  FROM qihuang.encounter FINAL
  WHERE status = 'finished' AND ` + where + `)`
}

// in keeps a table to the rows of finished visits.
const in = ` FINAL WHERE encounter_id IN (SELECT id FROM finished) GROUP BY encounter_id`

// fact is one of the two facts.
type fact struct {
	name    string
	columns []col  // what the row has
	joins   string // from `finished AS f` on
	wide    []col  // dimensions that need more tables
	more    string // the joins of these
	before  string // CTEs the fact needs, besides finished
}

// col is a column: its SQL over the joins, and the type it is kept as in a mart
// ("" = as it comes).
type col struct{ name, sql, typ string }

func visitFact() *fact {
	word, count, flag, money := "LowCardinality(Nullable(String))", "UInt16", "UInt8", "Decimal(18, 6)"
	number := func(name, sql string) col { return col{name, "ifNull(" + sql + ", 0)", count} }
	yuan := func(name, sql string) col { return col{name, "ifNull(" + sql + ", 0)", money} }
	has := func(name, sql string) col { return col{name, "ifNull(" + sql + ", 0) > 0", flag} }
	return &fact{name: "visit",
		columns: []col{
			{"id", "f.id", ""}, {"org_code", "f.org_code", "LowCardinality(String)"}, {"doctor_id", "f.doctor_id", word}, {"patient_id", "f.patient_id", "key"}, {"day", "f.day", "Date"},
			{"visit_type", "f.visit_type", word}, {"insurance", "f.insurance", word},
			number("rx", "p.rx"), number("rx_decoction", "p.decoction"), number("rx_granule", "p.granule"), number("rx_patent", "p.patent"), number("rx_western", "p.western"),
			number("therapies", "t.therapies"), {"therapy_names", "t.names", "Array(LowCardinality(String))"},
			number("charges", "c.charges"), yuan("cost", "c.cost"), yuan("drug_cost", "c.drug"), yuan("decoction_cost", "c.decoction"), yuan("granule_cost", "c.granule"), yuan("patent_cost", "c.patent"),
			yuan("western_cost", "c.western"), yuan("therapy_cost", "c.therapy"), yuan("examination_cost", "c.examination"),
			has("has_disease", "d.disease"), has("has_syndrome", "d.syndrome"), has("has_icd10", "d.icd10"), has("coded_disease", "d.coded_disease"), has("coded_syndrome", "d.coded_syndrome"),
			has("has_tongue", "o.tongue"), has("has_pulse", "o.pulse"), {"examinations", "o.examinations", "UInt8"}, has("has_record", "r.records"), has("has_chief_complaint", "r.complaints"),
		},
		joins: `
  LEFT JOIN (SELECT encounter_id, count() AS rx, countIf(category = 'decoction') AS decoction, countIf(category = 'granule') AS granule, countIf(category = 'patent') AS patent, countIf(category = 'western') AS western
    FROM qihuang.prescription` + in + `) AS p ON p.encounter_id = f.id
  LEFT JOIN (SELECT encounter_id, count() AS therapies, groupUniqArray(ifNull(name, '')) AS names
    FROM qihuang.treatment` + in + `) AS t ON t.encounter_id = f.id
  LEFT JOIN (SELECT encounter_id, count() AS charges, sum(amount) AS cost, sumIf(amount, category IN ('decoction', 'granule', 'patent', 'western')) AS drug, sumIf(amount, category = 'decoction') AS decoction,
      sumIf(amount, category = 'granule') AS granule, sumIf(amount, category = 'patent') AS patent, sumIf(amount, category = 'western') AS western, sumIf(amount, category = 'treatment') AS therapy,
      sumIf(amount, category IN ('examination', 'laboratory')) AS examination
    FROM qihuang.charge` + in + `) AS c ON c.encounter_id = f.id
  LEFT JOIN (SELECT encounter_id, countIf(category = 'tcm-disease') AS disease, countIf(category = 'tcm-syndrome') AS syndrome, countIf(category = 'western' AND code != '') AS icd10,
      countIf(category = 'tcm-disease' AND code != '') AS coded_disease, countIf(category = 'tcm-syndrome' AND code != '') AS coded_syndrome,
      minIf(display, category = 'tcm-disease') AS disease_name, minIf(display, category = 'tcm-syndrome') AS syndrome_name, minIf(display, category = 'western') AS western_name
    FROM qihuang.condition` + in + `) AS d ON d.encounter_id = f.id
  LEFT JOIN (SELECT encounter_id, countIf(kind = 'tongue') AS tongue, countIf(kind = 'pulse') AS pulse, uniqExactIf(kind, kind IN ('inspection', 'listening', 'inquiry', 'palpation')) AS examinations
    FROM qihuang.finding` + in + `) AS o ON o.encounter_id = f.id
  LEFT JOIN (SELECT encounter_id, count() AS records, countIf(has_chief_complaint) AS complaints
    FROM qihuang.record` + in + `) AS r ON r.encounter_id = f.id`,
		wide: []col{{"gender", "q.gender", word}, {"age", "if(q.birth_date IS NULL, NULL, age('year', assumeNotNull(q.birth_date), toDate32(f.day)))", "Nullable(Int16)"},
			{"disease", "d.disease_name", word}, {"syndrome", "d.syndrome_name", word}, {"icd10", "d.western_name", word}},
		more: `
  LEFT JOIN (SELECT id, any(gender) AS gender, any(birth_date) AS birth_date FROM qihuang.patient FINAL WHERE id IN (SELECT assumeNotNull(patient_id) FROM finished WHERE patient_id IS NOT NULL) GROUP BY id) AS q ON q.id = f.patient_id`,
	}
}

// prescriptionFact counts the rational-use findings by the same rule data as
// package rational.
func prescriptionFact(k *rational.Knowledge) *fact {
	word := "LowCardinality(Nullable(String))"
	return &fact{name: "prescription",
		columns: []col{
			{"id", "p.id", ""}, {"encounter_id", "f.id", ""}, {"org_code", "f.org_code", "LowCardinality(String)"}, {"doctor_id", "f.doctor_id", word}, {"day", "f.day", "Date"}, {"category", "p.category", word},
			{"herbal", "ifNull(p.category IN ('decoction', 'granule'), 0)", "UInt8"}, {"doses", "ifNull(p.doses, 0)", "Decimal(18, 6)"}, {"amount", "ifNull(p.amount, 0)", "Decimal(18, 6)"},
			{"formula", "ifNull(p.formula, '')", "LowCardinality(String)"}, {"herbs", "i.herbs", "UInt16"}, {"overdose", "ifNull(i.overdose, 0)", "UInt8"}, {"toxic", "i.toxic", "UInt8"},
			{"unknown", "i.unknown", "UInt8"}, {"eighteen", meets(k, "eighteen-incompatibles"), "UInt8"}, {"nineteen", meets(k, "nineteen-antagonisms"), "UInt8"},
		},
		before: `doses AS (SELECT c1 AS name, c2 AS max_g, c3 AS toxic FROM values('c1 String, c2 Float64, c3 UInt8', ` + herbRows(k) + `)),
written AS (SELECT id, encounter_id, category, doses, amount, formula FROM qihuang.prescription FINAL WHERE encounter_id IN (SELECT id FROM finished)),
`,
		joins: `
  INNER JOIN written AS p ON p.encounter_id = f.id
  LEFT JOIN (SELECT prescription_id, count() AS herbs, max(h.max_g > 0 AND ifNull(unit, '') IN ('', 'g', 'G', '克') AND toFloat64(ifNull(dose, 0)) > h.max_g) AS overdose,
      max(h.toxic) AS toxic, max(h.name = '') AS unknown, groupUniqArray(ifNull(i.name, '')) AS names
    FROM qihuang.prescription_item AS i FINAL LEFT JOIN doses AS h ON h.name = i.name
    WHERE prescription_id IN (SELECT id FROM written) GROUP BY prescription_id) AS i ON i.prescription_id = p.id`,
	}
}

// sql is the fact as a chain of CTEs ending in one of the fact's name, for the
// encounters where a condition holds. wide adds the dimensions of other tables;
// kept casts to the types of the mart.
func (f *fact) sql(where string, wide, kept bool) string {
	cols, joins := f.columns, f.joins
	if wide {
		cols, joins = append(cols[:len(cols):len(cols)], f.wide...), joins+f.more
	}
	list := make([]string, len(cols))
	for i, c := range cols {
		sql := c.sql
		switch {
		case kept && c.typ == "key": // a key is only counted: 8 bytes do
			sql = "if(" + sql + " IS NULL, NULL, sipHash64(" + sql + "))"
		case kept && c.typ != "":
			sql = "CAST(" + sql + ", '" + strings.ReplaceAll(c.typ, "'", `\'`) + "')"
		}
		list[i] = sql + " AS " + c.name
	}
	return "WITH " + finished(where) + ",\n" + f.before + f.name + " AS (\n  SELECT " + strings.Join(list, ", ") + "\n  FROM finished AS f" + joins + ")"
}

// herbRows writes the herbs' upper doses as rows of a values table function.
func herbRows(k *rational.Knowledge) string {
	var rows []string
	for name, h := range k.Names() {
		toxic := 0
		if h.Toxicity == "有毒" || h.Toxicity == "有大毒" {
			toxic = 1
		}
		rows = append(rows, fmt.Sprintf("(%s, %g, %d)", quote(name), float64(h.Max)/float64(rational.Gram), toxic))
	}
	return strings.Join(rows, ",")
}

// meets is true when a prescription has herbs of both sides of a pair.
func meets(k *rational.Knowledge, kind rational.Kind) string {
	var or []string
	for a, b := range k.Pairs(kind) {
		or = append(or, "(hasAny(i.names, "+list(a)+") AND hasAny(i.names, "+list(b)+"))")
	}
	if len(or) == 0 {
		return "0"
	}
	return "(" + strings.Join(or, " OR ") + ")"
}

func list(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = quote(n)
	}
	return "[" + strings.Join(q, ",") + "]"
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
