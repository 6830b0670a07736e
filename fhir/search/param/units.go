package param

import (
	"math/big"

	"github.com/qihuang-health/qihuang/fhir/fhirpath/ucum"
	"github.com/qihuang-health/qihuang/fhir/search/key"
)

const (
	ucumSystem = "http://unitsofmeasure.org"
	maxUnits   = 4096   // codes remembered: more than anyone uses, few enough for whoever makes them up
	baseUnits  = "base" // keeps the hash of a dimension apart from that of a unit
)

// Canonical returns the unit of a UCUM code if its quantities are also indexed
// in base units: it must Measure something (percent and scores do not) and be
// a plain multiple of the base (degrees Celsius are not).
func (c *Catalog) Canonical(system, code string) (*ucum.Unit, bool) {
	if !c.cfg.Units || system != ucumSystem || code == "" {
		return nil, false
	}
	if u, ok := c.units.Load(code); ok {
		return u.(*ucum.Unit), u.(*ucum.Unit) != nil
	}
	u, err := ucum.Parse(code)
	if err != nil || u.Special() || u.Dimension() == "" {
		u = nil
	}
	if len(code) <= 32 && c.parsed.Add(1) <= maxUnits {
		c.units.Store(code, u)
	}
	return u, u != nil
}

// toBase converts one end of an interval. Open ends stay open.
func toBase(u *ucum.Unit, v uint64) uint64 {
	if v == key.Lowest || v == key.Highest {
		return v
	}
	return key.Real(InBase(u, key.Float(v)))
}

// InBase converts a number in u to base units.
func InBase(u *ucum.Unit, v float64) float64 {
	r := new(big.Rat).SetFloat64(v)
	if r == nil { // infinite
		return v
	}
	f, _ := u.Base(r).Float64()
	return f
}

// BaseUnit is the hash that stands for the base unit of a dimension.
func BaseUnit(u *ucum.Unit) [key.HashLen]byte { return key.Hash(ucumSystem, u.Dimension(), baseUnits) }
