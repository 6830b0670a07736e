package sim

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// Clinic is what the simulator knows of medicine: facts extracted from public
// tables by `go run ./internal/sim/gen`.
type Clinic struct {
	Sources  []Source
	Cases    []Case
	Herbs    []Herb
	Western  []WesternName
	Eighteen []Pair // 十八反
}

// Source says where facts come from and how far they were checked.
type Source struct{ File, What, Version, Status string }

// Case is a disease with a syndrome and the formula that treats it.
type Case struct {
	Disease, DiseaseCode   string // GB/T 15657-2021
	Syndrome, SyndromeCode string
	Therapy                string
	Symptoms               []string
	Tongue, Pulse          string
	Formula                string
	Herbs                  []string
}

// Herb is a herb with its daily dose in g.
type Herb struct {
	Name       string
	MinG, MaxG float64
	Usage      []string // 先煎, 后下 …
}

// WesternName pairs a TCM disease code with an ICD-10 code and name.
type WesternName struct{ Disease, Code, Name string }

// Pair lists herbs that must not meet: any of A with any of B.
type Pair struct{ A, B []string }

//go:embed data/clinic.json
var clinicJSON []byte

func loadClinic() (*Clinic, error) {
	c := &Clinic{}
	if err := json.Unmarshal(clinicJSON, c); err != nil {
		return nil, fmt.Errorf("simulator data: %w", err)
	}
	return c, nil
}

func (c *Clinic) herb(name string) (Herb, bool) {
	for _, h := range c.Herbs {
		if h.Name == name {
			return h, true
		}
	}
	return Herb{}, false
}

// clashes reports whether two of the herbs are one of the eighteen incompatibles.
func (c *Clinic) clashes(names map[string]bool) bool {
	any := func(list []string) bool {
		for _, n := range list {
			if names[n] {
				return true
			}
		}
		return false
	}
	for _, p := range c.Eighteen {
		if any(p.A) && any(p.B) {
			return true
		}
	}
	return false
}
