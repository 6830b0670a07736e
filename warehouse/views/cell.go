package views

import (
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Cell is one value of a row, or the list of a collection column. It is valid
// until emit returns.
type Cell struct {
	items fhirpath.Collection
	many  bool
}

// Null reports whether there is no value. A list is never null.
func (c *Cell) Null() bool { return !c.many && (len(c.items) == 0 || null(&c.items[0])) }

func null(it *fhirpath.Item) bool {
	n, ok := it.Node()
	if ok {
		return n.Kind() == fhir.Null
	}
	_, ok = it.Value()
	return !ok
}

// Len returns the number of values: 0 or 1, or the length of a list.
func (c *Cell) Len() int {
	if !c.many && c.Null() {
		return 0
	}
	return len(c.items)
}

// At returns value i of the list.
func (c *Cell) At(i int) Cell { return Cell{items: c.items[i : i+1]} }

// Item returns the value; ok is false if it is null.
func (c *Cell) Item() (it fhirpath.Item, ok bool) {
	if len(c.items) == 0 || c.Null() {
		return fhirpath.Item{}, false
	}
	return c.items[0], true
}

func (c *Cell) unfit(want string) error {
	return fault.New(fault.Invalid, "a %s does not fit a column of %s", c.items[0].Type(), want)
}

// Text returns the value as text: strings, codes and dates as they stand,
// numbers as written. A complex value is an error.
func (c *Cell) Text() (string, error) {
	if c.Null() {
		return "", nil
	}
	if n, ok := c.items[0].Node(); ok && (n.Kind() == fhir.Object || n.Kind() == fhir.Array) {
		return "", c.unfit("text")
	}
	return c.items[0].String(), nil
}

// Bool returns a boolean; false for null.
func (c *Cell) Bool() (bool, error) {
	if c.Null() {
		return false, nil
	}
	v, _ := c.items[0].Value()
	b, ok := v.Bool()
	if !ok {
		return false, c.unfit("booleans")
	}
	return b, nil
}

// Int returns an integer; 0 for null. A number in a string is accepted.
func (c *Cell) Int() (int64, error) {
	if c.Null() {
		return 0, nil
	}
	v, _ := c.items[0].Value()
	if n, ok := v.Int(); ok {
		return n, nil
	}
	if s, ok := v.Text(); ok {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, c.unfit("integers")
}

// Float returns a number; 0 for null.
func (c *Cell) Float() (float64, error) {
	if c.Null() {
		return 0, nil
	}
	v, _ := c.items[0].Value()
	f, ok := v.Float()
	if !ok {
		return 0, c.unfit("numbers")
	}
	return f, nil
}

// Time returns the moment that a date or dateTime begins, in UTC; what has no
// zone of its own is read in zone. Zero for null.
func (c *Cell) Time(zone *time.Location) (time.Time, error) {
	if c.Null() {
		return time.Time{}, nil
	}
	v, _ := c.items[0].Value()
	if s, ok := v.Text(); ok { // a string column declared as a date
		d, isDate := fhirpath.ParseDateTime(s)
		if !isDate {
			return time.Time{}, c.unfit("dates")
		}
		v = d
	}
	t, ok := v.Time(zone)
	if !ok {
		return time.Time{}, c.unfit("dates")
	}
	return t.UTC(), nil
}

// AppendJSON appends the value as JSON: numbers as written, null, and lists as
// arrays.
func (c *Cell) AppendJSON(dst []byte) []byte {
	if !c.many {
		if c.Null() {
			return append(dst, "null"...)
		}
		return c.items[0].AppendJSON(dst)
	}
	dst = append(dst, '[')
	for i := range c.items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.items[i].AppendJSON(dst)
	}
	return append(dst, ']')
}
