package rest

import (
	"mime"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Format is the representation of an answer.
type Format struct {
	XML    bool
	Pretty bool
	Native string // Accept named this media type and no FHIR one: a Binary is answered as such
}

// The media types of requests and answers.
const (
	JSON      = "application/fhir+json"
	XML       = "application/fhir+xml"
	JSONPatch = "application/json-patch+json"
	XMLPatch  = "application/xml-patch+xml"
	Lines     = "application/fhir+ndjson" // a resource on each line
	Form      = "application/x-www-form-urlencoded"
)

// Kind is the syntax of a media type.
type Kind uint8

// The kinds of media types.
const (
	NoKind Kind = iota // neither of FHIR's
	KindJSON
	KindXML
)

// KindOf tells JSON from XML by a media type or the short names of _format
// (http.html#mime-type).
func KindOf(t string) Kind {
	switch t {
	case JSON, "application/json", "text/json", "json", "application/json+fhir":
		return KindJSON
	case XML, "application/xml", "text/xml", "xml", "application/xml+fhir":
		return KindXML
	}
	return NoKind
}

// Negotiate decides the answer's format by _format, else by Accept. A browser
// (text/html) gets indented JSON rather than the XML its Accept also names.
func Negotiate(format, pretty, accept string) (Format, error) {
	f := Format{Pretty: pretty == "true"}
	if format != "" {
		base, _, _ := strings.Cut(strings.ReplaceAll(format, " ", "+"), ";") // an unescaped '+' arrives as a space
		switch KindOf(strings.ToLower(base)) {
		case KindJSON:
			return f, nil
		case KindXML:
			f.XML = true
			return f, nil
		}
		if strings.Contains(base, "html") {
			f.Pretty = true
			return f, nil
		}
		return f, NotAcceptable(format)
	}
	return negotiateAccept(f, accept)
}

func negotiateAccept(f Format, accept string) (Format, error) {
	if accept == "" || accept == "*/*" || accept == JSON {
		return f, nil
	}
	best, kind := -1.0, NoKind
	for part := range strings.SplitSeq(accept, ",") {
		t, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if v, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = v
		}
		if v, ok := params["fhirversion"]; ok && !IsR4(v) {
			continue
		}
		k := KindOf(t)
		switch t {
		case "text/html":
			return Format{Pretty: true}, nil
		case "*/*", "application/*", "text/*":
			k = KindJSON
		case JSONPatch, "application/x-ndjson", "application/fhir+ndjson":
			k = KindJSON
		}
		if k == NoKind && q > 0 {
			f.Native = t
		}
		if k != NoKind && q > 0 && q > best {
			best, kind = q, k
		}
	}
	f.XML = kind == KindXML
	if kind != NoKind {
		f.Native = ""
	} else if f.Native == "" {
		return f, NotAcceptable(accept)
	}
	return f, nil
}

// IsR4 reports whether the fhirVersion of a media type is R4
// (versioning.html#mt-version).
func IsR4(v string) bool { return v == "4.0" || v == "4.0.1" }

// NotAcceptable is the error for a format that no answer has.
func NotAcceptable(what string) error {
	return fault.New(fault.Unsupported, "not acceptable").With(fault.Issue{Severity: "error", Code: "not-supported", Key: outcome.KeyAccept,
		Text:   "不能以所要求的格式回答：" + Clip(what),
		TextEN: "cannot answer in the format asked for: " + Clip(what), Hint: JSON + ", " + XML})
}

// English reports whether Accept-Language prefers English to Chinese.
func English(accept string) bool {
	if accept == "" {
		return false
	}
	zh, en := -1.0, -1.0
	for part := range strings.SplitSeq(accept, ",") {
		tag, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		w := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(q), "q="); ok {
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				w = f
			}
		}
		switch strings.ToLower(tag[:min(2, len(tag))]) {
		case "zh":
			zh = max(zh, w)
		case "en":
			en = max(en, w)
		}
	}
	return en > zh
}
