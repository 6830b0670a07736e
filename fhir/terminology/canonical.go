package terminology

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// splitCanonical splits url|version; a fragment is dropped.
func splitCanonical(s string) (url, version string) {
	c := fhir.ParseCanonical(s)
	return c.URL, c.Version
}

// versionMatches reports whether a resource's version answers a request for
// want. "4.0" asks for any 4.0.x.
func versionMatches(have, want string) bool {
	return have == want || strings.HasPrefix(have, want) && have[len(want)] == '.'
}

// compareVersions orders versions piece by piece, numbers as numbers, so that
// 4.0.10 is after 4.0.9 and 20231201 after 20230101.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a = piece(a)
		y, b = piece(b)
		if x == y {
			continue
		}
		if digits(x) && digits(y) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if len(x) != len(y) {
				return sign(len(x) < len(y))
			}
		}
		if x != y {
			return sign(x < y)
		}
	}
	return 0
}

func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

// piece cuts a run of digits or a run of anything else off s.
func piece(s string) (head, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) == isDigit(s[0]) {
		i++
	}
	return s[:i], s[i:]
}

func digits(s string) bool { return s != "" && isDigit(s[0]) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
