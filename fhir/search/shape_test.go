package search_test

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/search"
)

// shapes asks the query once more with one of what changes the form of an answer:
// an order, a total, inclusions, a compartment.
func (g *generator) shapes(w *world, typ, q string, want []string) error {
	switch g.r.IntN(8) {
	case 0:
		return g.ordered(w, typ, q, want)
	case 1:
		return g.totalled(w, typ, q, want)
	case 2:
		return g.included(w, typ, q, want)
	case 3:
		return g.compartment(w, typ, q, want)
	}
	return nil
}

func ask1(w *world, typ, q string) (*search.Page, error) {
	return w.engine.Search(context.Background(), w.index, search.Request{Type: typ, Query: q, Now: now})
}

// totalled checks every way to ask for the number of matches.
func (g *generator) totalled(w *world, typ, q string, want []string) error {
	g.used["_total"]++
	for _, more := range []string{"&_total=accurate&_count=1", "&_summary=count", "&_count=0", "&_total=estimate&_count=0"} {
		p, err := ask1(w, typ, q+more)
		if err != nil {
			return err
		}
		if p.Total == nil || *p.Total != len(want) {
			return fmt.Errorf("%s: total %v, want %d", more, p.Total, len(want))
		}
	}
	p, err := ask1(w, typ, q+"&_total=none&_count=1")
	if err == nil && p.Total != nil {
		err = fmt.Errorf("_total=none gives %d", *p.Total)
	}
	return err
}

// ordered checks that everything comes once and in order.
func (g *generator) ordered(w *world, typ, q string, want []string) error {
	var keys []order
	var names []string
	for range 1 + g.r.IntN(3) {
		sps := parameters(typ)
		sp := sps[g.r.IntN(len(sps))]
		if !slices.Contains([]string{"date", "string", "number", "uri", "token", "quantity"}, sp.Type) || !plainly(sp) || sp.Code == "_id" {
			continue
		}
		o := order{sp, g.r.IntN(2) == 0}
		keys = append(keys, o)
		names = append(names, map[bool]string{true: "-"}[o.desc]+sp.Code)
		if sp.Type == "token" { // codes equal but for their systems come in an order of our own
			break
		}
	}
	if len(keys) == 0 {
		return nil
	}
	g.used["_sort"]++
	got, err := pages(w.engine, w.index, typ, q+"&_sort="+strings.Join(names, ","), 1+g.r.IntN(60))
	if err != nil {
		return err
	}
	for i := 1; i < len(got); i++ {
		if g.o.compare(keys, g.o.all[typ][got[i-1]], g.o.all[typ][got[i]]) > 0 {
			return fmt.Errorf("_sort=%v: %s comes before %s", names, got[i-1], got[i])
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		return fmt.Errorf("_sort=%v: %d matches, want %d", names, len(got), len(want))
	}
	return nil
}

type order struct {
	sp   *definitions.SearchParameter
	desc bool
}

func (o *oracle) compare(keys []order, a, b fhir.Node) int {
	for _, k := range keys {
		x, y := o.sortKey(k, a), o.sortKey(k, b)
		switch {
		case x == y:
		case x == "":
			return 1
		case y == "":
			return -1
		case (x < y) != k.desc:
			return -1
		default:
			return 1
		}
	}
	return 0
}

// sortKey is the smallest value, or descending the largest, in a form that sorts.
func (o *oracle) sortKey(k order, res fhir.Node) string {
	var all []string
	for _, v := range o.values(res, k.sp.Expression) {
		switch k.sp.Type {
		case "date":
			for _, r := range rangesOf(v) {
				all = append(all, fmt.Sprintf("%020d %020d", r.from.UnixMicro()+4e18, r.to.UnixMicro()+4e18))
			}
		case "string":
			for _, s := range stringsOf(v) {
				if s = folded(s); len(s) > 256 {
					s = strings.ToValidUTF8(s[:256], "")
				}
				all = append(all, s)
			}
		case "uri":
			bare, _, _ := strings.Cut(v.n.Str(), "|")
			all = append(all, v.n.Str(), bare)
		case "token":
			for _, c := range codesOf(v) {
				if c.code != "" {
					all = append(all, c.code)
				}
			}
		case "number", "quantity":
			if a, ok := amountOf(v); ok {
				all = append(all, ranked(a.low, a.openLow, "0")+ranked(a.high, a.openHigh, "9"))
			}
		}
	}
	switch {
	case len(all) == 0:
		return ""
	case k.desc:
		return slices.Max(all)
	}
	return slices.Min(all)
}

// ranked writes a number so that it sorts as text; none is the form of an open end.
func ranked(r *big.Rat, open bool, none string) string {
	if r == nil {
		return strings.Repeat(none, 40)
	}
	f, _ := r.Float64()
	return fmt.Sprintf("%039.12f", f+1e15) + strconv.Itoa(map[bool]int{true: 1}[open])
}

// reach is one _include or _revinclude.
type reach struct {
	reverse, iterate   bool
	source, code, only string // "" = any
}

func (r reach) String() string {
	s := "_include"
	if r.reverse {
		s = "_revinclude"
	}
	if r.iterate {
		s += ":iterate"
	}
	if r.source == "" {
		return s + "=*"
	}
	s += "=" + r.source + ":" + r.code
	if r.only != "" {
		s += ":" + r.only
	}
	return s
}

// included checks what is on the page beside the matches.
func (g *generator) included(w *world, typ, q string, want []string) error {
	if len(want) == 0 || len(want) > 100 {
		return nil
	}
	var list []reach
	for range 1 + g.r.IntN(3) {
		if r, ok := g.reach(typ); ok {
			list = append(list, r)
			q += "&" + r.String()
			g.used[strings.SplitN(r.String(), "=", 2)[0]]++
		}
	}
	if len(list) == 0 {
		return nil
	}
	p, err := ask1(w, typ, q+"&_count=1000")
	if err != nil {
		return err
	}
	var got []string
	for _, m := range p.Matches {
		if m.Mode == search.ModeInclude {
			got = append(got, m.Type+"/"+m.ID)
		}
	}
	expect := g.o.reached(typ, want, list)
	if slices.Sort(got); !slices.Equal(got, expect) {
		return fmt.Errorf("%v: included %d %v, want %d %v", list, len(got), cutList(got), len(expect), cutList(expect))
	}
	return nil
}

func (g *generator) reach(typ string) (reach, bool) {
	r := reach{reverse: g.r.IntN(3) == 0, iterate: g.r.IntN(2) == 0}
	if g.r.IntN(8) == 0 {
		return r, true
	}
	from := g.names[g.r.IntN(len(g.names))]
	if !r.reverse && g.r.IntN(3) > 0 {
		from[0] = typ
	}
	sps := slices.DeleteFunc(slices.Clone(parameters(from[0])), func(sp *definitions.SearchParameter) bool { return sp.Type != "reference" || !plainly(sp) })
	if len(sps) == 0 {
		return r, false
	}
	sp := sps[g.r.IntN(len(sps))]
	r.source, r.code = from[0], sp.Code
	if len(sp.Target) > 0 && g.r.IntN(4) == 0 && model().IsResource(sp.Target[0]) {
		r.only = sp.Target[g.r.IntN(len(sp.Target))]
	}
	return r, true
}

// reached follows the inclusions from the matches, those that iterate from what
// was included too.
func (o *oracle) reached(typ string, matches []string, list []reach) []string {
	seen := map[string]bool{}
	var batch, out []string
	for _, id := range matches {
		seen[typ+"/"+id] = true
		batch = append(batch, typ+"/"+id)
	}
	for first := true; len(batch) > 0; first = false {
		var next []string
		for _, r := range list {
			if !first && !r.iterate {
				continue
			}
			for _, at := range batch {
				for _, to := range o.step(r, at) {
					if !seen[to] {
						seen[to] = true
						next = append(next, to)
					}
				}
			}
		}
		out = append(out, next...)
		batch = next
	}
	slices.Sort(out)
	return out
}

func (o *oracle) step(r reach, at string) (out []string) {
	typ, id, _ := strings.Cut(at, "/")
	if r.reverse {
		if r.only != "" && r.only != typ {
			return nil
		}
		for from := range o.all {
			for _, sp := range o.links(r, from) {
				for _, res := range o.referrers(from, sp.Code)[at] {
					out = append(out, from+"/"+res.Get("id").Str())
				}
			}
		}
		return out
	}
	for _, sp := range o.links(r, typ) {
		for _, v := range o.values(o.all[typ][id], sp.Expression) {
			to, id := refOf(v)
			if _, ok := o.all[to][id]; ok && (r.only == "" || r.only == to) {
				out = append(out, to+"/"+id)
			}
		}
	}
	return out
}

// links lists the reference parameters of a type that an inclusion follows.
func (o *oracle) links(r reach, typ string) (out []*definitions.SearchParameter) {
	if r.source != "" && r.source != typ {
		return nil
	}
	for _, sp := range parameters(typ) {
		if sp.Type == "reference" && plainly(sp) && (r.code == "" || r.code == sp.Code) {
			out = append(out, sp)
		}
	}
	return out
}

// compartment checks the query within the compartment of a patient.
func (g *generator) compartment(w *world, typ, q string, want []string) error {
	codes := model().Compartment("Patient").Resources[typ]
	if len(codes) == 0 || typ == "Patient" {
		return nil
	}
	g.used["compartment"]++
	patient := g.o.ids["Patient"][g.r.IntN(len(g.o.ids["Patient"]))]
	var expect []string
	for _, id := range want {
		if slices.ContainsFunc(codes, func(code string) bool {
			sp := paramOf(typ, code)
			return sp != nil && slices.ContainsFunc(g.o.values(g.o.all[typ][id], sp.Expression), func(v value) bool {
				to, id := refOf(v)
				return to == "Patient" && id == patient
			})
		}) {
			expect = append(expect, id)
		}
	}
	p, err := w.engine.Search(context.Background(), w.index, search.Request{Type: typ, Query: q, Count: 1000, Now: now,
		Compartment: &search.Compartment{Type: "Patient", ID: patient}})
	if err != nil {
		return err
	}
	var got []string
	for _, m := range p.Matches {
		got = append(got, m.ID)
	}
	if slices.Sort(got); !slices.Equal(got, expect) {
		return fmt.Errorf("compartment of %s: %v, want %v", patient, cutList(got), cutList(expect))
	}
	return nil
}
