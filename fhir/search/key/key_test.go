package key

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"
)

func TestID(t *testing.T) {
	for _, id := range []string{"1", "a-b.c", "018968db-00c2-00e7-2a71-672df94ad5d0", "018968DB-00c2-00e7-2a71-672df94ad5d0",
		"018968db-00c2-00e7-2a71-672df94ad5dg", "018968db-00c2-00e7-2a71-672df94ad5d"} {
		b := AppendID(nil, id)
		if got := ID(b); got != id {
			t.Errorf("ID(AppendID(%q)) = %q", id, got)
		}
		if got := IDLen(b); got != len(b) {
			t.Errorf("IDLen of %q = %d, want %d", id, got, len(b))
		}
	}
	if n := len(AppendID(nil, "018968db-00c2-00e7-2a71-672df94ad5d0")); n != 17 {
		t.Errorf("a UUID takes %d bytes, want 17", n)
	}
	for _, b := range [][]byte{nil, {1}, {2}, {3, 4}, {1, 2, 3}} {
		if ID(b) != "" {
			t.Errorf("ID(%v) is not empty", b)
		}
	}
}

func TestTextOrder(t *testing.T) {
	texts := []string{"", "\x00", "\x00\x00", "\x01", "a", "a\x00", "a\x01", "aa", "ab", "b", "张", "张三"}
	var last []byte
	for _, s := range texts {
		b := AppendText(nil, s)
		if last != nil && bytes.Compare(last, b) >= 0 {
			t.Errorf("%q does not sort behind the text before it", s)
		}
		text, rest, ok := CutText(append(bytes.Clone(b), "rest"...))
		if !ok || string(rest) != "rest" || !bytes.Equal(append(bytes.Clone(text), 0), b) {
			t.Errorf("CutText of %q: %q, %q, %v", s, text, rest, ok)
		}
		last = b
	}
}

func TestRealOrder(t *testing.T) {
	values := []float64{math.Inf(-1), -1e300, -2.5, -1, -1e-300, 0, 1e-300, 0.1, 1, 2.5, 1e300, math.Inf(1)}
	if !slices.IsSortedFunc(values, func(a, b float64) int {
		return bytes.Compare(AppendInterval(nil, Real(a), 0), AppendInterval(nil, Real(b), 0))
	}) {
		t.Error("the order of Real is not that of the numbers")
	}
	for _, v := range values {
		if got := Float(Real(v)); got != v {
			t.Errorf("Float(Real(%v)) = %v", v, got)
		}
	}
}

func TestNext(t *testing.T) {
	for _, c := range []struct{ in, want []byte }{
		{[]byte("a"), []byte("b")}, {[]byte{1, 0xff}, []byte{2}}, {[]byte{0xff, 0xff}, nil}, {nil, nil},
	} {
		if got := Next(c.in); !bytes.Equal(got, c.want) {
			t.Errorf("Next(%x) = %x, want %x", c.in, got, c.want)
		}
	}
}

func TestDate_ok(t *testing.T) {
	shanghai := time.FixedZone("CST", 8*3600)
	for _, c := range []struct {
		in, low, high string
		zone          *time.Location
	}{
		{"2020", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z", nil},
		{"2020-02", "2020-02-01T00:00:00Z", "2020-03-01T00:00:00Z", nil},
		{"2020-12", "2020-12-01T00:00:00Z", "2021-01-01T00:00:00Z", nil},
		{"2020-02-29", "2020-02-29T00:00:00Z", "2020-03-01T00:00:00Z", nil},
		{"2020-02-29", "2020-02-28T16:00:00Z", "2020-02-29T16:00:00Z", shanghai},
		{"2020-01-01T08:30", "2020-01-01T08:30:00Z", "2020-01-01T08:31:00Z", nil},
		{"2020-01-01T08:30", "2020-01-01T00:30:00Z", "2020-01-01T00:31:00Z", shanghai},
		{"2020-01-01T08:30+08:00", "2020-01-01T00:30:00Z", "2020-01-01T00:31:00Z", nil},
		{"2020-01-01T08:30:15Z", "2020-01-01T08:30:15Z", "2020-01-01T08:30:16Z", shanghai},
		{"2020-01-01T08:30:15 08:00", "2020-01-01T00:30:15Z", "2020-01-01T00:30:16Z", nil}, // a plus lost in a URL
		{"2020-01-01T08:30:15.250-01:30", "2020-01-01T10:00:15.25Z", "2020-01-01T10:00:15.251Z", nil},
		{"0001-01-01", "0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z", nil},
		{"9999-12-31", "9999-12-31T00:00:00Z", "10000-01-01T00:00:00Z", nil},
	} {
		low, high, ok := Date(c.in, c.zone)
		if got := time.UnixMicro(low).UTC().Format(time.RFC3339Nano); !ok || got != c.low {
			t.Errorf("Date(%q) begins %s, want %s", c.in, got, c.low)
		}
		if got := time.UnixMicro(high).UTC().Format(time.RFC3339Nano); got != c.high {
			t.Errorf("Date(%q) ends %s, want %s", c.in, got, c.high)
		}
	}
}

func TestDate_bad(t *testing.T) {
	for _, s := range []string{"", "20", "2020-", "2020-13", "2020-02-30", "2020-1-1", "2020-01-01T", "2020-01-01T08", "2020-01-01T25:00",
		"2020-01-01T08:60", "2020-01-01T08:30:15.", "2020-01-01T08:30:15+8", "2020-01-01x", "yesterday", "2020T08:30"} {
		if _, _, ok := Date(s, nil); ok {
			t.Errorf("Date(%q) is accepted", s)
		}
	}
}

func TestParseDecimal(t *testing.T) {
	for _, c := range []struct {
		in               string
		value, low, high float64
	}{
		{"100", 100, 99.5, 100.5}, {"100.00", 100, 99.995, 100.005}, {"1e2", 100, 50, 150}, {"-5.4", -5.4, -5.45, -5.35},
		{"5.40e-3", 0.0054, 0.005395, 0.005405}, {"0", 0, -0.5, 0.5}, {"+7", 7, 6.5, 7.5},
	} {
		d, ok := ParseDecimal(c.in)
		if !ok || d != (Decimal{c.value, c.low, c.high}) {
			t.Errorf("ParseDecimal(%q) = %+v, %v", c.in, d, ok)
		}
	}
	for _, s := range []string{"", "x", "1.2.3", "0x10", "NaN", "Inf", "1_000", "5kg"} {
		if d, ok := ParseDecimal(s); ok {
			t.Errorf("ParseDecimal(%q) = %v is accepted", s, d)
		}
	}
}

func FuzzDate(f *testing.F) {
	for _, s := range []string{"2020", "2020-02-29T08:30:15.25+08:00", "2020-01-01T08:30 08:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if low, high, ok := Date(s, nil); ok && low >= high {
			t.Errorf("Date(%q): [%d, %d) is empty", s, low, high)
		}
	})
}
