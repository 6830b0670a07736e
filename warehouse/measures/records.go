package measures

import (
	"context"
	"fmt"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Record is one visit or prescription behind a number: ids only, the resources
// themselves need the right to read them.
type Record struct {
	ID        string `json:"id"`        // of the Encounter, or of the prescription (system|number)
	Encounter string `json:"encounter"` // id of the Encounter
	Org       string `json:"org"`
	Doctor    string `json:"doctor,omitempty"`
	Day       string `json:"day"`
}

// Group is one value of a dimension.
type Group struct{ Dimension, Value string }

// Records lists what an indicator counts in a scope, newest first: the visits or
// prescriptions of the numerator, or, where more is better, those that the
// numerator lacks. An indicator that sums lists all of its denominator. of
// limits them to groups of breakdowns.
func (c *Catalogue) Records(ctx context.Context, q Querier, scope Scope, m *Measure, limit int, of ...Group) ([]Record, error) {
	where, wide, params := m.condition(), m.Wide, scope.Params()
	for i, x := range of {
		d, ok := dimensions[x.Dimension]
		if !ok || d.hall || d.only != "" && d.only != m.Fact {
			return nil, fault.New(fault.Invalid, "不能按 %q 选取记录", x.Dimension)
		}
		name := fmt.Sprintf("of%d", i)
		wide, params[name] = wide || d.wide, x.Value
		where += " AND ifNull(toString(" + d.sql + "), '') = {" + name + ":String}"
	}
	encounter := "id"
	if m.Fact == "prescription" {
		encounter = "encounter_id"
	}
	source, err := c.source(ctx, q, scope, nil)
	if err != nil {
		return nil, err
	}
	if source == Cube {
		source = Fact
	}
	sql := c.from(part{source: source, fact: m.Fact}, wide) + fmt.Sprintf("\nSELECT id, %s, org_code, ifNull(doctor_id, ''), toString(day) FROM %s WHERE %s ORDER BY day DESC, id LIMIT %d",
		encounter, m.Fact, where, max(1, min(limit, 10_000)))
	list := []Record{}
	err = q.Query(ctx, sql, params, func(scan func(...any) error) error {
		var r Record
		err := scan(&r.ID, &r.Encounter, &r.Org, &r.Doctor, &r.Day)
		list = append(list, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("records of %s: %w", m.Name, err)
	}
	return list, nil
}

// condition is what a row must meet to be a record of the indicator.
func (m *Measure) condition() string {
	counted := func(expr string) string {
		if args, ok := strings.CutPrefix(expr, "countIf("); ok && strings.HasSuffix(args, ")") && closing(expr, len("countIf")) == len(expr)-1 {
			return "(" + strings.TrimSuffix(args, ")") + ")"
		}
		return ""
	}
	n, d := counted(m.Numerator), counted(m.Denominator)
	switch {
	case n == "" && d == "":
		return "1"
	case n == "":
		return d
	case m.Better == "increase" && d != "":
		return d + " AND NOT " + n
	case m.Better == "increase":
		return "NOT " + n
	}
	return n
}
