package measures

import (
	"fmt"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
)

// visits are the finished encounters of the scope. {from}, {to} and {orgs} are
// bound by the server.
const visits = `finished AS (
  SELECT id, org_code, doctor_id, patient_id, toDate(start, 'Asia/Shanghai') AS day, visit_type, insurance
  FROM qihuang.encounter FINAL
  WHERE status = 'finished' AND start >= {from:DateTime64(3, 'UTC')} AND start < {to:DateTime64(3, 'UTC')}
    AND (empty({orgs:Array(String)}) OR org_code IN {orgs:Array(String)}))`

// visitFact is one row per finished visit with what it brought.
const visitFact = `WITH ` + visits + `,
visit AS (
  SELECT f.id AS id, f.org_code AS org_code, f.doctor_id AS doctor_id, f.patient_id AS patient_id, f.day AS day, f.visit_type AS visit_type, f.insurance AS insurance,
    p.rx AS rx, p.decoction AS rx_decoction, p.granule AS rx_granule, p.patent AS rx_patent, p.western AS rx_western,
    t.therapies AS therapies, t.names AS therapy_names,
    c.cost AS cost, c.drug AS drug_cost, c.decoction AS decoction_cost, c.granule AS granule_cost, c.patent AS patent_cost, c.western AS western_cost, c.therapy AS therapy_cost, c.examination AS examination_cost,
    d.disease > 0 AS has_disease, d.syndrome > 0 AS has_syndrome, d.icd10 > 0 AS has_icd10, d.coded_disease > 0 AS coded_disease, d.coded_syndrome > 0 AS coded_syndrome,
    o.tongue > 0 AS has_tongue, o.pulse > 0 AS has_pulse, o.examinations AS examinations, r.records > 0 AS has_record, r.complaints > 0 AS has_chief_complaint
  FROM finished AS f
  LEFT JOIN (SELECT encounter_id, count() AS rx, countIf(category = 'decoction') AS decoction, countIf(category = 'granule') AS granule, countIf(category = 'patent') AS patent, countIf(category = 'western') AS western
    FROM qihuang.prescription FINAL WHERE encounter_id IN (SELECT id FROM finished) GROUP BY encounter_id) AS p ON p.encounter_id = f.id
  LEFT JOIN (SELECT encounter_id, count() AS therapies, groupUniqArray(ifNull(name, '')) AS names
    FROM qihuang.treatment FINAL WHERE encounter_id IN (SELECT id FROM finished) GROUP BY encounter_id) AS t ON t.encounter_id = f.id
  LEFT JOIN (SELECT encounter_id, sum(amount) AS cost, sumIf(amount, category IN ('decoction', 'granule', 'patent', 'western')) AS drug, sumIf(amount, category = 'decoction') AS decoction, sumIf(amount, category = 'granule') AS granule,
      sumIf(amount, category = 'patent') AS patent, sumIf(amount, category = 'western') AS western, sumIf(amount, category = 'treatment') AS therapy, sumIf(amount, category IN ('examination', 'laboratory')) AS examination
    FROM qihuang.charge FINAL WHERE encounter_id IN (SELECT id FROM finished) GROUP BY encounter_id) AS c ON c.encounter_id = f.id
  LEFT JOIN (SELECT encounter_id, countIf(category = 'tcm-disease') AS disease, countIf(category = 'tcm-syndrome') AS syndrome, countIf(category = 'western' AND code != '') AS icd10,
      countIf(category = 'tcm-disease' AND code != '') AS coded_disease, countIf(category = 'tcm-syndrome' AND code != '') AS coded_syndrome
    FROM qihuang.condition FINAL WHERE encounter_id IN (SELECT id FROM finished) GROUP BY encounter_id) AS d ON d.encounter_id = f.id
  LEFT JOIN (SELECT encounter_id, countIf(kind = 'tongue') AS tongue, countIf(kind = 'pulse') AS pulse, uniqExactIf(kind, kind IN ('inspection', 'listening', 'inquiry', 'palpation')) AS examinations
    FROM qihuang.finding FINAL WHERE encounter_id IN (SELECT id FROM finished) GROUP BY encounter_id) AS o ON o.encounter_id = f.id
  LEFT JOIN (SELECT encounter_id, count() AS records, countIf(has_chief_complaint) AS complaints
    FROM qihuang.record FINAL WHERE encounter_id IN (SELECT id FROM finished) GROUP BY encounter_id) AS r ON r.encounter_id = f.id)`

// prescriptionFact is one row per prescription of a finished visit with the
// rational-use findings that indicators count, from the same rule data as
// package rational.
func prescriptionFact(k *rational.Knowledge) string {
	return `WITH ` + visits + `,
doses AS (SELECT c1 AS name, c2 AS max_g, c3 AS toxic FROM values(` + "'c1 String, c2 Float64, c3 UInt8', " + herbRows(k) + `)),
prescription AS (
  SELECT p.id AS id, f.org_code AS org_code, f.doctor_id AS doctor_id, f.day AS day, p.category AS category, p.category IN ('decoction', 'granule') AS herbal,
    ifNull(p.doses, 0) AS doses, ifNull(p.amount, 0) AS amount, ifNull(p.formula, '') AS formula, i.herbs AS herbs, i.overdose AS overdose, i.toxic AS toxic, i.unknown AS unknown,
    ` + meets(k, "eighteen-incompatibles") + ` AS eighteen, ` + meets(k, "nineteen-antagonisms") + ` AS nineteen
  FROM qihuang.prescription AS p FINAL
  INNER JOIN finished AS f ON f.id = p.encounter_id
  LEFT JOIN (SELECT prescription_id, count() AS herbs, max(h.max_g > 0 AND ifNull(unit, '') IN ('', 'g', 'G', '克') AND toFloat64(ifNull(dose, 0)) > h.max_g) AS overdose,
      max(h.toxic) AS toxic, max(h.name = '') AS unknown, groupUniqArray(ifNull(i.name, '')) AS names
    FROM qihuang.prescription_item AS i FINAL LEFT JOIN doses AS h ON h.name = i.name
    GROUP BY prescription_id) AS i ON i.prescription_id = p.id)`
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
