package search_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var (
	queries = flag.Int("queries", 10_000, "random queries to compare with the oracle; a tenth with -short")
	seed    = flag.Uint64("seed", 20260101, "of the random queries")
)

// corpus is the official examples and some Synthea patients.
func corpus(t testing.TB) [][]byte {
	out := synthea(t, 2)
	files, _ := filepath.Glob(filepath.Join(shared.Dir(t), "data/suites/examples/*.json"))
	seen := map[string]bool{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := fhir.Parse(raw)
		if err != nil {
			continue
		}
		typ, id := tree.Root().ResourceType(), tree.Root().Get("id").Str()
		if model().IsResource(typ) && id != "" && !seen[typ+id] { // some examples share their id
			seen[typ+id] = true
			out = append(out, raw)
		}
	}
	return out
}

// TestOracle compares the engine with brute force on random queries whose
// values are taken from the resources: what matches, on every page boundary, and
// what order, totals and inclusions make of it.
func TestOracle(t *testing.T) {
	w := newWorld(t)
	n := *queries
	if testing.Short() {
		n /= 10
	}
	const shards = 2
	for shard := range uint64(shards) {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			o, err := newOracle(w.resources)
			if err != nil {
				t.Fatal(err)
			}
			g := newGenerator(o, *seed+shard)
			hits, wrong := 0, 0
			for i := 0; i < n/shards && wrong < 10; i++ {
				found, ok := g.compare(t, w, i)
				hits += min(1, found)
				if !ok {
					wrong++
				}
			}
			if hits < n/shards/2 {
				t.Errorf("only %d of %d queries found something: the generator is blunt", hits, n/shards)
			}
			t.Logf("%d queries over %d resources, %d with results; features: %v", n/shards, len(w.resources), hits, g.used)
		})
	}
}

// compare asks one random query and reports how many it should find and whether
// it did.
func (g *generator) compare(t *testing.T, w *world, i int) (int, bool) {
	typ, conds := g.query()
	var want []string
	for _, id := range g.o.ids[typ] {
		if !slices.ContainsFunc(conds, func(c *cond) bool { return !g.o.holds(g.o.all[typ][id], c) }) {
			want = append(want, id)
		}
	}
	var parts []string
	for _, c := range conds {
		parts = append(parts, url.QueryEscape(c.key())+"="+url.QueryEscape(c.value()))
	}
	q := strings.Join(parts, "&")
	got, err := pages(w.engine, w.index, typ, q, 1+g.r.IntN(60))
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		plain, _ := url.QueryUnescape(q)
		t.Errorf("query %d: %s?%s\n err %v, got %d %v want %d %v", i, typ, plain, err, len(got), cutList(got), len(want), cutList(want))
		return len(want), false
	}
	if err := g.shapes(w, typ, q, want); err != nil {
		plain, _ := url.QueryUnescape(q)
		t.Errorf("query %d: %s?%s: %v", i, typ, plain, err)
		return len(want), false
	}
	return len(want), true
}

func cutList(s []string) []string { return s[:min(8, len(s))] }

// pages reads all pages of a query.
func pages(e *search.Engine, ix search.Index, typ, q string, count int) ([]string, error) {
	var out []string
	total, cursor := -1, ""
	for {
		p, err := e.Search(context.Background(), ix, search.Request{Type: typ, Query: q, Count: count, Cursor: cursor, Now: now})
		if err != nil {
			return out, err
		}
		for _, m := range p.Matches {
			out = append(out, m.ID)
		}
		if p.Total != nil {
			if total >= 0 && total != *p.Total {
				return out, fmt.Errorf("total %d on one page, %d on another", total, *p.Total)
			}
			total = *p.Total
		}
		if p.Next == "" {
			break
		}
		if len(p.Matches) != count {
			return out, fmt.Errorf("page of %d with a next link, want %d", len(p.Matches), count)
		}
		cursor = p.Next
	}
	if total >= 0 && total != len(out) {
		return out, fmt.Errorf("total %d, matches %d", total, len(out))
	}
	return out, nil
}

// generator draws queries from what is in the resources.
type generator struct {
	o     *oracle
	r     *rand.Rand
	names [][2]string    // type and id of every resource
	used  map[string]int // how often a feature was asked for
}

func newGenerator(o *oracle, seed uint64) *generator {
	g := &generator{o: o, r: rand.New(rand.NewPCG(seed, 1)), used: map[string]int{}}
	for _, typ := range slices.Sorted(maps.Keys(o.ids)) {
		for _, id := range o.ids[typ] {
			g.names = append(g.names, [2]string{typ, id})
		}
	}
	return g
}

func (g *generator) query() (string, []*cond) {
	typ := g.names[g.r.IntN(len(g.names))][0]
	if g.r.IntN(4) == 0 {
		typ = g.pick("Patient", "Observation", "Location", "Organization", "Practitioner")
	}
	var conds []*cond
	for n := 1 + g.r.IntN(3); n > 0; n-- {
		if c := g.cond(typ, 0); c != nil {
			conds = append(conds, c)
			g.count(c)
		}
	}
	return typ, conds
}

func (g *generator) sample(typ string) fhir.Node {
	ids := g.o.ids[typ]
	if len(ids) == 0 {
		return fhir.Node{}
	}
	return g.o.all[typ][ids[g.r.IntN(len(ids))]]
}

func (g *generator) cond(typ string, depth int) *cond {
	if g.r.IntN(4) == 0 {
		if c := g.special(typ); c != nil {
			return c
		}
	}
	for range 20 {
		sps := parameters(typ)
		sp := sps[g.r.IntN(len(sps))]
		res := g.sample(typ)
		if !plainly(sp) || sp.Type == "special" || sp.Code == "_id" || !res.Exists() {
			continue
		}
		if depth < 2 && g.r.IntN(5) == 0 {
			if c := g.linked(typ, depth); c != nil {
				return c
			}
		}
		if g.r.IntN(25) == 0 {
			return &cond{typ: typ, code: sp.Code, modifier: "missing", values: []string{[]string{"true", "false"}[g.r.IntN(2)]}}
		}
		vals := g.o.values(res, sp.Expression)
		if len(vals) == 0 {
			continue
		}
		c := &cond{typ: typ, code: sp.Code}
		for n := 1 + g.r.IntN(6)/4; n > 0; n-- {
			v := vals[g.r.IntN(len(vals))]
			s := ""
			if sp.Type == "composite" {
				s = g.composite(res, sp, v)
			} else {
				s = g.wanted(sp.Type, c, v)
			}
			if s != "" {
				c.values = append(c.values, s)
			}
		}
		if len(c.values) > 0 {
			return c
		}
	}
	return nil
}

// composite makes a value for every component, without their modifiers.
func (g *generator) composite(res fhir.Node, sp *definitions.SearchParameter, v value) string {
	var parts []string
	for _, c := range sp.Components {
		vals := g.o.below(res, v.it, c.Expression)
		def := byURL(res.ResourceType(), c.Definition)
		if len(vals) == 0 {
			return ""
		}
		one := &cond{typ: res.ResourceType(), code: def.Code, values: []string{""}}
		w := g.wanted(def.Type, one, vals[g.r.IntN(len(vals))])
		if w == "" || strings.HasSuffix(w, "|") || def.Type == "reference" && !strings.Contains(w, "/") {
			return ""
		}
		parts = append(parts, w)
	}
	return strings.Join(parts, "$")
}

// linked draws a chain or reverse chain.
func (g *generator) linked(typ string, depth int) *cond {
	if g.r.IntN(2) == 0 {
		for range 30 {
			sps := parameters(typ)
			sp := sps[g.r.IntN(len(sps))]
			if sp.Type != "reference" || !plainly(sp) {
				continue
			}
			for _, v := range g.o.values(g.sample(typ), sp.Expression) {
				target, id := refOf(v)
				if _, ok := g.o.all[target][id]; !ok {
					continue
				}
				if inner := g.cond(target, depth+1); inner != nil {
					return &cond{typ: typ, code: sp.Code, chain: inner}
				}
			}
		}
		return nil
	}
	for range 30 {
		from := g.names[g.r.IntN(len(g.names))]
		sps := parameters(from[0])
		sp := sps[g.r.IntN(len(sps))]
		if sp.Type != "reference" || !plainly(sp) {
			continue
		}
		for _, v := range g.o.values(g.o.all[from[0]][from[1]], sp.Expression) {
			if target, _ := refOf(v); target == typ {
				if inner := g.cond(from[0], depth+1); inner != nil {
					return &cond{typ: typ, code: sp.Code, has: from[0], chain: inner}
				}
			}
		}
	}
	return nil
}

func (g *generator) pick(s ...string) string { return s[g.r.IntN(len(s))] }

// wanted makes a search value that may find v.
func (g *generator) wanted(kind string, c *cond, v value) string {
	switch kind {
	case "token":
		return g.token(c, v)
	case "string":
		ss := stringsOf(v)
		if len(ss) == 0 {
			return ""
		}
		s := ss[g.r.IntN(len(ss))]
		if len(c.values) == 0 {
			c.modifier = g.pick("", "", "exact", "contains")
		}
		switch c.modifier {
		case "":
			s = strings.ToUpper(string([]rune(s)[:1+g.r.IntN(len([]rune(s)))]))
		case "contains":
			r := []rune(s)
			i := g.r.IntN(len(r))
			s = string(r[i : i+1+g.r.IntN(len(r)-i)])
		}
		if strings.TrimSpace(folded(s)) == "" {
			return ""
		}
		return query.Escape(s)
	case "date":
		rs := rangesOf(v)
		if len(rs) == 0 {
			return ""
		}
		at := rs[g.r.IntN(len(rs))].from
		if at.Year() < 0 {
			return ""
		}
		at = at.AddDate(0, 0, g.r.IntN(5)/4*(g.r.IntN(800)-400))
		return g.pick("", "", "eq", "ne", "lt", "gt", "le", "ge", "sa", "eb") +
			at.Format(g.pick("2006", "2006-01", "2006-01-02", "2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05Z07:00"))
	case "number", "quantity":
		return g.amount(kind, v)
	case "reference":
		return g.reference(c, v)
	case "uri":
		s := v.n.Str()
		if len(c.values) == 0 {
			c.modifier = g.pick("", "below", "above")
		}
		if i := strings.LastIndexByte(s, '/'); c.modifier == "below" && i > 8 && g.r.IntN(2) == 0 {
			s = s[:i]
		}
		return query.Escape(s)
	}
	return ""
}

func (g *generator) token(c *cond, v value) string {
	if len(c.values) == 0 {
		c.modifier = g.pick("", "", "", "not", "text")
	}
	if c.modifier == "text" {
		ts := textsOf(v)
		if len(ts) == 0 {
			c.modifier = ""
		} else {
			r := []rune(ts[g.r.IntN(len(ts))])
			s := string(r[:1+g.r.IntN(len(r))])
			if strings.TrimSpace(s) == "" {
				return ""
			}
			return query.Escape(s)
		}
	}
	codes := codesOf(v)
	if len(codes) == 0 {
		return ""
	}
	k := codes[g.r.IntN(len(codes))]
	switch g.r.IntN(4) {
	case 0:
		if k.system != "" {
			return query.Escape(k.system) + "|"
		}
	case 1:
		if k.code != "" {
			return query.Escape(k.system) + "|" + query.Escape(k.code)
		}
	}
	return query.Escape(k.code)
}

func (g *generator) amount(kind string, v value) string {
	a, ok := amountOf(v)
	if !ok {
		return ""
	}
	r := a.low
	if r == nil {
		r = a.high
	}
	s := r.FloatString(g.r.IntN(4))
	out := g.pick("", "", "ne", "lt", "gt", "le", "ge", "sa", "eb") + s
	if kind == "quantity" {
		switch g.r.IntN(4) {
		case 0:
			if a.code != "" && a.system != "" {
				out += "|" + query.Escape(a.system) + "|" + query.Escape(a.code)
			}
		case 1:
			if a.unit != "" {
				out += "||" + query.Escape(a.unit)
			}
		case 2:
			if a.system != "" {
				out += "|" + query.Escape(a.system) + "|"
			}
		}
	}
	return out
}

func (g *generator) reference(c *cond, v value) string {
	typ, id := refOf(v)
	ident := v.n.Get("identifier")
	if len(c.values) == 0 {
		switch {
		case ident.Exists() && g.r.IntN(2) == 0:
			c.modifier = "identifier"
		case typ != "" && g.r.IntN(4) == 0 && model().IsResource(typ):
			c.modifier = typ
		}
	}
	switch {
	case c.modifier == "identifier":
		return g.token(&cond{modifier: "", values: []string{""}}, value{typ: "Identifier", n: ident})
	case c.modifier != "":
		if typ != c.modifier {
			return ""
		}
		return id
	case typ != "":
		if slices.Contains(paramOf(c.typ, c.code).Target, typ) && g.r.IntN(3) == 0 {
			return id
		}
		return typ + "/" + id
	case v.n.Kind() == fhir.String:
		return query.Escape(v.n.Str())
	}
	if s := v.n.Get("reference").Str(); s != "" && s[0] != '#' && strings.Contains(s, ":") {
		return query.Escape(s)
	}
	return ""
}

// plainly reports whether FHIRPath alone finds the values: one expression of R4
// uses hasExtension(), which is no FHIRPath.
func plainly(sp *definitions.SearchParameter) bool {
	return sp.Expression != "" && !strings.Contains(sp.Expression, "hasExtension") && sp.Code != "code-value-date"
}
