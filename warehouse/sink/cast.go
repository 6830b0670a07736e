package sink

import (
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// caster returns the function that turns a cell into a Go value clickhouse-go
// takes for the column type; nil stands for NULL.
func caster(typ string, zone *time.Location) (func(*views.Cell) (any, error), error) {
	if inner, ok := cut(typ, "Array("); ok {
		one, err := caster("Nullable("+inner+")", zone)
		if err != nil || inner != "String" {
			return nil, fault.New(fault.Unsupported, "collections of %s are not kept", inner)
		}
		return func(c *views.Cell) (any, error) {
			out := make([]string, 0, c.Len())
			for i := range c.Len() {
				item := c.At(i)
				v, err := one(&item)
				if err != nil {
					return nil, err
				}
				if s, ok := v.(string); ok {
					out = append(out, s)
				}
			}
			return out, nil
		}, nil
	}
	inner, nullable := cut(typ, "Nullable(")
	if !nullable {
		inner = typ
	}
	scalar, err := scalarCaster(inner, zone)
	if err != nil {
		return nil, err
	}
	return func(c *views.Cell) (any, error) {
		if nullable && c.Null() {
			return nil, nil
		}
		return scalar(c)
	}, nil
}

func cut(typ, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(typ, prefix)
	return strings.TrimSuffix(rest, ")"), ok
}

func scalarCaster(typ string, zone *time.Location) (func(*views.Cell) (any, error), error) {
	switch {
	case typ == "String":
		return func(c *views.Cell) (any, error) { return c.Text() }, nil
	case typ == "Bool":
		return func(c *views.Cell) (any, error) { return c.Bool() }, nil
	case typ == "Int32":
		return func(c *views.Cell) (any, error) { n, err := c.Int(); return int32(n), err }, nil
	case typ == "Int64":
		return func(c *views.Cell) (any, error) { return c.Int() }, nil
	case strings.HasPrefix(typ, "Decimal("):
		return func(c *views.Cell) (any, error) {
			s, err := c.Text()
			if err != nil || s == "" {
				return decimal.Decimal{}, err
			}
			d, err := decimal.NewFromString(s)
			if err != nil || d.Abs().GreaterThanOrEqual(decimal.New(1, 12)) {
				return nil, fault.New(fault.Invalid, "a decimal does not fit %s", typ) // never the value: it goes to the log
			}
			return d, nil
		}, nil
	case typ == "Date32", strings.HasPrefix(typ, "DateTime64"):
		return func(c *views.Cell) (any, error) {
			t, err := c.Time(zone)
			if typ == "Date32" {
				t, err = c.Time(time.UTC)
			}
			if err == nil && !t.IsZero() && (t.Year() < 1900 || t.Year() > 2299) {
				return nil, fault.New(fault.Invalid, "a date does not fit %s", typ)
			}
			return t, err
		}, nil
	}
	return nil, fault.New(fault.Unsupported, "column type %s is not kept", typ)
}
