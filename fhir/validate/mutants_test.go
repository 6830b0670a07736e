package validate

import (
	"context"
	"math/rand"
	"strconv"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	figures "github.com/qihuang-health/qihuang/internal/shared"
)

// site is a place in a valid resource where a mutation can be made.
type site struct {
	parent fhir.Node // the object
	n      fhir.Node // the member's value, or one item of it
	member fhir.Node // the member's value
	m      *member
	typ    *definitions.Type
	at     string // expression of n
	above  string // expression of parent
}

// sites lists the places of a resource with their types.
func sites(v *Validator, n fhir.Node, s *schema, at string, out []site) []site {
	for c := range n.Children() {
		m := s.members[c.Key()]
		if m == nil {
			continue
		}
		i := 0
		for item := range c.Each() {
			x := site{parent: n, n: item, member: c, m: m, typ: s.typ, above: at, at: at + "." + m.el.Name}
			if m.many {
				x.at += "[" + strconv.Itoa(i) + "]"
			}
			i++
			out = append(out, x)
			if m.prim != nil || item.Kind() != fhir.Object {
				continue
			}
			child := m.child
			if child == nil {
				child = v.schemas[item.ResourceType()]
			}
			if child != nil {
				out = sites(v, item, child, x.at, out)
			}
		}
	}
	return out
}

// replaced returns the document with one value's text replaced.
func replaced(n fhir.Node, text string) string {
	src := string(n.Tree().Source())
	return src[:n.Offset()] + text + src[n.Offset()+len(n.Raw()):]
}

// without returns the document without a member of an object.
func removed(parent, member fhir.Node) string {
	var parts []string
	for c := range parent.Children() {
		if !c.Same(member) {
			parts = append(parts, strconv.Quote(c.Key())+":"+string(c.Raw()))
		}
	}
	return replaced(parent, "{"+strings.Join(parts, ",")+"}")
}

// added returns the document with one more member in an object.
func added(parent fhir.Node, member string) string {
	return replaced(parent, "{"+member+","+string(parent.Raw()[1:]))
}

// mutation is one way to break a resource; it returns "" where it does not
// apply, else the document and where the error must be.
type mutation struct {
	name string
	make func(v *Validator, x site) (doc, at string)
}

func mutations() []mutation {
	prim := func(names string, text string) func(*Validator, site) (string, string) {
		return func(_ *Validator, x site) (string, string) {
			if x.m.prim == nil || !strings.Contains(" "+names+" ", " "+x.m.prim.name+" ") {
				return "", ""
			}
			return replaced(x.n, text), x.at
		}
	}
	return []mutation{
		{"required element removed", func(_ *Validator, x site) (string, string) {
			if x.m.el.Min == 0 || x.parent.Get("_"+jsonName(x.m)).Exists() || x.parent.Len() < 2 {
				return "", ""
			}
			return removed(x.parent, x.member), x.above + "." + x.m.el.Name
		}},
		{"number for text", prim("string code uri id date dateTime instant canonical markdown", "17")},
		{"text for number", prim("integer positiveInt unsignedInt decimal boolean", `"x"`)},
		{"text for object", func(_ *Validator, x site) (string, string) {
			if x.m.prim != nil {
				return "", ""
			}
			return replaced(x.n, `"x"`), x.at
		}},
		{"object for text", prim("string code uri date dateTime boolean", `{"value":"x"}`)},
		{"bad date", prim("date dateTime instant", `"2020-02-30"`)},
		{"bad time zone", prim("dateTime instant", `"2020-02-20T10:00:00"`)},
		{"bad integer", prim("positiveInt unsignedInt", "-1")},
		{"bad uri", prim("uri canonical url", `"not a uri"`)},
		{"bad id", prim("id", `"no_underscore"`)},
		{"empty string", prim("string code uri", `""`)},
		{"bad base64", prim("base64Binary", `"***"`)},
		{"bad code", func(_ *Validator, x site) (string, string) {
			if b := x.m.el.Binding; b == nil || b.Strength != "required" || x.m.prim == nil || x.m.prim.name != "code" {
				return "", ""
			}
			return replaced(x.n, `"no-such-code"`), x.at
		}},
		{"unknown property", func(_ *Validator, x site) (string, string) {
			return added(x.parent, `"nosuchproperty":1`), x.above + ".nosuchproperty"
		}},
		{"array for single", func(_ *Validator, x site) (string, string) {
			if x.m.many {
				return "", ""
			}
			return replaced(x.member, "["+string(x.member.Raw())+","+string(x.member.Raw())+"]"), x.above + "." + x.m.el.Name
		}},
		{"single for array", func(_ *Validator, x site) (string, string) {
			if !x.m.many {
				return "", ""
			}
			return replaced(x.member, string(x.n.Raw())), x.above + "." + x.m.el.Name
		}},
		{"empty array", func(_ *Validator, x site) (string, string) {
			if !x.m.many || x.parent.Get("_"+jsonName(x.m)).Exists() {
				return "", ""
			}
			return replaced(x.member, "[]"), x.above + "." + x.m.el.Name
		}},
		{"empty object", func(_ *Validator, x site) (string, string) {
			if x.m.prim != nil {
				return "", ""
			}
			return replaced(x.n, "{}"), x.at
		}},
		{"second choice", func(_ *Validator, x site) (string, string) {
			if !x.m.el.Choice || len(x.m.el.Types) < 2 {
				return "", ""
			}
			for _, t := range x.m.el.Types {
				name := x.m.el.Name + strings.ToUpper(t.Code[:1]) + t.Code[1:]
				if t.Code == "string" && !x.parent.Get(name).Exists() {
					return added(x.parent, `"`+name+`":"x"`), x.above + "." + x.m.el.Name
				}
				if t.Code == "boolean" && !x.parent.Get(name).Exists() {
					return added(x.parent, `"`+name+`":true`), x.above + "." + x.m.el.Name
				}
			}
			return "", ""
		}},
		{"wrong reference type", func(v *Validator, x site) (string, string) {
			ref := x.n.Get("reference")
			if x.m.modelType() != "Reference" || ref.Kind() != fhir.String || strings.HasPrefix(ref.Str(), "#") {
				return "", ""
			}
			w := &walk{v: v}
			if w.allowed("Binary", x.m.ref.Targets) {
				return "", ""
			}
			return replaced(ref, `"Binary/1"`), x.at + ".reference"
		}},
		{"bad reference", func(_ *Validator, x site) (string, string) {
			ref := x.n.Get("reference")
			if x.m.modelType() != "Reference" || ref.Kind() != fhir.String {
				return "", ""
			}
			return replaced(ref, `"Pateint/1"`), x.at + ".reference"
		}},
		{"lost contained", func(_ *Validator, x site) (string, string) {
			ref := x.n.Get("reference")
			if x.m.modelType() != "Reference" || ref.Kind() != fhir.String {
				return "", ""
			}
			return replaced(ref, `"#nosuch"`), x.at + ".reference"
		}},
		{"period reversed", func(_ *Validator, x site) (string, string) {
			if x.m.modelType() != "Period" {
				return "", ""
			}
			return replaced(x.n, `{"start":"2020-05-05","end":"2019-01-01"}`), x.at
		}},
		{"script in narrative", func(_ *Validator, x site) (string, string) {
			if x.m.modelType() != "Narrative" || !x.n.Get("div").Exists() {
				return "", ""
			}
			return replaced(x.n.Get("div"), `"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div>"`), x.at + ".div"
		}},
		{"relative extension", func(_ *Validator, x site) (string, string) {
			if x.m.modelType() != "Extension" || strings.Contains(x.above, "xtension") || !strings.Contains(x.n.Get("url").Str(), ":") {
				return "", ""
			}
			return replaced(x.n.Get("url"), `"noscheme"`), x.at + ".url"
		}},
		{"extension with value and extensions", func(_ *Validator, x site) (string, string) {
			if x.m.modelType() != "Extension" || x.n.Get("extension").Exists() {
				return "", ""
			}
			return added(x.n, `"extension":[{"url":"http://t/x","valueCode":"x"}]`), x.at
		}},
		{"bad code of a known system", func(v *Validator, x site) (string, string) {
			if x.m.modelType() != "Coding" || v.terms.Valid(x.n.Get("system").Str(), "no-such-code") != 0 || !x.n.Get("code").Exists() {
				return "", ""
			}
			return replaced(x.n.Get("code"), `"no-such-code"`), x.at + ".code"
		}},
		{"contained without id", func(_ *Validator, x site) (string, string) {
			if x.m.el.Name != "contained" {
				return "", ""
			}
			return removed(x.n, x.n.Get("id")), x.at
		}},
	}
}

// harmless are changes that keep a resource valid.
func harmless() []mutation {
	return []mutation{
		{"unknown extension", func(_ *Validator, x site) (string, string) {
			if x.m.child == nil || x.n.Get("extension").Exists() || x.m.modelType() == "Extension" || x.m.child.members["extension"] == nil {
				return "", ""
			}
			return added(x.n, `"extension":[{"url":"http://t/x","valueCode":"x"}]`), ""
		}},
		{"element id", func(_ *Validator, x site) (string, string) {
			if x.m.child == nil || x.n.Get("id").Exists() {
				return "", ""
			}
			return added(x.n, `"id":"x1"`), ""
		}},
		{"members in another order", func(_ *Validator, x site) (string, string) {
			var parts []string
			for c := range x.parent.Children() {
				parts = append([]string{strconv.Quote(c.Key()) + ":" + string(c.Raw())}, parts...)
			}
			return replaced(x.parent, "{ "+strings.Join(parts, " ,\n ")+" }"), ""
		}},
		{"data absent", func(_ *Validator, x site) (string, string) {
			if x.m.prim == nil || x.m.prim.name != "string" || x.m.many || x.m.el.Name == "id" || x.parent.Get("_"+jsonName(x.m)).Exists() {
				return "", ""
			}
			return added(x.parent, `"_`+jsonName(x.m)+`":{"id":"x1"}`), ""
		}},
	}
}

// TestMutants breaks valid R4 examples in many ways, one at a time: the error
// must be found, at the place or just above it. Harmless changes must stay valid.
func TestMutants(t *testing.T) {
	v, rnd := validator(t), rand.New(rand.NewSource(1))
	p := &fhir.Parser{}
	run := func(doc string) (bool, []string) {
		tree, err := p.Parse([]byte(doc))
		if err != nil {
			t.Fatalf("%v in mutant %s", err, doc)
		}
		var at []string
		for _, is := range v.Validate(context.Background(), tree.Root(), Options{Level: Full}) {
			if is.Severity == "error" {
				at = append(at, is.Expression)
			}
		}
		return len(at) > 0, at
	}
	type count struct{ made, found, placed int }
	counts := map[string]*count{}
	missed := map[string]string{}
	made, placed, neutral, alarms := 0, 0, 0, 0
	for name, data := range examples(t) {
		if len(data) > 40_000 || faulty()[name] != nil || rnd.Intn(4) > 0 && len(data) > 4000 {
			continue
		}
		tree, err := fhir.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		root := tree.Root()
		s := v.schemas[root.ResourceType()]
		if s == nil {
			continue
		}
		all := sites(v, root, s, root.ResourceType(), nil)
		for _, m := range mutations() {
			for range 3 { // try a few places
				x := all[rnd.Intn(len(all))]
				doc, want := m.make(v, x)
				if doc == "" {
					continue
				}
				c := counts[m.name]
				if c == nil {
					c = &count{}
					counts[m.name] = c
				}
				c.made++
				made++
				bad, at := run(doc)
				if bad {
					c.found++
				}
				if near(at, want) {
					c.placed++
					placed++
				} else {
					missed[m.name] = name + " " + want + " got " + strings.Join(at, " ")
				}
				break
			}
		}
		for _, m := range harmless() {
			doc, _ := m.make(v, all[rnd.Intn(len(all))])
			if doc == "" {
				continue
			}
			neutral++
			if bad, at := run(doc); bad {
				alarms++
				missed[m.name] = name + " " + strings.Join(at, " ")
			}
		}
	}
	for _, m := range mutations() {
		if c := counts[m.name]; c != nil {
			t.Logf("%-38s %5d made, %5d found, %5d at the place  %s", m.name, c.made, c.found, c.placed, missed[m.name])
		}
	}
	for _, m := range harmless() {
		t.Logf("%-38s %s", m.name, missed[m.name])
	}
	figures.Figure(t, "validator mutants caught in place", placed, made)
	caught, false_ := 100*float64(placed)/float64(made), 100*float64(alarms)/float64(neutral)
	t.Logf("%d mutants, %.2f %% caught at the right place; %d harmless changes, %.2f %% false alarms", made, caught, neutral, false_)
	if caught < 98 || false_ > 0.5 {
		t.Errorf("want at least 98 %% caught and at most 0.5 %% false alarms")
	}
}

// near reports whether one of the places is the wanted one or what holds it.
func near(at []string, want string) bool {
	for _, a := range at {
		if a == want || strings.HasPrefix(want, a) && strings.LastIndexByte(want, '.') <= len(a) {
			return true
		}
	}
	return false
}

// jsonName is the member name the element's type gives.
func jsonName(m *member) string {
	if !m.el.Choice {
		return m.el.Name
	}
	return m.el.Name + strings.ToUpper(m.ref.Code[:1]) + m.ref.Code[1:]
}
