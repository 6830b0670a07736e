// Package rational evaluates herbal prescriptions against the rules of rational
// use: 十八反, 十九畏, pregnancy, doses, toxic herbs, the same herb in several
// processed forms, controlled drugs and decoction. All knowledge is data of
// package conformance, each row with source, edition and review state; this
// package only applies it and never changes a prescription.
package rational

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
)

// Herb is what the knowledge says of one herb. Zero doses mean: not stated.
type Herb struct {
	Name       string
	Base       string // the herb it is a processed form of, or Name
	Min, Max   Mass   // adult daily dose for decoction
	DoseBasis  string // source and edition of the dose
	Toxicity   string // 有小毒, 有毒, 有大毒 or ""
	Pregnancy  string // 禁用, 慎用 or ""
	PregBasis  string
	Official   bool     // it has an entry of its own in the pharmacopoeia
	Decoctions []string // 先煎, 后下 … as the pharmacopoeia asks
}

// rule is the common part of pairs and lists.
type rule struct {
	ID, Kind, Severity, Level, Source, Edition, Review string
	A, B, Herbs                                        []string
}

// Knowledge is the compiled rule base: read-only, safe for concurrent use.
type Knowledge struct {
	herbs   map[string]*Herb
	aliases map[string]string
	suffix  map[string][]string // last two characters → names, to find candidates for short names
	prefix  []string            // processing words, longest first
	pairs   []rule
	sides   map[string][]side // herb → the pairs it stands in
	lists   map[string][]*rule
}

// side is one herb's place in a pair.
type side struct {
	pair int
	b    bool
}

// Load compiles the embedded rules and herb facts.
func Load() (*Knowledge, error) {
	k := &Knowledge{herbs: map[string]*Herb{}, aliases: map[string]string{}, suffix: map[string][]string{}, sides: map[string][]side{}, lists: map[string][]*rule{}}
	if err := k.loadRules(conformance.RationalUse()); err != nil {
		return nil, fmt.Errorf("load rational-use rules: %w", err)
	}
	for name, b := range conformance.Terminology() {
		if name == "CodeSystem-herb.json" {
			if err := k.loadHerbs(b); err != nil {
				return nil, fmt.Errorf("load herbs: %w", err)
			}
		}
	}
	k.link()
	return k, nil
}

func (k *Knowledge) loadRules(b []byte) error {
	var doc struct {
		Processing   []string
		Pairs, Lists []rule
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return err
	}
	k.prefix = doc.Processing
	slices.SortFunc(k.prefix, func(a, b string) int { return len(b) - len(a) })
	k.pairs = doc.Pairs
	for i, p := range k.pairs {
		for _, h := range p.A {
			k.sides[h] = append(k.sides[h], side{i, false})
		}
		for _, h := range p.B {
			k.sides[h] = append(k.sides[h], side{i, true})
		}
	}
	for i := range doc.Lists {
		r := &doc.Lists[i]
		for _, h := range r.Herbs {
			k.lists[h] = append(k.lists[h], r)
		}
	}
	return nil
}

func (k *Knowledge) loadHerbs(b []byte) error {
	tree, err := fhir.Parse(b)
	if err != nil {
		return err
	}
	for c := range tree.Root().Get("concept").Children() {
		h := &Herb{Name: c.Get("code").Str()}
		for p := range c.Get("property").Children() {
			v := p.Get("valueString").Str()
			switch p.Get("code").Str() {
			case "minG":
				h.Min, _ = ParseGrams(p.Get("valueDecimal").Str())
			case "maxG":
				h.Max, _ = ParseGrams(p.Get("valueDecimal").Str())
			case "doseBasis":
				h.DoseBasis = v
			case "toxicity":
				h.Toxicity = v
			case "pregnancy":
				h.Pregnancy = v
			case "pregnancyBasis":
				h.PregBasis = v
			case "chp2020Entry":
				h.Official = true
			}
		}
		k.herbs[h.Name] = h
		for d := range c.Get("designation").Children() {
			if d.Get("use").Exists() {
				k.aliases[d.Get("value").Str()] = h.Name
			}
		}
	}
	return nil
}

// link finds each herb's base form, decoction and the index for short names.
func (k *Knowledge) link() {
	for name, h := range k.herbs {
		h.Base = k.base(name)
		for _, r := range k.lists[name] {
			if r.Kind == "decoction" {
				h.Decoctions = append(h.Decoctions, r.Level)
			}
		}
		runes := []rune(name)
		for n := 2; n < len(runes); n++ {
			tail := string(runes[len(runes)-n:])
			k.suffix[tail] = append(k.suffix[tail], name)
		}
	}
	for _, names := range k.suffix {
		slices.Sort(names)
	}
}

// base strips processing words from name while a known herb remains.
func (k *Knowledge) base(name string) string {
	for _, p := range k.prefix {
		if rest, ok := strings.CutPrefix(name, p); ok && len([]rune(rest)) >= 2 && k.herbs[rest] != nil {
			return k.base(rest)
		}
	}
	return name
}

// Resolve finds the herb that a prescribed name means. Exact names come first
// (a name without an entry of its own that several herbs end with is none), then aliases (unless several herbs end so), then a known herb behind processing words (蜜麻黄 → 麻黄). A name
// that several herbs end with (芍药, 贝母) is ambiguous: herb is nil and the
// candidates are returned. An unknown name returns nil, nil.
func (k *Knowledge) Resolve(name string) (herb *Herb, candidates []string) {
	name = strings.TrimSpace(name)
	ending := k.ending(name)
	if h := k.herbs[name]; h != nil && (h.Official || len(ending) < 2) {
		return h, nil
	}
	if main, ok := k.aliases[name]; ok && len(ending) < 2 {
		return k.herbs[main], nil
	}
	if b := k.base(name); b != name {
		return k.herbs[b], nil
	}
	for _, p := range k.prefix {
		if rest, ok := strings.CutPrefix(name, p); ok {
			if main, ok := k.aliases[rest]; ok {
				return k.herbs[main], nil
			}
		}
	}
	if len(ending) == 1 {
		return k.herbs[ending[0]], nil
	}
	return nil, ending
}

// ending returns the distinct base herbs whose names end with name.
func (k *Knowledge) ending(name string) []string {
	var found []string
	for _, c := range k.suffix[name] {
		if b := k.herbs[c].Base; !slices.Contains(found, b) {
			found = append(found, b)
		}
	}
	return found
}

// Names yields every name a prescription may use for a herb (official names and
// unambiguous aliases) with the herb, in order.
func (k *Knowledge) Names() iter.Seq2[string, *Herb] {
	return func(yield func(string, *Herb) bool) {
		names := slices.AppendSeq(slices.Collect(maps.Keys(k.herbs)), maps.Keys(k.aliases))
		slices.Sort(names)
		for _, n := range slices.Compact(names) {
			if h, _ := k.Resolve(n); h != nil && !yield(n, h) {
				return
			}
		}
	}
}

// Pairs yields both sides of every pair rule of one kind.
func (k *Knowledge) Pairs(kind Kind) iter.Seq2[[]string, []string] {
	return func(yield func(a, b []string) bool) {
		for _, p := range k.pairs {
			if Kind(p.Kind) == kind && !yield(p.A, p.B) {
				return
			}
		}
	}
}
