package server

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

const (
	mimeJSON   = "application/fhir+json"
	mimeXML    = "application/fhir+xml"
	mimePatch  = "application/json-patch+json"
	mimeXPatch = "application/xml-patch+xml"
	mimeLines  = "application/fhir+ndjson"
	mimeForm   = "application/x-www-form-urlencoded"
)

// mediaKind tells JSON from XML by a media type or the short names of _format
// (http.html#mime-type); 0 = neither.
func mediaKind(t string) byte {
	switch t {
	case mimeJSON, "application/json", "text/json", "json", "application/json+fhir":
		return 'j'
	case mimeXML, "application/xml", "text/xml", "xml", "application/xml+fhir":
		return 'x'
	}
	return 0
}

// negotiate decides the answer's format by _format, else by Accept. A browser
// (text/html) gets indented JSON rather than the XML its Accept also names.
func negotiate(format, pretty, accept string) (Format, error) {
	f := Format{Pretty: pretty == "true"}
	if format != "" {
		base, _, _ := strings.Cut(strings.ReplaceAll(format, " ", "+"), ";") // an unescaped '+' arrives as a space
		switch mediaKind(strings.ToLower(base)) {
		case 'j':
			return f, nil
		case 'x':
			f.XML = true
			return f, nil
		}
		if strings.Contains(base, "html") {
			f.Pretty = true
			return f, nil
		}
		return f, notAcceptable(format)
	}
	return negotiateAccept(f, accept)
}

func negotiateAccept(f Format, accept string) (Format, error) {
	if accept == "" || accept == "*/*" || accept == mimeJSON {
		return f, nil
	}
	best, kind := -1.0, byte(0)
	for part := range strings.SplitSeq(accept, ",") {
		t, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if v, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = v
		}
		if v, ok := params["fhirversion"]; ok && !ourVersion(v) {
			continue
		}
		k := mediaKind(t)
		switch t {
		case "text/html":
			return Format{Pretty: true}, nil
		case "*/*", "application/*", "text/*":
			k = 'j'
		case mimePatch, "application/x-ndjson", "application/fhir+ndjson":
			k = 'j'
		}
		if k == 0 && q > 0 {
			f.Native = t
		}
		if k != 0 && q > 0 && q > best {
			best, kind = q, k
		}
	}
	f.XML = kind == 'x'
	if kind != 0 {
		f.Native = ""
	} else if f.Native == "" {
		return f, notAcceptable(accept)
	}
	return f, nil
}

// ourVersion reports whether the fhirVersion of a media type is R4
// (versioning.html#mt-version).
func ourVersion(v string) bool { return v == "4.0" || v == "4.0.1" }

func notAcceptable(what string) error {
	return fault.New(fault.Unsupported, "not acceptable").With(fault.Issue{Severity: "error", Code: "not-supported", Key: outcome.KeyAccept,
		Text:   "不能以所要求的格式回答：" + clip(what),
		TextEN: "cannot answer in the format asked for: " + clip(what), Hint: mimeJSON + ", " + mimeXML})
}

// english reports whether Accept-Language prefers English to Chinese.
func english(accept string) bool {
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
