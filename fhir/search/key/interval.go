package key

import (
	"encoding/binary"
	"math"
)

// Interval is what a date, number or quantity covers, in numbers whose order
// is that of the values: low ≤ high. For dates high is the first instant
// behind; for numbers both are inside.
type Interval struct{ Low, High uint64 }

// The ends of an interval that is open.
const (
	Lowest  uint64 = 0
	Highest uint64 = math.MaxUint64
)

// Instant gives a time in microseconds since 1970 its place in the order.
func Instant(micros int64) uint64 { return uint64(micros) ^ 1<<63 }

// Real gives a number its place in the order. NaN has none and counts as 0.
func Real(f float64) uint64 {
	if f == 0 || f != f {
		f = 0
	}
	b := math.Float64bits(f)
	if b>>63 == 1 {
		return ^b
	}
	return b | 1<<63
}

// AppendInterval appends the two ends, first the one that orders.
func AppendInterval(dst []byte, first, second uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, first), second)
}

// IntervalLen is the length of an appended interval.
const IntervalLen = 16

// CutInterval reads an interval from the beginning of b, which must be long enough.
func CutInterval(b []byte) (first, second uint64) {
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
}

// ShortDate is the longest range of time, in microseconds, that stands among
// the short ones: a month.
const ShortDate uint64 = 31 * 86400 * 1_000_000

// Box selects intervals by bounds on both ends, all inclusive.
type Box struct{ LowMin, LowMax, HighMin, HighMax uint64 }

// Anywhere is the box every interval is in; narrow it.
func Anywhere() Box { return Box{Lowest, Highest, Lowest, Highest} }

// Holds reports whether v is in the box.
func (b Box) Holds(v Interval) bool {
	return v.Low >= b.LowMin && v.Low <= b.LowMax && v.High >= b.HighMin && v.High <= b.HighMax
}

// Float is the reverse of [Real].
func Float(v uint64) float64 {
	if v>>63 == 0 {
		return math.Float64frombits(^v)
	}
	return math.Float64frombits(v &^ (1 << 63))
}
