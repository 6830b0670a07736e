// Package review is 处方点评: samples of prescriptions that can be drawn again,
// each prescription judged against the criteria, and what came of it. Samples
// and judgements are FHIR Tasks.
package review

import (
	"encoding/json"
	"fmt"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
)

// Criterion is one reason for which a prescription is found wanting.
type Criterion struct {
	Code  string          `json:"code"`  // e.g. 1-15
	Title string          `json:"title"` // the words of the source
	Hints []rational.Kind `json:"hints"` // rules of rational use that hint at it
}

// Group is a kind of wanting: 不规范, 不适宜, 超常.
type Group struct {
	Code     string      `json:"code"`
	Title    string      `json:"title"`
	Source   string      `json:"source"`
	Criteria []Criterion `json:"criteria"`
}

// Criteria are all groups, read-only.
type Criteria struct {
	Source string  `json:"source"`
	Review string  `json:"review"`
	Groups []Group `json:"groups"`
	titles map[string]string
}

// LoadCriteria reads the criteria of the guide.
func LoadCriteria() (*Criteria, error) {
	c := &Criteria{titles: map[string]string{}}
	if err := json.Unmarshal(conformance.ReviewCriteria(), c); err != nil {
		return nil, fmt.Errorf("criteria of prescription review: %w", err)
	}
	for _, g := range c.Groups {
		for _, x := range g.Criteria {
			c.titles[x.Code] = x.Title
		}
	}
	return c, nil
}

// Title is a reason in words, "" for none.
func (c *Criteria) Title(code string) string { return c.titles[code] }

// Hinted are the reasons that findings of the rules hint at.
func (c *Criteria) Hinted(findings []rational.Finding) map[string]bool {
	out := map[string]bool{}
	for _, g := range c.Groups {
		for _, x := range g.Criteria {
			for _, k := range x.Hints {
				for _, f := range findings {
					if f.Kind == k {
						out[x.Code] = true
					}
				}
			}
		}
	}
	return out
}
