package fault

import "strings"

// DidYouMean returns a hint for Issue.Hint that names the candidate closest to
// got, "" if none is near. The first of equally near ones wins.
func DidYouMean(got string, candidates []string) string {
	best, limit := "", 1+len(got)/4
	if len(got) > 64 {
		return ""
	}
	for _, c := range candidates {
		if strings.EqualFold(c, got) {
			best = c
			break
		}
		if d := distance(got, c, limit); d <= limit {
			best, limit = c, d-1
		}
	}
	if best == "" {
		return ""
	}
	return `did you mean "` + best + `"?`
}

// distance is the optimal string alignment distance (a swap of neighbours costs
// one); over limit it may return any larger number.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	var rows [3][80]int
	if len(b) >= len(rows[0]) {
		return limit + 1
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur, prev, prev2 := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
