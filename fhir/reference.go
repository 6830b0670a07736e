package fhir

import "strings"

// RefKind tells the forms of Reference.reference apart.
type RefKind uint8

// The forms of a reference (https://hl7.org/fhir/R4/references.html#literal).
const (
	RefNone        RefKind = iota // empty or nothing we know
	RefRelative                   // Type/id or Type/id/_history/v
	RefAbsolute                   // http(s)://base/Type/id, Base ends without a slash
	RefURL                        // another absolute URL
	RefURN                        // urn:uuid:…, urn:oid:…
	RefContained                  // #id; "#" alone is the container itself
	RefConditional                // Type?query, only in transactions
)

// Reference is a parsed literal reference. The parts share the string they were
// parsed from.
type Reference struct {
	Kind              RefKind
	Base              string // RefAbsolute: "http://host/fhir"
	Type, ID, Version string // RefRelative, RefAbsolute; Type also for RefConditional
	Fragment          string // RefContained, or what follows # in any other form
	Query             string // RefConditional, without "?"
	Text              string // the whole
}

// ParseReference parses a literal reference. It never fails: what is not a
// reference has Kind RefNone. It does not check that the type exists.
func ParseReference(s string) Reference {
	r := Reference{Text: s}
	if strings.HasPrefix(s, "#") {
		r.Kind, r.Fragment = RefContained, s[1:]
		return r
	}
	rest, frag, _ := strings.Cut(s, "#")
	r.Fragment = frag
	switch {
	case strings.HasPrefix(s, "urn:"):
		r.Kind = RefURN
	case strings.HasPrefix(s, "http://"), strings.HasPrefix(s, "https://"):
		r.Kind = RefURL
		scheme := strings.Index(rest, "//") + 2
		if i := r.tail(rest[scheme:], true); i > 0 {
			r.Kind, r.Base = RefAbsolute, rest[:scheme+i-1]
		}
	case strings.Contains(rest, "://"):
		r.Kind = RefURL
	default:
		if typ, query, ok := strings.Cut(rest, "?"); ok && isTypeName(typ) {
			r.Kind, r.Type, r.Query = RefConditional, typ, query
		} else if r.tail(rest, false) == 0 {
			r.Kind = RefRelative
		}
	}
	return r
}

// Relative returns Type/id without base, version and fragment, "" if the
// reference has no type and id.
func (r Reference) Relative() string {
	if r.Type == "" || r.ID == "" {
		return ""
	}
	return r.Type + "/" + r.ID
}

// tail reads [Type]/[id](/_history/[v])? from the end of s into r and returns
// where it begins. It leaves r alone and returns -1 if s does not end so, or ends
// so but begins elsewhere than a base would allow.
func (r *Reference) tail(s string, based bool) int {
	body, version := s, ""
	if i := strings.LastIndex(s, "/_history/"); i >= 0 {
		body, version = s[:i], s[i+len("/_history/"):]
		if !IsID(version) {
			return -1
		}
	}
	slash := strings.LastIndexByte(body, '/')
	if slash < 0 || !IsID(body[slash+1:]) {
		return -1
	}
	start := strings.LastIndexByte(body[:slash], '/') + 1
	if !isTypeName(body[start:slash]) || based != (start > 0) {
		return -1
	}
	r.Type, r.ID, r.Version = body[start:slash], body[slash+1:], version
	return start
}

// IsID reports whether s has the form of a resource id: 1 to 64 ASCII letters,
// digits, "-" and ".".
func IsID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

// isTypeName reports whether s looks like a resource type: a capital and letters.
func isTypeName(s string) bool {
	if s == "" || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return true
}
