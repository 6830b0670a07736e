package review

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// MaxSample is how many prescriptions one sample may have.
const MaxSample = 1000

// Methods of drawing.
const (
	Random   = "random" // of all prescriptions alike
	ByHall   = "hall"   // of each hall in proportion, at least one
	ByDoctor = "doctor" // of each doctor in proportion, at least one
)

// strata are the SQL that names a prescription's stratum.
var strata = map[string]string{Random: "''", ByHall: "org", ByDoctor: "concat(org, '|', doctor)"}

// Plan says which prescriptions a sample is drawn from and how. The same plan
// over the same data draws the same sample.
type Plan struct {
	Name     string
	From, To time.Time // instants; To is after the last day
	Place    string    // in words
	Orgs     []string  // nil = all halls
	Category string    // of prescription-category, "" = all
	Method   string
	Count    int     // prescriptions; 0 = by percent
	Percent  float64 // 0 … 100
	Seed     string
	By       string
}

func (p *Plan) check() error {
	switch {
	case p.Name == "" || p.By == "":
		return fault.New(fault.Invalid, "请填写抽样名称与发起人")
	case strata[p.Method] == "":
		return fault.New(fault.Invalid, "抽样方法应为 random、hall 或 doctor")
	case p.Count < 0 || p.Count > MaxSample || p.Percent < 0 || p.Percent > 100 || (p.Count == 0) == (p.Percent == 0):
		return fault.New(fault.Invalid, "抽取张数（1–%d）与抽取比例（不超过 100%%）填且只填一项", MaxSample)
	case p.To.Sub(p.From) > 366*24*time.Hour:
		return fault.New(fault.Invalid, "抽样的时段最长一年")
	case p.Seed == "" || len(p.Seed) > 40:
		return fault.New(fault.Invalid, "请填写随机种子（最多 40 个字符），凭它可以重现抽样")
	}
	return nil
}

// Drawn is a prescription that was drawn.
type Drawn struct {
	Prescription string // id: numbering system|number
	Request      string // id of its (first) MedicationRequest
	Encounter    string
	Org, Doctor  string // code; id
	Category     string
	Day          string
}

// Draw draws the sample in the warehouse: prescriptions in the order of a hash
// of the seed and their id, so many of each stratum. population is how many
// there were to draw from.
func (p *Plan) Draw(ctx context.Context, q measures.Querier) (list []Drawn, population int, err error) {
	if err := p.check(); err != nil {
		return nil, 0, err
	}
	sql := `WITH drawn AS (SELECT id, any(request_id) AS request, any(ifNull(encounter_id, '')) AS encounter, any(ifNull(org_code, '')) AS org, any(ifNull(doctor_id, '')) AS doctor,
  any(ifNull(category, '')) AS kind, min(authored) AS at, sipHash64(concat({seed:String}, ':', id)) AS h
  FROM qihuang.prescription_request FINAL WHERE authored >= {from:DateTime64(3, 'UTC')} AND authored < {to:DateTime64(3, 'UTC')} AND (empty({orgs:Array(String)}) OR org_code IN {orgs:Array(String)})
  AND ({category:String} = '' OR category = {category:String}) GROUP BY id),
 ranked AS (SELECT *, row_number() OVER (PARTITION BY ` + strata[p.Method] + ` ORDER BY h, id) AS nr, count() OVER (PARTITION BY ` + strata[p.Method] + `) AS size, count() OVER () AS total FROM drawn)
SELECT id, request, encounter, org, doctor, kind, toString(toDate(at, 'Asia/Shanghai')), total FROM ranked
WHERE nr <= greatest(1, ceil(if({count:UInt32} > 0, size * {count:UInt32} / total, size * {percent:Float64} / 100)))
ORDER BY nr, h, id LIMIT ` + strconv.Itoa(p.limit())
	params := measures.Scope{From: p.From, To: p.To, Orgs: p.Orgs}.Params()
	params["seed"], params["category"], params["count"], params["percent"] = p.Seed, p.Category, strconv.Itoa(p.Count), strconv.FormatFloat(p.Percent, 'f', -1, 64)
	err = q.Query(ctx, sql, params, func(scan func(...any) error) error {
		var d Drawn
		var total uint64
		if err := scan(&d.Prescription, &d.Request, &d.Encounter, &d.Org, &d.Doctor, &d.Category, &d.Day, &total); err != nil {
			return err
		}
		list, population = append(list, d), int(total)
		return nil
	})
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("draw a sample: %w", err)
	case len(list) == 0:
		return nil, 0, fault.New(fault.NotFound, "这个范围内没有处方可抽，请换一段日期、地区或处方类别")
	case len(list) > MaxSample:
		return nil, 0, fault.New(fault.TooCostly, "会抽到 %d 张以上，超过一次 %d 张的上限，请降低比例", MaxSample, MaxSample)
	}
	slices.SortFunc(list, func(a, b Drawn) int {
		return slices.Compare([]string{a.Org, a.Doctor, a.Prescription}, []string{b.Org, b.Doctor, b.Prescription})
	})
	return list, population, nil
}

// limit is how many rows are read: one more than allowed tells that a share is
// too large.
func (p *Plan) limit() int {
	if p.Count > 0 {
		return p.Count
	}
	return MaxSample + 1
}
