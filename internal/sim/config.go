package sim

import (
	"fmt"
	"net/url"
	"time"
)

// Config says what to simulate and where to send it.
type Config struct {
	Seed         uint64
	Halls        int
	Days         int
	VisitsPerDay int       // of one hall, on average
	Start        time.Time // first day; its time of day is not used
	BaseURL      string    // of the hub, e.g. http://127.0.0.1:8080
	Parallel     int       // halls that send at one time
	Rate         float64   // visits per second over all halls; 0 = as fast as the hub takes them
	Patience     time.Duration
}

// China is the zone of every time the simulator writes.
func China() *time.Location { return time.FixedZone("CST", 8*3600) }

// Default is three halls for the five days before today.
func Default(today time.Time) Config {
	return Config{Seed: 1, Halls: 3, Days: 5, VisitsPerDay: 20, Start: today.In(China()).AddDate(0, 0, -5),
		BaseURL: "http://127.0.0.1:8080", Parallel: 4, Patience: 30 * time.Second}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Config) Validate() error {
	switch {
	case c.Halls < 1 || c.Halls > 100_000:
		return fmt.Errorf("halls 应在 1 到 100000 之间")
	case c.Days < 1 || c.Days > 4000:
		return fmt.Errorf("days 应在 1 到 4000 之间")
	case c.VisitsPerDay < 1 || c.VisitsPerDay > 5000:
		return fmt.Errorf("visits 应在 1 到 5000 之间")
	case c.Parallel < 1 || c.Rate < 0 || c.Start.IsZero():
		return fmt.Errorf("parallel 应大于 0，rate 不能为负，start 必填")
	}
	if u, err := url.Parse(c.BaseURL); err != nil || u.Host == "" {
		return fmt.Errorf("url 应为完整地址，例如 http://127.0.0.1:8080")
	}
	return nil
}

// Totals is the truth of what was simulated.
type Totals struct {
	Halls           int            `json:"halls"`
	Patients        int            `json:"patients"`
	Visits          int            `json:"visits"`
	VisitsByHall    map[string]int `json:"visitsByHall"`
	VisitsByDay     map[string]int `json:"visitsByDay"`
	Prescriptions   map[string]int `json:"prescriptions"` // by category: decoction granule patent western
	HerbLines       int            `json:"herbLines"`
	Charges         int            `json:"charges"`
	ChargeTotal     string         `json:"chargeTotal"`    // yuan
	DrugTotal       string         `json:"drugTotal"`      // yuan, all drugs
	DecoctionTotal  string         `json:"decoctionTotal"` // yuan, 饮片
	DualDiagnosis   int            `json:"dualDiagnosis"`  // visits with a TCM disease and an ICD-10 code
	NoSyndrome      int            `json:"noSyndrome"`     // visits without a syndrome (planted)
	Overdose        int            `json:"overdose"`       // herbal prescriptions with a herb above its dose (planted)
	Eighteen        int            `json:"eighteenIncompatibles"`
	NonDrugVisits   int            `json:"nonDrugVisits"`
	NCMSVisits      int            `json:"ncmsVisits"`
	VisitsByDisease map[string]int `json:"visitsByDisease"`
	Planted         []Plant        `json:"planted"` // what supervision should find

	charge, drug, decoction yuan
	seen                    map[[2]int]bool
}

func newTotals(halls int) *Totals {
	return &Totals{Halls: halls, VisitsByHall: map[string]int{}, VisitsByDay: map[string]int{}, Prescriptions: map[string]int{},
		VisitsByDisease: map[string]int{}, seen: map[[2]int]bool{}}
}

// add counts one visit of patient p of hall h.
func (t *Totals) add(c *Clinic, v *visit, h, p int) {
	if key := [2]int{h, p}; !t.seen[key] {
		t.seen[key] = true
		t.Patients++
	}
	t.Visits++
	t.VisitsByHall[v.OrgCode]++
	t.VisitsByDay[v.VisitTime[:10]]++
	d := v.Diagnoses[0]
	t.VisitsByDisease[d.DiseaseCode]++
	if d.ICD10 != "" {
		t.DualDiagnosis++
	}
	if d.SyndromeCode == "" {
		t.NoSyndrome++
	}
	if len(v.Treatments) > 0 {
		t.NonDrugVisits++
	}
	if v.Patient.InsuranceType == "新农合" {
		t.NCMSVisits++
	}
	for _, rx := range v.Herbal {
		t.herbal(c, rx)
	}
	for _, rx := range v.Western {
		t.Prescriptions[rx.Type]++
		t.drug += rx.Amount
	}
	t.Charges += len(v.Charges)
	for _, l := range v.Charges {
		t.charge += l.Amount
	}
	t.ChargeTotal, t.DrugTotal, t.DecoctionTotal = t.charge.String(), t.drug.String(), t.decoction.String()
}

func (t *Totals) herbal(c *Clinic, rx prescription) {
	t.Prescriptions[rx.Type]++
	t.drug += rx.Amount
	if rx.Type == "decoction" {
		t.decoction += rx.Amount
	}
	t.HerbLines += len(rx.Items)
	names, over := map[string]bool{}, false
	for _, it := range rx.Items {
		names[it.Name] = true
		if h, ok := c.herb(it.Name); ok && float64(it.Dose) > h.MaxG {
			over = true
		}
	}
	if over {
		t.Overdose++
	}
	if c.clashes(names) {
		t.Eighteen++
	}
}
