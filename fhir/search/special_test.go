package search_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/search/query"
)

// special draws a condition beyond the plain parameters; nil if nothing fits.
func (g *generator) special(typ string) *cond {
	kinds := []func(string) *cond{g.identity, g.onList, g.words, g.concepts, g.ofType, g.nearby, g.filtered, g.pinyin, g.about}
	for range 8 {
		if c := kinds[g.r.IntN(len(kinds))](typ); c != nil {
			return c
		}
	}
	return nil
}

// count notes which features a condition uses.
func (g *generator) count(c *cond) {
	for ; c != nil; c = c.chain {
		switch {
		case c.has != "":
			g.used["_has"]++
		case c.chain != nil:
			g.used["chain"]++
		case c.modifier != "" && model().IsResource(c.modifier):
			g.used[":[type]"]++
		case c.modifier != "":
			g.used[":"+c.modifier]++
		}
		if c.chain == nil && (c.test != nil || strings.HasPrefix(c.code, "_")) {
			g.used[c.code]++
		}
	}
}

func (g *generator) identity(typ string) *cond {
	c := &cond{typ: typ, code: "_id", modifier: g.pick("", "not")}
	for range 1 + g.r.IntN(3) {
		c.values = append(c.values, g.o.ids[typ][g.r.IntN(len(g.o.ids[typ]))])
	}
	c.test = func(res fhir.Node) bool {
		return slices.Contains(c.values, res.Get("id").Str()) != (c.modifier == "not")
	}
	return c
}

func (g *generator) onList(typ string) *cond {
	lists := g.o.ids["List"]
	if g.r.IntN(3) > 0 {
		return nil
	}
	id := lists[g.r.IntN(len(lists))]
	return &cond{typ: typ, code: "_list", values: []string{id}, test: func(res fhir.Node) bool {
		for e := range g.o.all["List"][id].Get("entry").Each() {
			if deleted, _ := e.Get("deleted").Bool(); !deleted && e.Path("item", "reference").Str() == res.ResourceType()+"/"+res.Get("id").Str() {
				return true
			}
		}
		return false
	}}
}

// words asks for one word, or for one or two neighbouring Chinese characters.
func (g *generator) words(typ string) *cond {
	code := g.pick("_text", "_content")
	all := g.o.wordsOf(g.sample(typ), code)
	if len(all) == 0 {
		return nil
	}
	w := all[g.r.IntN(len(all))]
	if r := []rune(w); unicode.Is(unicode.Han, r[0]) {
		i := g.r.IntN(len(r))
		w = string(r[i:min(len(r), i+1+g.r.IntN(2))])
	}
	if len(w) > 30 {
		return nil
	}
	return &cond{typ: typ, code: code, values: []string{query.Escape(w)}, test: func(res fhir.Node) bool {
		for _, have := range g.o.wordsOf(res, code) {
			if have == w || unicode.Is(unicode.Han, []rune(w)[0]) && strings.Contains(have, w) {
				return true
			}
		}
		return false
	}}
}

func (o *oracle) wordsOf(res fhir.Node, code string) []string {
	at := asked{res, code}
	words, ok := o.words[at]
	if !ok {
		words = wordsOf(res, code)
		o.words[at] = words
	}
	return words
}

// wordsOf cuts the texts of a resource for people into words and runs of Chinese.
func wordsOf(res fhir.Node, code string) (out []string) {
	cut := func(s string) {
		kind := func(r rune) int {
			switch {
			case unicode.Is(unicode.Han, r):
				return 2
			case unicode.IsLetter(r) || unicode.IsDigit(r):
				return 1
			}
			return 0
		}
		runes := []rune(folded(s))
		for i := 0; i < len(runes); {
			j := i
			for j < len(runes) && kind(runes[j]) == kind(runes[i]) {
				j++
			}
			if kind(runes[i]) > 0 {
				out = append(out, string(runes[i:j]))
			}
			i = j
		}
	}
	if code == "_text" {
		cut(untagged(res.Path("text", "div").Str()))
		return out
	}
	var walk func(n fhir.Node, member string)
	walk = func(n fhir.Node, member string) {
		if n.Kind() == fhir.String && people[member] || n.Kind() == fhir.String && (strings.HasSuffix(member, "String") || strings.HasSuffix(member, "Text")) {
			s := n.Str()
			if member == "div" {
				s = untagged(s)
			}
			cut(s)
		}
		for c := range n.Children() {
			k := c.Key()
			if k == "" {
				k = member
			}
			if k != "meta" {
				walk(c, k)
			}
		}
	}
	walk(res, "")
	return out
}

// people are the members that hold text for people (docs/spec-choices.md, _content).
var people = map[string]bool{"text": true, "display": true, "div": true, "title": true, "name": true, "description": true, "family": true,
	"given": true, "prefix": true, "suffix": true, "line": true, "city": true, "district": true, "state": true, "country": true, "comment": true,
	"note": true, "summary": true, "conclusion": true, "patientInstruction": true, "instructions": true, "purpose": true, "definition": true,
	"detail": true, "subtitle": true, "alias": true, "publisher": true, "valueMarkdown": true}

func untagged(div string) string {
	var b strings.Builder
	in := false
	for _, r := range div {
		switch {
		case r == '<':
			in = true
			b.WriteByte(' ')
		case r == '>':
			in = false
		case !in:
			b.WriteRune(r)
		}
	}
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&quot;", `"`, "&apos;", "'", "&nbsp;", " ", "&#160;", " ").Replace(b.String())
}

// concepts draws :in, :not-in, :above or :below of a coded value.
func (g *generator) concepts(typ string) *cond {
	sp, v := g.valueOf(typ, "token")
	if sp == nil || v.typ != "Coding" && v.typ != "CodeableConcept" {
		return nil
	}
	codes := slices.DeleteFunc(codesOf(v), func(c code) bool { return c.system == "" || c.code == "" })
	if len(codes) == 0 {
		return nil
	}
	k := codes[g.r.IntN(len(codes))]
	c := &cond{typ: typ, code: sp.Code, modifier: g.pick("in", "not-in", "above", "below")}
	var fits func(code) bool
	switch c.modifier {
	case "in", "not-in":
		c.values = []string{"http://vs/" + strconv.Itoa(setOf(k))}
		fits = func(h code) bool { return h.system != "" && h.code != "" && setOf(h) == setOf(k) }
	case "below":
		k.code = k.code[:1+g.r.IntN(len(k.code))]
		c.values = []string{query.Escape(k.system) + "|" + query.Escape(k.code)}
		fits = func(h code) bool { return h.system == k.system && strings.HasPrefix(h.code, k.code) }
	default:
		c.values = []string{query.Escape(k.system) + "|" + query.Escape(k.code)}
		fits = func(h code) bool { return h.system == k.system && h.code != "" && strings.HasPrefix(k.code, h.code) }
	}
	if strings.ToValidUTF8(k.code, "") != k.code {
		return nil
	}
	c.test = func(res fhir.Node) bool {
		found := slices.ContainsFunc(g.o.values(res, sp.Expression), func(v value) bool { return slices.ContainsFunc(codesOf(v), fits) })
		return found != (c.modifier == "not-in")
	}
	return c
}

// valueOf draws a parameter of a kind that a resource of the type has a value for.
func (g *generator) valueOf(typ, kind string) (*definitions.SearchParameter, value) {
	for range 10 {
		sps := parameters(typ)
		sp := sps[g.r.IntN(len(sps))]
		if sp.Type != kind || !plainly(sp) || sp.Code == "_id" {
			continue
		}
		if vals := g.o.values(g.sample(typ), sp.Expression); len(vals) > 0 {
			return sp, vals[g.r.IntN(len(vals))]
		}
	}
	return nil, value{}
}

func (g *generator) ofType(typ string) *cond {
	sp, v := g.valueOf(typ, "token")
	for n := 0; n < 10 && sp != nil && v.typ != "Identifier"; n++ {
		sp, v = g.valueOf(typ, "token")
	}
	if sp == nil || v.typ != "Identifier" {
		return nil
	}
	k := v.n.Path("type").Get("coding").At(0)
	system, kind, number := k.Get("system").Str(), k.Get("code").Str(), v.n.Get("value").Str()
	if kind == "" || number == "" {
		return nil
	}
	c := &cond{typ: typ, code: sp.Code, modifier: "of-type", values: []string{query.Escape(system) + "|" + query.Escape(kind) + "|" + query.Escape(number)}}
	c.test = func(res fhir.Node) bool {
		return slices.ContainsFunc(g.o.values(res, sp.Expression), func(v value) bool {
			for t := range v.n.Path("type").Get("coding").Each() {
				if v.typ == "Identifier" && v.n.Get("value").Str() == number && t.Get("system").Str() == system && t.Get("code").Str() == kind {
					return true
				}
			}
			return false
		})
	}
	return c
}

func (g *generator) nearby(typ string) *cond {
	if typ != "Location" {
		return nil
	}
	at := g.sample(typ).Get("position")
	if !at.Exists() {
		return nil
	}
	num := func(n fhir.Node) float64 { f, _ := strconv.ParseFloat(n.Str(), 64); return f }
	lat, lon, far := num(at.Get("latitude"))+g.r.Float64()/10, num(at.Get("longitude")), 5+g.r.IntN(100)
	lat = math.Round(lat*1e4) / 1e4
	return &cond{typ: typ, code: "near", values: []string{fmt.Sprintf("%v|%v|%d|km", lat, lon, far)}, test: func(res fhir.Node) bool {
		p := res.Get("position")
		if !p.Exists() {
			return false
		}
		const deg = math.Pi / 180 // by the law of cosines
		a, b, d := lat*deg, num(p.Get("latitude"))*deg, (num(p.Get("longitude"))-lon)*deg
		return 6371.0088*math.Acos(min(1, math.Sin(a)*math.Sin(b)+math.Cos(a)*math.Cos(b)*math.Cos(d))) <= float64(far)
	}}
}

func (g *generator) pinyin(typ string) *cond {
	if typ != "Patient" && typ != "Practitioner" {
		return nil
	}
	read := spoken(g.sample(typ).Get("name").At(0).Get("text").Str())
	if read == nil {
		return nil
	}
	s := read[g.r.IntN(2)]
	s = s[:1+g.r.IntN(len(s))]
	g.used["pinyin"]++
	return &cond{typ: typ, code: "name", values: []string{s}}
}

// about draws the prefix ap: dates by a tenth of their distance from now, numbers
// by a tenth of themselves.
func (g *generator) about(typ string) *cond {
	sp, v := g.valueOf(typ, g.pick("date", "number", "quantity"))
	if sp == nil {
		return nil
	}
	if sp.Type == "date" {
		rs := rangesOf(v)
		if len(rs) == 0 || rs[0].from.Year() < 1 {
			return nil
		}
		s := rs[0].from.AddDate(0, g.r.IntN(40)-20, 0).Format("2006-01-02")
		want, _ := dateSpan(s)
		gap := now.Sub(want.from).Abs() / 10
		return &cond{typ: typ, code: sp.Code, values: []string{"ap" + s}, test: func(res fhir.Node) bool {
			return slices.ContainsFunc(g.o.values(res, sp.Expression), func(v value) bool {
				return slices.ContainsFunc(rangesOf(v), func(r span) bool {
					return r.from.Before(want.to.Add(gap)) && r.to.After(want.from.Add(-gap))
				})
			})
		}}
	}
	a, ok := amountOf(v)
	if !ok || a.low == nil || a.high == nil {
		return nil
	}
	s := a.low.FloatString(1)
	p := rat(s)
	tenth := new(big.Rat).Abs(new(big.Rat).Quo(p, big.NewRat(10, 1)))
	from, to := new(big.Rat).Sub(p, tenth), new(big.Rat).Add(p, tenth)
	return &cond{typ: typ, code: sp.Code, values: []string{"ap" + s}, test: func(res fhir.Node) bool {
		return slices.ContainsFunc(g.o.values(res, sp.Expression), func(v value) bool {
			a, ok := amountOf(v)
			return ok && (a.low == nil || nearly(a.low, to) <= 0) && (a.high == nil || nearly(a.high, from) >= 0)
		})
	}}
}

// nearly compares with the precision of the engine, float64.
func nearly(a, b *big.Rat) int {
	x, _ := a.Float64()
	y, _ := b.Float64()
	switch {
	case math.Abs(x-y) <= 1e-9*math.Abs(x):
		return 0
	case x < y:
		return -1
	}
	return 1
}

// now is the time of all queries.
var now = time.Unix(1.7e9, 0)

// clause is an expression of _filter and what it means.
type clause struct {
	text string
	test func(res fhir.Node) bool
}

func (g *generator) filtered(typ string) *cond {
	f := g.clause(typ, 0)
	if f == nil {
		return nil
	}
	return &cond{typ: typ, code: "_filter", values: []string{f.text}, test: f.test}
}

func (g *generator) clause(typ string, depth int) *clause {
	if depth < 2 && g.r.IntN(3) > 0 {
		a, b := g.clause(typ, depth+1), g.clause(typ, depth+1)
		if a == nil || b == nil {
			return a
		}
		switch g.r.IntN(3) {
		case 0:
			return &clause{"(" + a.text + ") and (" + b.text + ")", func(res fhir.Node) bool { return a.test(res) && b.test(res) }}
		case 1:
			return &clause{"(" + a.text + " or " + b.text + ")", func(res fhir.Node) bool { return a.test(res) || b.test(res) }}
		}
		return &clause{"not(" + a.text + ")", func(res fhir.Node) bool { return !a.test(res) }}
	}
	if g.r.IntN(4) == 0 {
		if c := g.beyond(typ, depth); c != nil {
			return c
		}
	}
	for range 5 {
		if c := g.comparison(typ); c != nil {
			return c
		}
	}
	return nil
}

// beyond is a comparison behind a reference to one type.
func (g *generator) beyond(typ string, depth int) *clause {
	sp, v := g.valueOf(typ, "reference")
	if sp == nil || len(sp.Target) != 1 || g.o.ids[sp.Target[0]] == nil {
		return nil
	}
	if to, _ := refOf(v); to != sp.Target[0] {
		return nil
	}
	c := g.comparison(sp.Target[0])
	if c == nil || strings.ContainsAny(c.text[:1], "(") {
		return nil
	}
	return &clause{sp.Code + "." + c.text, func(res fhir.Node) bool {
		return slices.ContainsFunc(g.o.values(res, sp.Expression), func(v value) bool {
			to, id := refOf(v)
			target, ok := g.o.all[to][id]
			return ok && to == sp.Target[0] && c.test(target)
		})
	}}
}

func (g *generator) comparison(typ string) *clause {
	kind := g.pick("token", "string", "date", "number", "quantity", "reference")
	sp, v := g.valueOf(typ, kind)
	if sp == nil {
		return nil
	}
	op, text := "", ""
	var fits func(v value) bool
	switch kind {
	case "token":
		codes := codesOf(v)
		if len(codes) == 0 || codes[0].code == "" || codes[0].system == "" {
			return nil
		}
		op, text = g.pick("eq", "ne"), codes[0].system+"|"+codes[0].code
		fits = func(v value) bool { return slices.Contains(codesOf(v), codes[0]) }
	case "string":
		ss := stringsOf(v)
		if len(ss) == 0 {
			return nil
		}
		r := []rune(ss[0])
		i := g.r.IntN(len(r))
		op = g.pick("eq", "ne", "co", "sw", "ew")
		text = map[string]string{"eq": ss[0], "ne": ss[0], "co": string(r[i : i+1+g.r.IntN(len(r)-i)]), "sw": string(r[:i+1]), "ew": string(r[i:])}[op]
		s := folded(text)
		same := map[string]func(a, b string) bool{"eq": func(a, b string) bool { return a == b }, "ne": func(a, b string) bool { return a == b },
			"co": strings.Contains, "sw": strings.HasPrefix, "ew": strings.HasSuffix}[op]
		fits = func(v value) bool {
			return slices.ContainsFunc(stringsOf(v), func(have string) bool { return same(folded(have), s) })
		}
		if strings.TrimSpace(text) != text || s == "" || len(s) > 200 {
			return nil
		}
	case "date", "number", "quantity":
		w := strings.TrimPrefix(g.wanted(kind, &cond{typ: typ, values: []string{""}}, v), "")
		if w == "" || strings.Contains(w, "|") {
			return nil
		}
		op, text = cutPrefix(w)
		fits = func(v value) bool { return matchOne(sp, "", op+text, v) }
	case "reference":
		to, id := refOf(v)
		if to == "" {
			return nil
		}
		op, text = "eq", to+"/"+id
		fits = func(v value) bool { t, i := refOf(v); return t == to && i == id }
	}
	if strings.ContainsAny(text, `"\,|$`) && kind != "token" || strings.ContainsAny(text, `"\,$`) || strings.Count(text, "|") > 1 {
		return nil
	}
	found := func(res fhir.Node) bool { return slices.ContainsFunc(g.o.values(res, sp.Expression), fits) }
	if op == "ne" && (kind == "token" || kind == "string") {
		return &clause{sp.Code + ` ne "` + text + `"`, func(res fhir.Node) bool { return !found(res) }}
	}
	return &clause{sp.Code + " " + op + ` "` + text + `"`, found}
}
