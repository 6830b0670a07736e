// Package stamp changes the bytes of a resource as storing it demands, and no
// others: id, meta.versionId and meta.lastUpdated, and references to other entries
// of its bundle. It also says whether two resources are the same but for those.
package stamp

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

func replaceNode(n fhir.Node, text string) fhir.Edit { return fhir.Replace(n, []byte(text)) }

func insertAt(at int, text string) fhir.Edit {
	return fhir.Edit{Start: at, End: at, Text: []byte(text)}
}

// Layout is how lastUpdated is written: of fixed width, so that it can be written
// over in place.
const Layout = "2006-01-02T15:04:05.000Z"

// Edits sets id, meta.versionId and meta.lastUpdated. Members that are
// there are replaced, others are put in front: id and meta after
// resourceType, the rest at the head of meta.
func Edits(root fhir.Node, id string, version int64, updated string) ([]fhir.Edit, error) {
	rt := root.Get("resourceType")
	if root.Kind() != fhir.Object || rt.Kind() != fhir.String {
		return nil, fault.New(fault.Invalid, "not a resource").With(fault.Issue{Severity: "error", Code: "structure",
			Key: "no-resource-type", Text: "缺少 resourceType", TextEN: "resourceType is missing"})
	}
	afterType := rt.Offset() + len(rt.Raw())
	var edits []fhir.Edit
	front := ""
	quotedID := strconv.Quote(id) // ids are [A-Za-z0-9.-]
	if n := root.Get("id"); n.Exists() {
		edits = append(edits, replaceNode(n, quotedID))
	} else {
		front = `,"id":` + quotedID
	}
	ver, upd := `"`+strconv.FormatInt(version, 10)+`"`, `"`+updated+`"`
	meta := root.Get("meta")
	if meta.Kind() != fhir.Object {
		whole := `{"versionId":` + ver + `,"lastUpdated":` + upd + `}`
		if meta.Exists() {
			edits = append(edits, replaceNode(meta, whole))
		} else {
			front += `,"meta":` + whole
		}
		return append(edits, insertAt(afterType, front)), nil
	}
	inner := ""
	if n := meta.Get("versionId"); n.Exists() {
		edits = append(edits, replaceNode(n, ver))
	} else {
		inner = `"versionId":` + ver
	}
	if n := meta.Get("lastUpdated"); n.Exists() {
		edits = append(edits, replaceNode(n, upd))
	} else {
		if inner != "" {
			inner += ","
		}
		inner += `"lastUpdated":` + upd
	}
	if inner != "" {
		if meta.Len() > 0 {
			inner += ","
		}
		at := meta.Offset() + 1
		edits = append(edits, insertAt(at, inner))
	}
	return append(edits, insertAt(afterType, front)), nil
}

// At finds the version and lastUpdated that Edits wrote.
func At(root fhir.Node) (version, updated fhir.Node) {
	meta := root.Get("meta")
	return meta.Get("versionId"), meta.Get("lastUpdated")
}

// Links maps what a reference may say inside a bundle to Type/id.
type Links map[string]string

// Add registers the entry known in its bundle as fullURL.
func (l Links) Add(fullURL, typ, id string) {
	if fullURL == "" {
		return
	}
	target := typ + "/" + id
	l[fullURL] = target
	// A RESTful fullUrl <base>/Type/old also answers to the relative Type/old.
	if i := strings.LastIndexByte(fullURL, '/'); i > 0 && strings.HasPrefix(fullURL, "http") {
		if j := strings.LastIndexByte(fullURL[:i], '/'); j > 0 && fullURL[j+1:i] == typ {
			l[fullURL[j+1:]] = target
		}
	}
}

// linkKeys are the members of FHIR type Reference.reference, uri, url, oid or
// uuid that may name another entry (http.html#transaction: "References").
func linkKey(key string) bool {
	switch key {
	case "reference", "url", "uri", "valueUri", "valueUrl", "valueUuid", "valueOid":
		return true
	}
	return false
}

// Conditional reports whether a reference is a search URL, Type?query.
func Conditional(ref string) (typ, query string, ok bool) {
	i := strings.IndexByte(ref, '?')
	if i < 3 || i > 40 || ref[0] < 'A' || ref[0] > 'Z' {
		return "", "", false
	}
	for _, c := range []byte(ref[:i]) {
		if c < 'A' || c > 'z' || (c > 'Z' && c < 'a') {
			return "", "", false
		}
	}
	return ref[:i], ref[i+1:], true
}

// Relink finds the references to rewrite: those in l, in narrative links
// too, and the conditional ones, which resolve answers with Type/id. With
// resolve nil it only reports whether there are conditional ones.
func Relink(root fhir.Node, l Links, resolve func(typ, query string, at fhir.Node) (string, error)) (edits []fhir.Edit, open bool, err error) {
	var walk func(n fhir.Node)
	visit := func(c fhir.Node) {
		key := c.Key()
		if key == "div" && len(l) > 0 {
			edits = narrativeEdits(edits, c, l)
			return
		}
		if !linkKey(key) {
			return
		}
		s := c.Str()
		if to, ok := l[s]; ok {
			edits = append(edits, replaceNode(c, `"`+to+`"`))
			return
		}
		if key != "reference" {
			return
		}
		typ, query, ok := Conditional(s)
		switch {
		case !ok || err != nil:
		case resolve == nil:
			open = true
		default:
			var to string
			if to, err = resolve(typ, query, c); err == nil {
				edits = append(edits, replaceNode(c, `"`+to+`"`))
			}
		}
	}
	walk = func(n fhir.Node) {
		for c := n.First(); c.Exists(); c = c.Next() {
			switch c.Kind() {
			case fhir.Object, fhir.Array:
				walk(c)
			case fhir.String:
				visit(c)
			}
		}
	}
	walk(root)
	return edits, open, err
}

// narrativeEdits rewrites <a href> and <img src> in Narrative.div.
func narrativeEdits(edits []fhir.Edit, div fhir.Node, l Links) []fhir.Edit {
	raw, base := div.Raw(), div.Offset()
	for pos := 0; ; {
		i := bytes.Index(raw[pos:], []byte("=\\\""))
		quote, skip := []byte("\\\""), 3
		if j := bytes.Index(raw[pos:], []byte("='")); j >= 0 && (i < 0 || j < i) {
			i, quote, skip = j, []byte("'"), 2
		}
		if i < 0 {
			return edits
		}
		start := pos + i + skip
		end := bytes.Index(raw[start:], quote)
		if end < 0 {
			return edits
		}
		end += start
		name := raw[:pos+i]
		if bytes.HasSuffix(name, []byte("href")) || bytes.HasSuffix(name, []byte("src")) {
			if to, ok := l[string(raw[start:end])]; ok {
				edits = append(edits, fhir.Edit{Start: base + start, End: base + end, Text: []byte(to)})
			}
		}
		pos = end
	}
}

// Same reports whether two resources say the same: equal members in any
// order, equal items in order, numbers by their text, leaving out
// meta.versionId and meta.lastUpdated.
func Same(a, b fhir.Node) bool { return sameNode(a, b, 0) }

func sameNode(a, b fhir.Node, depth int) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case fhir.Array:
		if a.Len() != b.Len() {
			return false
		}
		x, y := a.First(), b.First()
		for ; x.Exists(); x, y = x.Next(), y.Next() {
			if !sameNode(x, y, depth+1) {
				return false
			}
		}
		return true
	case fhir.Object:
		meta := depth == 1 && a.Key() == "meta"
		na, nb := 0, 0
		for m := b.First(); m.Exists(); m = m.Next() {
			if !meta || !stamp(m.Key()) {
				nb++
			}
		}
		for m := a.First(); m.Exists(); m = m.Next() {
			if meta && stamp(m.Key()) {
				continue
			}
			na++
			if !sameNode(m, b.Get(m.Key()), depth+1) {
				return false
			}
		}
		return na == nb
	default:
		return a.Str() == b.Str()
	}
}

func stamp(key string) bool { return key == "versionId" || key == "lastUpdated" }
