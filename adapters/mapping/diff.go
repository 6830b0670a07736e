package mapping

import "strings"

// Line is one line of a comparison: Op is ' ' in both, '-' only in the old, '+'
// only in the new text. Numbers count from 1; 0 = not there.
type Line struct {
	Op       byte
	Old, New int
	Text     string
}

// maxDiff bounds the table of a comparison.
const maxDiff = 4_000_000

// Diff compares two texts line by line (longest common subsequence).
func Diff(before, after []byte) []Line {
	a, b := strings.Split(string(before), "\n"), strings.Split(string(after), "\n")
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out []Line
	same := func(i, j int) { out = append(out, Line{' ', i + 1, j + 1, a[i]}) }
	for i := range head {
		same(i, i)
	}
	out = append(out, middle(a[head:len(a)-tail], b[head:len(b)-tail], head)...)
	for k := tail; k > 0; k-- {
		same(len(a)-k, len(b)-k)
	}
	return out
}

// middle compares what lies between the common beginning and end.
func middle(a, b []string, from int) []Line {
	var out []Line
	if len(a)*len(b) > maxDiff {
		for i, s := range a {
			out = append(out, Line{'-', from + i + 1, 0, s})
		}
		for j, s := range b {
			out = append(out, Line{'+', 0, from + j + 1, s})
		}
		return out
	}
	// common[i][j] is the length for a[i:] and b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, Line{' ', from + i + 1, from + j + 1, a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, Line{'-', from + i + 1, 0, a[i]})
			i++
		default:
			out = append(out, Line{'+', 0, from + j + 1, b[j]})
			j++
		}
	}
	return out
}
