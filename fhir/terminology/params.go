package terminology

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Params are the inputs of an operation, from a Parameters resource or from a
// query string.
type Params struct {
	list []param
}

type param struct {
	name  string
	text  string    // primitive value
	value fhir.Node // complex value or resource, absent for a primitive
	part  fhir.Node
}

// QueryParams takes the parameters of a GET.
func QueryParams(q url.Values) Params {
	var p Params
	names := make([]string, 0, len(q))
	for name := range q {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range q[name] {
			p.list = append(p.list, param{name: name, text: v})
		}
	}
	return p
}

// BodyParams takes a Parameters resource; any other resource is the parameter
// of its kind (a posted ValueSet is `valueSet`). body must outlive p.
func BodyParams(body fhir.Node) (Params, error) {
	var p Params
	switch typ := body.ResourceType(); typ {
	case "Parameters":
	case "ValueSet", "CodeSystem", "ConceptMap":
		name := map[string]string{"ValueSet": "valueSet", "CodeSystem": "codeSystem", "ConceptMap": "conceptMap"}[typ]
		return Params{[]param{{name: name, value: body}}}, nil
	default:
		return p, fault.New(fault.Invalid, "expected a Parameters resource, not %q", typ)
	}
	for n := range body.Get("parameter").Each() {
		p.list = append(p.list, newParam(n))
	}
	return p, nil
}

func newParam(n fhir.Node) param {
	x := param{name: n.Get("name").Str(), part: n.Get("part"), value: n.Get("resource")}
	for v := range n.Children() {
		if k := v.Key(); len(k) > 5 && k[:5] == "value" {
			if v.Kind() == fhir.Object {
				x.value = v
			} else {
				x.text = v.Str()
			}
		}
	}
	return x
}

// Set adds or replaces a primitive parameter.
func (p *Params) Set(name, text string) {
	p.list = slices.DeleteFunc(slices.Clone(p.list), func(x param) bool { return x.name == name })
	p.list = append(p.list, param{name: name, text: text})
}

// str returns the first value given under any of the names.
func (p Params) str(names ...string) string {
	for _, name := range names {
		for _, x := range p.list {
			if x.name == name && x.text != "" {
				return x.text
			}
		}
	}
	return ""
}

// all returns every value of a repeating parameter.
func (p Params) all(name string) []string {
	var out []string
	for _, x := range p.list {
		if x.name == name && x.text != "" {
			out = append(out, x.text)
		}
	}
	return out
}

// node returns the first complex value or resource of that name.
func (p Params) node(name string) fhir.Node {
	for _, x := range p.list {
		if x.name == name && x.value.Exists() {
			return x.value
		}
	}
	return fhir.Node{}
}

// boolean returns a flag; def if it is not given.
func (p Params) boolean(name string, def bool) (bool, error) {
	switch v := p.str(name); v {
	case "":
		return def, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return def, badParam(name, v)
	}
}

// number returns a count of zero or more; def if it is not given.
func (p Params) number(name string, def int) (int, error) {
	v := p.str(name)
	if v == "" {
		return def, nil
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return def, badParam(name, v)
	}
	return int(n), nil
}

func badParam(name, value string) *fault.Error {
	return fault.New(fault.Invalid, "bad value of parameter %s", name).With(fault.Issue{Severity: "error", Code: "value",
		Key: "parameter-value", Text: "参数 " + name + " 的值不正确：" + value, TextEN: "bad value of parameter " + name + ": " + value})
}

// coding is a code with its system, as parameters give it.
type coding struct {
	system, version, code, display string
}

func codingOf(n fhir.Node) coding {
	return coding{n.Get("system").Str(), n.Get("version").Str(), n.Get("code").Str(), n.Get("display").Str()}
}

// codings returns the codes to look at: code+system, coding or codeableConcept.
func (p Params) codings() []coding {
	if n := p.node("codeableConcept"); n.Exists() {
		var list []coding
		for c := range n.Get("coding").Each() {
			list = append(list, codingOf(c))
		}
		return list
	}
	if n := p.node("coding"); n.Exists() {
		return []coding{codingOf(n)}
	}
	if code := p.str("code"); code != "" {
		return []coding{{p.str("system"), p.str("systemVersion", "version"), code, p.str("display")}}
	}
	if v := p.str("coding"); v != "" { // a query may write system|code
		return []coding{parseToken(v)}
	}
	return nil
}

// parseToken reads system|code; a text without a bar is a code.
func parseToken(s string) coding {
	if i := strings.LastIndexByte(s, '|'); i >= 0 {
		return coding{system: s[:i], code: s[i+1:]}
	}
	return coding{code: s}
}
