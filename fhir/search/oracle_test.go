package search_test

import (
	"context"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

// oracle answers searches by looking at every resource, with FHIRPath for the
// values and nothing of the engine's own: slow, and written from the
// specification's text.
type oracle struct {
	fp    *fhirpath.Engine
	all   map[string]map[string]fhir.Node // type → id → resource
	ids   map[string][]string             // type → ids, ascending
	exprs map[string]*fhirpath.Expression
	cache map[asked][]value
	back  map[string]map[string][]fhir.Node
	words map[asked][]string // by _text and _content
}

// asked is one look at a resource.
type asked struct {
	res        fhir.Node
	expression string
}

// value is what a search parameter finds in a resource.
type value struct {
	typ string
	n   fhir.Node
	b   string // text of a System value
	it  fhirpath.Item
}

func newOracle(resources [][]byte) (*oracle, error) {
	o := &oracle{fp: fhirpath.NewEngine(model()), all: map[string]map[string]fhir.Node{},
		exprs: map[string]*fhirpath.Expression{}, cache: map[asked][]value{}, back: map[string]map[string][]fhir.Node{}, ids: map[string][]string{}, words: map[asked][]string{}}
	for _, raw := range resources {
		tree, err := fhir.Parse(raw)
		if err != nil {
			return nil, err
		}
		n := tree.Root()
		if o.all[n.ResourceType()] == nil {
			o.all[n.ResourceType()] = map[string]fhir.Node{}
		}
		o.all[n.ResourceType()][n.Get("id").Str()] = n
	}
	for typ, all := range o.all {
		o.ids[typ] = slices.Sorted(maps.Keys(all))
	}
	return o, nil
}

type textResolver struct{}

func (textResolver) Resolve(_ context.Context, ref string, _ fhir.Node) (fhir.Node, error) {
	parts := strings.Split(ref, "/")
	if len(parts) < 2 {
		return fhir.Node{}, nil
	}
	tree, err := fhir.Parse([]byte(`{"resourceType":"` + parts[len(parts)-2] + `"}`))
	return tree.Root(), err
}

func (o *oracle) values(res fhir.Node, expression string) []value {
	at := asked{res, expression}
	if v, ok := o.cache[at]; ok {
		return v
	}
	out := o.below(res, o.fp.Item(res), expression)
	o.cache[at] = out
	return out
}

// below evaluates an expression on a part of a resource.
func (o *oracle) below(res fhir.Node, part fhirpath.Item, expression string) []value {
	x := o.exprs[expression]
	if x == nil {
		var err error
		if x, err = o.fp.Compile(expression); err != nil {
			panic(err)
		}
		o.exprs[expression] = x
	}
	items, err := x.EvalItem(&fhirpath.Context{Resource: res, Resolver: textResolver{}}, part)
	if err != nil {
		panic(err)
	}
	var out []value
	for _, it := range items {
		n, ok := it.Node()
		if !ok {
			out = append(out, value{typ: it.Type(), b: it.String()})
			continue
		}
		if n.Kind() != fhir.Null {
			out = append(out, value{typ: it.Type(), n: n, it: it})
		}
	}
	return out
}

func paramOf(typ, code string) *definitions.SearchParameter {
	for _, sp := range parameters(typ) {
		if sp.Code == code {
			return sp
		}
	}
	return nil
}

// cond is one parameter of a random query.
type cond struct {
	typ, code, modifier string
	values              []string
	chain               *cond                    // then typ.code leads there
	has                 string                   // reverse: the type that refers
	test                func(res fhir.Node) bool // of what no search parameter of R4 defines
}

func (c *cond) key() string {
	switch {
	case c.has != "":
		return "_has:" + c.has + ":" + c.code + ":" + c.chain.key()
	case c.chain != nil:
		return c.code + ":" + c.chain.typ + "." + c.chain.key()
	case c.modifier != "":
		return c.code + ":" + c.modifier
	}
	return c.code
}

func (c *cond) value() string {
	for c.chain != nil {
		c = c.chain
	}
	return strings.Join(c.values, ",")
}

// holds reports whether a resource fulfils a condition.
func (o *oracle) holds(res fhir.Node, c *cond) bool {
	switch {
	case c.has != "":
		return slices.ContainsFunc(o.referrers(c.has, c.code)[res.ResourceType()+"/"+res.Get("id").Str()],
			func(other fhir.Node) bool { return o.holds(other, c.chain) })
	case c.chain != nil:
		for _, v := range o.values(res, paramOf(c.typ, c.code).Expression) {
			typ, id := refOf(v)
			if typ != c.chain.typ {
				continue
			}
			if target, ok := o.all[typ][id]; ok && o.holds(target, c.chain) {
				return true
			}
		}
		return false
	}
	if c.test != nil {
		return c.test(res)
	}
	sp := paramOf(c.typ, c.code)
	vals := o.values(res, sp.Expression)
	switch c.modifier {
	case "missing":
		if sp.Type == "composite" { // there where an element has every component
			vals = slices.DeleteFunc(slices.Clone(vals), func(v value) bool { return !o.complete(res, sp, v) })
			return (len(vals) == 0) == (c.values[0] == "true")
		}
		return (len(vals) == 0 || !slices.ContainsFunc(vals, func(v value) bool { return searchable(sp.Type, v) })) == (c.values[0] == "true")
	case "not":
		return !o.any(sp, "", c.values, vals)
	}
	if sp.Type == "composite" {
		return slices.ContainsFunc(c.values, func(w string) bool {
			return slices.ContainsFunc(vals, func(v value) bool { return o.together(res, sp, strings.Split(w, "$"), v) })
		})
	}
	return o.any(sp, c.modifier, c.values, vals)
}

// referrers lists, by what it leads to, the resources a reference is in.
func (o *oracle) referrers(typ, code string) map[string][]fhir.Node {
	at := typ + "." + code
	if m := o.back[at]; m != nil {
		return m
	}
	m := map[string][]fhir.Node{}
	sp := paramOf(typ, code)
	for _, res := range o.all[typ] {
		for _, v := range o.values(res, sp.Expression) {
			to, id := refOf(v)
			m[to+"/"+id] = append(m[to+"/"+id], res)
		}
	}
	o.back[at] = m
	return m
}

// together reports whether one element has all components of a composite.
func (o *oracle) together(res fhir.Node, sp *definitions.SearchParameter, wanted []string, v value) bool {
	for i, c := range sp.Components {
		part := byURL(res.ResourceType(), c.Definition)
		ok := slices.ContainsFunc(o.below(res, v.it, c.Expression), func(v value) bool { return matchOne(part, "", wanted[i], v) })
		if !ok {
			return false
		}
	}
	return true
}

func (o *oracle) complete(res fhir.Node, sp *definitions.SearchParameter, v value) bool {
	for _, c := range sp.Components[:2] {
		part := byURL(res.ResourceType(), c.Definition)
		if !slices.ContainsFunc(o.below(res, v.it, c.Expression), func(v value) bool {
			return part.Type == "token" && len(codesOf(v)) > 0 || part.Type != "token" && searchable(part.Type, v)
		}) {
			return false
		}
	}
	return true
}

func byURL(typ, url string) *definitions.SearchParameter {
	for _, sp := range parameters(typ) {
		if sp.URL == url {
			return sp
		}
	}
	return nil
}

// searchable tells values that carry something from those empty for search.
func searchable(typ string, v value) bool {
	if v.b != "" {
		return true
	}
	switch typ {
	case "token":
		return len(codesOf(v)) > 0 || len(textsOf(v)) > 0
	case "string":
		return len(stringsOf(v)) > 0
	case "date":
		return len(rangesOf(v)) > 0
	case "number", "quantity":
		_, ok := amountOf(v)
		return ok
	case "reference":
		return v.n.Kind() == fhir.String && v.n.Str() != "" || v.n.ResourceType() != "" && v.n.Get("id").Exists() ||
			v.n.Get("identifier").Exists() || v.n.Get("reference").Exists() && v.n.Get("reference").Str()[0] != '#'
	}
	return true
}

func (o *oracle) any(sp *definitions.SearchParameter, modifier string, wanted []string, vals []value) bool {
	for _, w := range wanted {
		for _, v := range vals {
			if matchOne(sp, modifier, w, v) {
				return true
			}
		}
	}
	return false
}

func matchOne(sp *definitions.SearchParameter, modifier, want string, v value) bool {
	switch sp.Type {
	case "token":
		return matchToken(modifier, want, v)
	case "string":
		w := unescaped(want)
		return matchString(modifier, w, v) || modifier == "" && slices.Contains([]string{"name", "family", "given", "phonetic"}, sp.Code) && matchPinyin(folded(w), v)
	case "date":
		return matchDate(want, v)
	case "number", "quantity":
		return matchAmount(want, v)
	case "reference":
		return matchReference(modifier, want, v)
	case "uri":
		return matchURI(modifier, unescaped(want), v.n.Str())
	}
	return false
}

func unescaped(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\,`, `,`, `\|`, `|`, `\$`, `$`).Replace(s)
}

// bars splits at the bars that are not escaped.
func bars(s string) []string {
	s = strings.ReplaceAll(s, `\|`, "\x00")
	parts := strings.Split(s, "|")
	for i := range parts {
		parts[i] = unescaped(strings.ReplaceAll(parts[i], "\x00", `\|`))
	}
	return parts
}

type code struct{ system, code string }

func codesOf(v value) []code {
	n := v.n
	switch v.typ {
	case "Coding":
		return nonEmpty(code{n.Get("system").Str(), n.Get("code").Str()})
	case "CodeableConcept":
		var out []code
		for c := range n.Get("coding").Each() {
			out = append(out, nonEmpty(code{c.Get("system").Str(), c.Get("code").Str()})...)
		}
		return out
	case "Identifier", "ContactPoint":
		return nonEmpty(code{n.Get("system").Str(), n.Get("value").Str()})
	}
	if v.b != "" {
		return []code{{"", v.b}}
	}
	if k := n.Kind(); k == fhir.String || k == fhir.Bool || k == fhir.Number {
		return []code{{"", n.Str()}}
	}
	return nil
}

func nonEmpty(c code) []code {
	if c == (code{}) {
		return nil
	}
	return []code{c}
}

func textsOf(v value) []string {
	var out []string
	add := func(s string) {
		if folded(s) != "" {
			out = append(out, folded(s))
		}
	}
	switch v.typ {
	case "Coding":
		add(v.n.Get("display").Str())
	case "CodeableConcept":
		add(v.n.Get("text").Str())
		for c := range v.n.Get("coding").Each() {
			add(c.Get("display").Str())
		}
	case "Identifier":
		add(v.n.Path("type", "text").Str())
	}
	return out
}

func matchToken(modifier, want string, v value) bool {
	if modifier == "text" {
		return slices.ContainsFunc(textsOf(v), func(s string) bool { return strings.HasPrefix(s, folded(unescaped(want))) })
	}
	w := bars(want)
	for _, c := range codesOf(v) {
		switch {
		case len(w) == 1:
			if c.code == w[0] {
				return true
			}
		case w[1] == "":
			if c.system == w[0] {
				return true
			}
		case c.system == w[0] && c.code == w[1]:
			return true
		}
	}
	return false
}

var foldCase = cases.Fold()

func folded(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 && !unicode.Is(unicode.Han, r) }) {
		return strings.Join(strings.Fields(strings.ToLower(s)), " ")
	}
	t := transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn)), norm.NFC)
	out, _, err := transform.String(t, s)
	if err != nil {
		panic(err)
	}
	return strings.Join(strings.Fields(foldCase.String(out)), " ")
}

func stringsOf(v value) []string {
	var out []string
	members := func(names ...string) {
		for _, name := range names {
			for c := range v.n.Get(name).Each() {
				if s := c.Str(); strings.TrimSpace(s) != "" {
					out = append(out, s)
				}
			}
		}
	}
	switch v.typ {
	case "HumanName":
		members("text", "family", "given", "prefix", "suffix")
	case "Address":
		members("text", "line", "city", "district", "state", "country", "postalCode")
	default:
		if v.n.Kind() == fhir.String && strings.TrimSpace(v.n.Str()) != "" {
			out = append(out, v.n.Str())
		}
	}
	return out
}

func matchPinyin(want string, v value) bool {
	return slices.ContainsFunc(stringsOf(v), func(s string) bool {
		return slices.ContainsFunc(spoken(s), func(r string) bool { return strings.HasPrefix(r, want) })
	})
}

func matchString(modifier, want string, v value) bool {
	for _, s := range stringsOf(v) {
		switch modifier {
		case "exact":
			if s == want {
				return true
			}
		case "contains":
			if strings.Contains(folded(s), folded(want)) {
				return true
			}
		default:
			if strings.HasPrefix(folded(s), folded(want)) {
				return true
			}
		}
	}
	return false
}

type span struct{ from, to time.Time } // to is the first instant behind

var (
	beginning = time.Date(-9999, 1, 1, 0, 0, 0, 0, time.UTC)
	forever   = time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)
)

func dateSpan(s string) (span, bool) {
	for _, f := range []struct {
		layout string
		end    func(time.Time) time.Time
	}{
		{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
		{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
		{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
		{"2006-01-02T15:04", func(t time.Time) time.Time { return t.Add(time.Minute) }},
		{"2006-01-02T15:04Z07:00", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	} {
		if t, err := time.Parse(f.layout, s); err == nil {
			return span{t.UTC(), f.end(t).UTC()}, true
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", time.RFC3339} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		step := time.Second
		if i := strings.IndexByte(s, '.'); i > 0 {
			for j := i + 1; j < len(s) && s[j] >= '0' && s[j] <= '9'; j++ {
				step /= 10
			}
		}
		return span{t.UTC(), t.Add(step).UTC()}, true
	}
	return span{}, false
}

func rangesOf(v value) []span {
	period := func(n fhir.Node) []span {
		from, ok := dateSpan(n.Get("start").Str())
		to, ok2 := dateSpan(n.Get("end").Str())
		if !ok && !ok2 {
			return nil
		}
		s := span{beginning, forever}
		if ok {
			s.from = from.from
		}
		if ok2 {
			s.to = to.to
		}
		return []span{s}
	}
	switch v.typ {
	case "Period":
		return period(v.n)
	case "Timing":
		var out []span
		for e := range v.n.Get("event").Each() {
			if s, ok := dateSpan(e.Str()); ok {
				out = append(out, s)
			}
		}
		return append(out, period(v.n.Path("repeat", "boundsPeriod"))...)
	}
	if s, ok := dateSpan(v.n.Str()); ok && v.n.Kind() == fhir.String {
		return []span{s}
	}
	return nil
}

// matchDate follows the table of prefixes, with the value searched for as the
// range that its precision covers.
func matchDate(want string, v value) bool {
	prefix, s := cutPrefix(want)
	p, ok := dateSpan(s)
	if !ok {
		panic("oracle: date " + want)
	}
	for _, r := range rangesOf(v) {
		within := !r.from.Before(p.from) && !r.to.After(p.to)
		var m bool
		switch prefix {
		case "eq":
			m = within
		case "ne":
			m = !within
		case "lt":
			m = r.from.Before(p.from)
		case "gt":
			m = r.to.After(p.to)
		case "le":
			m = r.from.Before(p.from) || within
		case "ge":
			m = r.to.After(p.to) || within
		case "sa":
			m = !r.from.Before(p.to)
		case "eb":
			m = !r.to.After(p.from)
		}
		if m {
			return true
		}
	}
	return false
}

func cutPrefix(s string) (string, string) {
	for _, p := range []string{"eq", "ne", "lt", "gt", "le", "ge", "sa", "eb"} {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return p, rest
		}
	}
	return "eq", s
}

// amount is a number or quantity: the range it stands for and its unit. A nil
// end is open; comparators exclude the value itself where open says so.
type amount struct {
	low, high          *big.Rat
	openLow, openHigh  bool
	system, code, unit string
}

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil
	}
	return r
}

func amountOf(v value) (a amount, ok bool) {
	n := v.n
	if n.Kind() == fhir.Number {
		r := rat(n.Str())
		return amount{low: r, high: r}, true
	}
	switch v.typ {
	case "Range":
		unit := n.Get("low")
		if !unit.Exists() {
			unit = n.Get("high")
		}
		a = amount{low: rat(n.Path("low", "value").Str()), high: rat(n.Path("high", "value").Str()),
			system: unit.Get("system").Str(), code: unit.Get("code").Str(), unit: unit.Get("unit").Str()}
		return a, a.low != nil || a.high != nil
	case "SampledData":
		n = n.Get("origin")
	}
	r := rat(n.Get("value").Str())
	if r == nil {
		return a, false
	}
	a = amount{low: r, high: r, system: n.Get("system").Str(), code: n.Get("code").Str(), unit: n.Get("unit").Str()}
	if v.typ == "Money" {
		a.system, a.code = "urn:iso:std:iso:4217", n.Get("currency").Str()
	}
	switch n.Get("comparator").Str() {
	case "<":
		a.low, a.openHigh = nil, true
	case "<=":
		a.low = nil
	case ">":
		a.high, a.openLow = nil, true
	case ">=":
		a.high = nil
	}
	return a, true
}

func matchAmount(want string, v value) bool {
	a, ok := amountOf(v)
	if !ok {
		return false
	}
	parts := bars(want)
	if len(parts) == 3 {
		switch {
		case parts[1] == "":
			if a.code != parts[2] && a.unit != parts[2] {
				return false
			}
		case a.system != parts[1] || parts[2] != "" && a.code != parts[2]:
			return false
		}
	}
	prefix, s := cutPrefix(parts[0])
	p := rat(s)
	exp := 0
	if i := strings.IndexByte(s, '.'); i >= 0 {
		exp = len(s) - i - 1
	}
	half := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Mul(big.NewInt(2), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exp)), nil)))
	from, to := new(big.Rat).Sub(p, half), new(big.Rat).Add(p, half)
	below := func(limit *big.Rat, orEqual bool) bool { // the low end lies below
		if a.low == nil {
			return true
		}
		c := a.low.Cmp(limit)
		return c < 0 || c == 0 && orEqual && !a.openLow
	}
	above := func(limit *big.Rat, orEqual bool) bool {
		if a.high == nil {
			return true
		}
		c := a.high.Cmp(limit)
		return c > 0 || c == 0 && orEqual && !a.openHigh
	}
	within := a.low != nil && a.high != nil && a.low.Cmp(from) >= 0 && (a.high.Cmp(to) < 0 || a.high.Cmp(to) == 0 && a.openHigh)
	switch prefix {
	case "ne":
		return !within
	case "lt":
		return below(p, false)
	case "le":
		return below(p, true)
	case "gt":
		return above(p, false)
	case "ge":
		return above(p, true)
	case "sa":
		return a.low != nil && (a.low.Cmp(p) > 0 || a.low.Cmp(p) == 0 && a.openLow)
	case "eb":
		return a.high != nil && (a.high.Cmp(p) < 0 || a.high.Cmp(p) == 0 && a.openHigh)
	}
	return within
}

// refOf takes the type and id of a relative literal reference.
func refOf(v value) (typ, id string) {
	if t := v.n.ResourceType(); t != "" {
		return t, v.n.Get("id").Str()
	}
	ref := v.n.Get("reference").Str()
	ref, _, _ = strings.Cut(ref, "/_history/")
	parts := strings.Split(ref, "/")
	if len(parts) != 2 || strings.ContainsAny(ref, ":?#|") || parts[1] == "" {
		return "", ""
	}
	return parts[0], parts[1]
}

func matchReference(modifier, want string, v value) bool {
	w := unescaped(want)
	if modifier == "identifier" {
		id := v.n.Get("identifier")
		return id.Exists() && matchToken("", want, value{typ: "Identifier", n: id})
	}
	typ, id := refOf(v)
	if modifier != "" {
		return typ == modifier && (id == w || modifier+"/"+id == w)
	}
	if typ != "" {
		return w == typ+"/"+id || w == id
	}
	s := v.n.Str()
	if s == "" {
		s = v.n.Get("reference").Str()
	}
	if strings.HasPrefix(s, "#") {
		return false
	}
	bare, _, _ := strings.Cut(s, "|")
	return s == w || v.n.Kind() == fhir.String && bare == w
}

func matchURI(modifier, want, have string) bool {
	bare, _, _ := strings.Cut(have, "|")
	for _, h := range []string{have, bare} {
		switch modifier {
		case "below":
			if h == want || strings.HasPrefix(h, strings.TrimSuffix(want, "/")+"/") {
				return true
			}
		case "above":
			if h == want || h == strings.TrimSuffix(want, "/") || strings.HasPrefix(want, strings.TrimSuffix(h, "/")+"/") && strings.Count(h, "/") > 2 {
				return true
			}
		default:
			if h == want {
				return true
			}
		}
	}
	return false
}
