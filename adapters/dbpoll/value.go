package dbpoll

import (
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/charset"
)

// text writes a value as the CSV export of the same table would: times without
// a zone, numbers without loss, NULL as "".
func text(v any, set string) string {
	switch x := v.(type) {
	case nil:
		return ""
	case time.Time:
		if x.Nanosecond() != 0 {
			return x.Format("2006-01-02 15:04:05.999999999")
		}
		return x.Format("2006-01-02 15:04:05")
	case []byte:
		return decoded(x, set)
	case string:
		return decoded([]byte(x), set)
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case float32:
		return strconv.FormatFloat(float64(x), 'f', -1, 32)
	case bool:
		if x {
			return "1"
		}
		return "0"
	case interface{ String() string }:
		return x.String()
	}
	return ""
}

func decoded(b []byte, set string) string {
	out, _, err := charset.Decode(b, set)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	return strings.TrimSpace(string(out))
}

// mark is a watermark: its form and value, kept as text.
type mark struct{ form, value string }

const timeForm = "2006-01-02T15:04:05.999999999Z07:00"

// markOf is the watermark of a row's value, or none for NULL.
func markOf(v any, set string) mark {
	switch x := v.(type) {
	case nil:
		return mark{}
	case time.Time:
		return mark{"time", x.Format(timeForm)}
	case int64:
		return mark{"int", strconv.FormatInt(x, 10)}
	}
	return mark{"text", text(v, set)}
}

func parseMark(s string) mark {
	form, value, _ := strings.Cut(s, " ")
	return mark{form, value}
}

func (m mark) String() string {
	if m.form == "" {
		return ""
	}
	return m.form + " " + m.value
}

// after reports whether m is later than o.
func (m mark) after(o mark) bool {
	switch {
	case m.form == "":
		return false
	case o.form != m.form:
		return true
	case m.form == "int":
		a, _ := strconv.ParseInt(m.value, 10, 64)
		b, _ := strconv.ParseInt(o.value, 10, 64)
		return a > b
	case m.form == "time":
		a, _ := time.Parse(timeForm, m.value)
		b, _ := time.Parse(timeForm, o.value)
		return a.After(b)
	}
	return m.value > o.value
}

// parameter is what a query begins at: the watermark, less the overlap.
func (m mark) parameter(overlap time.Duration) any {
	switch m.form {
	case "int":
		n, _ := strconv.ParseInt(m.value, 10, 64)
		return n
	case "time":
		t, _ := time.Parse(timeForm, m.value)
		return t.Add(-overlap)
	}
	return m.value
}
