package guide

import (
	"fmt"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// row is one element of a profile's differential as its table shows it.
type row struct {
	Name, Slice    string
	Depth          int
	Min, Max       string
	Types          []link
	Binding        *link
	Strength       string
	Fixed          string
	Text           string
	Rules          []rule
	Required, Head bool
}

type link struct{ Name, URL string }

type rule struct{ Key, Text, Expression, Severity string }

// strengths are the binding strengths in words.
var strengths = map[string]string{"required": "必须取自", "extensible": "应取自", "preferred": "宜取自", "example": "例如"}

// rows turns a StructureDefinition into the rows of its table. Slicing headers
// carry no demand of their own and are left out.
func (a *App) rows(sd fhir.Node) []row {
	var out []row
	typ := sd.Get("type").Str()
	for e := range sd.Path("differential", "element").Children() {
		id := e.Get("id").Str()
		if e.Get("slicing").Exists() && !e.Get("min").Exists() {
			continue
		}
		parts := strings.Split(id, ".")
		last, slice, _ := strings.Cut(parts[len(parts)-1], ":")
		r := row{Name: last, Slice: slice, Depth: len(parts) - 1, Min: e.Get("min").Str(), Max: e.Get("max").Str(), Text: e.Get("short").Str(),
			Fixed: fixed(e), Required: e.Get("min").Str() != "" && e.Get("min").Str() != "0", Head: id == typ}
		for t := range e.Get("type").Children() {
			r.Types = append(r.Types, a.typeLinks(t)...)
		}
		if b := e.Get("binding"); b.Exists() {
			l := a.canonical(b.Get("valueSet").Str())
			r.Binding, r.Strength = &l, strengths[b.Get("strength").Str()]
		}
		for c := range e.Get("constraint").Children() {
			r.Rules = append(r.Rules, rule{c.Get("key").Str(), c.Get("human").Str(), c.Get("expression").Str(), c.Get("severity").Str()})
		}
		out = append(out, r)
	}
	return out
}

// fixed is the value that an element must have.
func fixed(e fhir.Node) string {
	if c := e.Path("patternCodeableConcept", "coding").At(0); c.Exists() {
		return c.Get("code").Str()
	}
	return e.Get("fixedUri").Str()
}

// typeLinks names a type, and what it may refer to.
func (a *App) typeLinks(t fhir.Node) []link {
	if p := t.Get("profile").At(0).Str(); p != "" {
		return []link{a.canonical(p)}
	}
	var out []link
	for p := range t.Get("targetProfile").Children() {
		l := a.canonical(p.Str())
		out = append(out, link{"→ " + l.Name, l.URL})
	}
	if out == nil {
		out = append(out, link{Name: t.Get("code").Str()})
	}
	return out
}

// canonical links to a page of the guide where it has one.
func (a *App) canonical(url string) link {
	if x := a.byURL[url]; x != nil {
		return link{x.Title, x.Path()}
	}
	name := url[strings.LastIndexByte(url, '/')+1:]
	if x := a.byType[name]; x != nil {
		return link{name, x.Path()}
	}
	return link{Name: name}
}

// picture is the drawing of a profile: its elements in a column, extensions and
// slices indented, and what they refer to at the right.
type picture struct {
	Width, Height int
	Boxes         []box
}

type box struct {
	X, Y, W        int
	Name, Card     string
	Text           string
	Required       bool
	Ref            string // what the element refers to or is bound to
	RefURL         string
	Extension, Top bool
	FromX, FromY   int // where its line comes from
}

const (
	boxHeight = 34
	indent    = 26
	boxWidth  = 300
	refColumn = 470
)

// draw makes the picture of a profile's rows.
func draw(title string, rows []row) picture {
	p := picture{Width: refColumn + 290}
	p.Boxes = append(p.Boxes, box{X: 4, Y: 4, W: boxWidth, Name: title, Top: true})
	parents := map[int]int{0: 0} // depth → index of the last box there
	y := 4
	for _, r := range rows {
		if r.Head {
			continue
		}
		y += boxHeight + 8
		b := box{X: 4 + r.Depth*indent, Y: y, W: boxWidth, Name: r.Name, Card: cardinality(r), Text: r.Text, Required: r.Required}
		if r.Slice != "" {
			b.Name = r.Slice
			b.Extension = r.Name == "extension"
		}
		switch {
		case r.Binding != nil:
			b.Ref, b.RefURL = r.Strength+"："+r.Binding.Name, r.Binding.URL
		case len(r.Types) > 0 && (strings.HasPrefix(r.Types[0].Name, "→") || b.Extension):
			b.Ref, b.RefURL = r.Types[0].Name, r.Types[0].URL
		case r.Fixed != "":
			b.Ref = "= " + r.Fixed
		}
		for d := r.Depth - 1; d >= 0; d-- {
			if i, ok := parents[d]; ok {
				b.FromX, b.FromY = p.Boxes[i].X+12, p.Boxes[i].Y+boxHeight
				break
			}
		}
		p.Boxes = append(p.Boxes, b)
		parents[r.Depth] = len(p.Boxes) - 1
		for d := range parents {
			if d > r.Depth {
				delete(parents, d)
			}
		}
	}
	p.Height = y + boxHeight + 8
	return p
}

func cardinality(r row) string {
	if r.Min == "" && r.Max == "" {
		return ""
	}
	return fmt.Sprintf("%s..%s", r.Min, r.Max)
}

// Middle is the y of a box's middle, End its right edge, for lines and text.
func (b box) Middle() int { return b.Y + boxHeight/2 }

// Base is the y of a box's text.
func (b box) Base() int { return b.Y + 22 }

// End is the x of a box's right edge.
func (b box) End() int { return b.X + b.W }

// TextX is the x of a box's text.
func (b box) TextX() int { return b.X + 10 }

// CardX is the x of a box's cardinality, right-aligned.
func (b box) CardX() int { return b.X + b.W - 10 }

// RefX is the x of what a box refers to.
func (b box) RefX() int { return refColumn }
