package rest

import (
	"cmp"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Shape is the form of a request's path, which with the HTTP method decides the
// interaction.
type Shape uint8

// The shapes of paths below the base.
const (
	NoShape           Shape = iota
	Root                    // /
	Metadata                // /metadata
	SystemSearch            // /_search
	SystemHistory           // /_history
	SystemOperation         // /$op
	TypeLevel               // /Patient
	TypeSearch              // /Patient/_search
	TypeHistory             // /Patient/_history
	TypeOperation           // /Patient/$op
	Instance                // /Patient/1
	InstanceHistory         // /Patient/1/_history
	InstanceOperation       // /Patient/1/$op
	VersionLevel            // /Patient/1/_history/2
	VersionOperation        // /Patient/1/_history/2/$op
	Compartment             // /Patient/1/Observation or /Patient/1/*
	CompartmentSearch       // /Patient/1/Observation/_search
	AsyncStatus             // /_async/JOB
	AsyncFile               // /_async/JOB/FILE
)

// Target is a parsed path.
type Target struct {
	Shape   Shape
	Type    string // resource type
	ID      string // logical id, or job id
	Version string // of VersionLevel, as written
	Name    string // operation without '$', the inner type of a compartment ("*" = any), or a file
}

// ParseTarget parses a path relative to the base, with or without slashes at
// its ends. known tells resource types. Errors: NotFound for unknown types and
// paths, Invalid for malformed ids.
func ParseTarget(path string, known func(string) bool) (Target, error) {
	var seg [6]string
	n := 0
	for path = strings.Trim(path, "/"); path != ""; n++ {
		if n == len(seg) {
			return Target{}, unknownPath()
		}
		seg[n], path, _ = strings.Cut(path, "/")
	}
	if n == 0 {
		return Target{Shape: Root}, nil
	}
	if t, ok := systemTarget(seg[:n]); ok {
		return t, nil
	}
	if !known(seg[0]) {
		return Target{}, UnknownType(seg[0])
	}
	t := Target{Type: seg[0]}
	if n == 1 {
		t.Shape = TypeLevel
		return t, nil
	}
	switch {
	case n == 2 && seg[1] == "_search":
		t.Shape = TypeSearch
		return t, nil
	case n == 2 && seg[1] == "_history":
		t.Shape = TypeHistory
		return t, nil
	case n == 2 && seg[1][0] == '$':
		t.Shape, t.Name = TypeOperation, seg[1][1:]
		return t, nil
	}
	if !fhir.IsID(seg[1]) {
		return Target{}, BadID(seg[1])
	}
	t.ID = seg[1]
	return instanceTarget(t, seg[2:n], known)
}

// systemTarget parses the paths that begin with no resource type.
func systemTarget(seg []string) (Target, bool) {
	switch s := seg[0]; {
	case len(seg) == 1 && s == "metadata":
		return Target{Shape: Metadata}, true
	case len(seg) == 1 && s == "_search":
		return Target{Shape: SystemSearch}, true
	case len(seg) == 1 && s == "_history":
		return Target{Shape: SystemHistory}, true
	case len(seg) == 1 && strings.HasPrefix(s, "$"):
		return Target{Shape: SystemOperation, Name: s[1:]}, true
	case len(seg) == 3 && s == "_async":
		return Target{Shape: AsyncFile, ID: seg[1], Name: seg[2]}, true
	case len(seg) == 2 && s == "_async":
		return Target{Shape: AsyncStatus, ID: seg[1]}, true
	}
	return Target{}, false
}

// instanceTarget parses what follows Type/id.
func instanceTarget(t Target, rest []string, known func(string) bool) (Target, error) {
	if len(rest) == 0 {
		t.Shape = Instance
		return t, nil
	}
	switch s := rest[0]; {
	case len(rest) == 1 && s == "_history":
		t.Shape = InstanceHistory
	case len(rest) == 1 && strings.HasPrefix(s, "$"):
		t.Shape, t.Name = InstanceOperation, s[1:]
	case len(rest) == 2 && s == "_history":
		t.Shape, t.Version = VersionLevel, rest[1]
	case len(rest) == 3 && s == "_history" && strings.HasPrefix(rest[2], "$"):
		t.Shape, t.Version, t.Name = VersionOperation, rest[1], rest[2][1:]
	case s == "*" || known(s):
		t.Name = s
		switch {
		case len(rest) == 1:
			t.Shape = Compartment
		case len(rest) == 2 && rest[1] == "_search":
			t.Shape = CompartmentSearch
		default:
			return Target{}, unknownPath()
		}
	case len(rest) == 1 && s != "" && s[0] >= 'A' && s[0] <= 'Z':
		return Target{}, UnknownType(s)
	default:
		return Target{}, unknownPath()
	}
	return t, nil
}

// BadID is the error for an id that R4 does not allow.
func BadID(id string) error {
	return fault.New(fault.Invalid, "malformed id").With(fault.Issue{Severity: "error", Code: "value", Key: "id-format",
		Text: "资源 id 只能是 1–64 个字母、数字、“-”和“.”", TextEN: "an id is 1-64 letters, digits, '-' and '.'", Hint: Clip(id)})
}

func unknownPath() error {
	return fault.New(fault.NotFound, "unknown path").With(fault.Issue{Severity: "error", Code: "not-found", Key: "path",
		Text: "没有这样的地址", TextEN: "there is no such address", Hint: "GET /fhir/metadata tells what there is"})
}

// UnknownType is the error for a type that is not among R4's; among known ones
// it names the one that was meant, perhaps.
func UnknownType(name string, known ...string) error {
	return fault.New(fault.NotFound, "unknown resource type").With(fault.Issue{Severity: "error", Code: "not-supported", Key: "resource-type",
		Text: "FHIR R4 没有这种资源类型：" + Clip(name), TextEN: "no such resource type in FHIR R4: " + Clip(name),
		Hint: cmp.Or(fault.DidYouMean(name, known), "types are case-sensitive, e.g. Patient")})
}

// Clip shortens what a caller sent before it is shown back.
func Clip(s string) string {
	const most = 64
	if len(s) <= most {
		return strings.ToValidUTF8(s, "?")
	}
	return strings.ToValidUTF8(s[:most], "?") + "…"
}
