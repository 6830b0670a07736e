package tcm

import "strings"

// CodingSystem tells the national system of a diagnosis code by its shape:
//
//	GB/T 15657-2021  A or B and groups of two digits: A01.01.01, B02.02.04.01.01.02
//	GB/T 15657-1995  B… (disease) or Z… (syndrome), 5–9 letters and digits: BNF012, ZBRDC00
//	ICD-10           letter, two digits, then a dot and up to six of 0-9 x: J06.903, J00.x00
//
// western chooses between ICD-10 and the TCM systems, since A01.01 is in both.
// ok is false for a shape that none of them has.
func CodingSystem(code string, western bool) (system string, ok bool) {
	switch {
	case western:
		return SystemICD10, icd10(code)
	case gb2021(code):
		return SystemGB2021, true
	case gb1995(code):
		return SystemGB1995, true
	}
	return "", false
}

func gb2021(code string) bool {
	if len(code) < 3 || len(code) > 24 || code[0] != 'A' && code[0] != 'B' {
		return false
	}
	for i, group := range strings.Split(code[1:], ".") {
		if len(group) != 2 && (i == 0 || len(group) != 3) || !digits(group) {
			return false
		}
	}
	return true
}

func gb1995(code string) bool {
	if len(code) < 5 || len(code) > 9 || code[0] != 'B' && code[0] != 'Z' {
		return false
	}
	for i := range len(code) {
		if c := code[i]; !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

func icd10(code string) bool {
	if len(code) < 3 || code[0] < 'A' || code[0] > 'Z' || !digits(code[1:3]) {
		return false
	}
	rest := code[3:]
	if rest == "" {
		return true
	}
	rest = strings.TrimRight(rest, "+*")
	if len(rest) < 2 || len(rest) > 11 || rest[0] != '.' {
		return false
	}
	for _, c := range rest[1:] {
		if c >= '0' && c <= '9' || c == 'x' || c == 'X' || c == '.' || c == '/' || c == 'M' {
			continue
		}
		return false
	}
	return true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// DiagnosisKind tells Disease, Syndrome or Western by a code and the name a
// sender gives its system (GB15657, TCD …): codes of 2021 begin with A for a
// disease and B for a syndrome, those of 1995 with B and Z.
func DiagnosisKind(code, systemName string) string {
	name := strings.ToUpper(systemName)
	if !strings.Contains(name, "15657") && !strings.Contains(name, "TCD") {
		return Western
	}
	edition, _ := CodingSystem(code, false)
	if edition == SystemGB2021 && code[0] == 'B' || edition == SystemGB1995 && code[0] == 'Z' {
		return Syndrome
	}
	return Disease
}
