package rational

import (
	"fmt"
	"slices"
	"strings"
)

// Kind names a rule family; the indicators count findings by it.
type Kind string

// The families.
const (
	UnknownHerb   Kind = "unknown-herb"
	AmbiguousHerb Kind = "ambiguous-herb"
	Eighteen      Kind = "eighteen-incompatibles"
	Nineteen      Kind = "nineteen-antagonisms"
	Pregnancy     Kind = "pregnancy"
	Overdose      Kind = "overdose"
	ToxicOverdose Kind = "toxic-overdose"
	BadDose       Kind = "bad-dose"
	Duplicate     Kind = "duplicate"
	MultiToxic    Kind = "multiple-toxic"
	Controlled    Kind = "controlled"
	Decoction     Kind = "decoction"
)

// Severity says what a user interface should do.
type Severity string

// The severities, worst first.
const (
	Block       Severity = "block"       // stop; overriding needs a second signature
	Warning     Severity = "warning"     // ask
	Information Severity = "information" // tell
)

// Line is one herb of a prescription: grams per dose (= per day for the usual
// one dose a day).
type Line struct {
	Name      string
	Dose      Mass
	Decoction string // 先煎, 后下 … as written, may be empty
}

// Context is what rules need to know of the patient and the form.
type Context struct {
	Pregnant  bool
	External  bool // for external use: oral dose limits do not apply
	Decocted  bool // 饮片 decoction: decoction methods matter
	DosesADay int  // doses taken per day; 0 = 1
}

// Finding is one hit with its evidence.
type Finding struct {
	Rule                    string // rule id, e.g. 18F-1
	Kind                    Kind
	Severity                Severity
	Herbs                   []string // as prescribed
	Text                    string   // Chinese
	Source, Edition, Review string
}

// unreviewed is the state of all facts of doses: secondary source, see the herb
// code system's purpose.
const unreviewed = "unreviewed"

// item is a line with the herb it means.
type item struct {
	Line
	herb *Herb
}

// Evaluate applies every rule to a prescription. Findings are ordered by
// severity, then by rule; the same input gives the same findings.
func (k *Knowledge) Evaluate(lines []Line, ctx Context) []Finding {
	var out []Finding
	items := make([]item, 0, len(lines))
	for _, l := range lines {
		h, candidates := k.Resolve(l.Name)
		switch {
		case h != nil:
		case len(candidates) > 0:
			out = append(out, Finding{Rule: "NAME-2", Kind: AmbiguousHerb, Severity: Warning, Herbs: []string{l.Name},
				Text: fmt.Sprintf("“%s”所指不明，可能是%s，请写明药名", l.Name, strings.Join(candidates[:min(4, len(candidates))], "、")), Review: "n/a"})
		default:
			out = append(out, Finding{Rule: "NAME-1", Kind: UnknownHerb, Severity: Information, Herbs: []string{l.Name},
				Text: fmt.Sprintf("药名“%s”不在药典名录中，未做剂量与配伍检查", l.Name), Review: "n/a"})
		}
		items = append(items, item{l, h})
	}
	out = k.pairFindings(out, items)
	out = k.listFindings(out, items, ctx)
	out = doseFindings(out, items, ctx)
	slices.SortStableFunc(out, func(a, b Finding) int { return rank(a.Severity) - rank(b.Severity) })
	return out
}

func rank(s Severity) int {
	return slices.Index([]Severity{Block, Warning, Information}, s)
}

// names returns the names under which rules may list the item: as prescribed,
// as resolved. The base form is left out on purpose: 生半夏 and 法半夏 differ.
func (it item) names() []string {
	if it.herb == nil || it.herb.Name == it.Name {
		return []string{it.Name}
	}
	return []string{it.Name, it.herb.Name}
}

func (k *Knowledge) pairFindings(out []Finding, items []item) []Finding {
	type hit struct{ a, b []string }
	hits := map[int]*hit{}
	for _, it := range items {
		done := map[side]bool{}
		for _, n := range it.names() {
			for _, s := range k.sides[n] {
				if done[s] {
					continue
				}
				done[s] = true
				h := hits[s.pair]
				if h == nil {
					h = &hit{}
					hits[s.pair] = h
				}
				if s.b {
					h.b = append(h.b, it.Name)
				} else {
					h.a = append(h.a, it.Name)
				}
			}
		}
	}
	for i, p := range k.pairs {
		h := hits[i]
		if h == nil || len(h.a) == 0 || len(h.b) == 0 {
			continue
		}
		word := map[Kind]string{Eighteen: "相反（十八反）", Nineteen: "相畏（十九畏）"}[Kind(p.Kind)]
		out = append(out, Finding{Rule: p.ID, Kind: Kind(p.Kind), Severity: Severity(p.Severity), Herbs: slices.Concat(h.a, h.b),
			Text:   fmt.Sprintf("%s 与 %s %s", strings.Join(h.a, "、"), strings.Join(h.b, "、"), word),
			Source: p.Source, Edition: p.Edition, Review: p.Review})
	}
	return out
}

func (k *Knowledge) listFindings(out []Finding, items []item, ctx Context) []Finding {
	for _, it := range items {
		done := map[Kind]bool{}
		for _, n := range it.names() {
			for _, r := range k.lists[n] {
				kind := Kind(r.Kind)
				if done[kind] {
					continue
				}
				var text string
				switch {
				case kind == Pregnancy && ctx.Pregnant:
					text = fmt.Sprintf("孕妇%s：%s", r.Level, it.Name)
				case kind == Controlled:
					text = fmt.Sprintf("%s 属%s，按专门规定开具", it.Name, r.Level)
				case kind == Decoction && ctx.Decocted && !strings.Contains(it.Decoction, r.Level):
					text = fmt.Sprintf("%s 宜%s，处方未注明", it.Name, r.Level)
				default:
					continue
				}
				done[kind] = true
				out = append(out, Finding{Rule: r.ID, Kind: kind, Severity: Severity(r.Severity), Herbs: []string{it.Name}, Text: text, Source: r.Source, Edition: r.Edition, Review: r.Review})
			}
		}
	}
	return out
}

// doseFindings checks daily doses, the same herb in several forms added up.
func doseFindings(out []Finding, items []item, ctx Context) []Finding {
	type group struct {
		herb  *Herb
		names []string
		total Mass
	}
	var groups []*group
	var toxic []string
	for _, it := range items {
		if it.Dose < 0 || it.Dose > 1000*Gram {
			out = append(out, Finding{Rule: "DOSE-0", Kind: BadDose, Severity: Warning, Herbs: []string{it.Name}, Text: fmt.Sprintf("%s 剂量 %s 不合常理，请核对单位", it.Name, it.Dose), Review: "n/a"})
		}
		if it.herb == nil {
			continue
		}
		if it.herb.Toxicity == "有毒" || it.herb.Toxicity == "有大毒" {
			toxic = append(toxic, it.Name)
		}
		i := slices.IndexFunc(groups, func(g *group) bool { return g.herb.Base == it.herb.Base })
		if i < 0 {
			groups = append(groups, &group{herb: it.herb})
			i = len(groups) - 1
		}
		g := groups[i]
		g.names, g.total = append(g.names, it.Name), g.total+it.Dose
		if it.herb.Max > g.herb.Max {
			g.herb = it.herb
		}
	}
	for _, g := range groups {
		if len(g.names) > 1 {
			out = append(out, Finding{Rule: "DUP", Kind: Duplicate, Severity: Information, Herbs: g.names, Text: strings.Join(g.names, "、") + " 为同一药的不同规格或重复，剂量已合并计算", Review: "n/a"})
		}
		daily := g.total * Mass(max(1, ctx.DosesADay))
		if g.herb.Max == 0 || ctx.External || daily <= g.herb.Max {
			continue
		}
		f := Finding{Rule: "DOSE-1", Kind: Overdose, Severity: Warning, Herbs: g.names,
			Text:   fmt.Sprintf("%s 日剂量 %s，超过上限 %s", strings.Join(g.names, "、"), daily, g.herb.Max),
			Source: g.herb.DoseBasis, Edition: "CHP2020", Review: unreviewed}
		if g.herb.Toxicity == "有毒" || g.herb.Toxicity == "有大毒" {
			f.Rule, f.Kind, f.Severity = "DOSE-2", ToxicOverdose, Block
			f.Text += "（" + g.herb.Toxicity + "）"
		}
		out = append(out, f)
	}
	if len(toxic) > 1 {
		out = append(out, Finding{Rule: "MULTI-TOX", Kind: MultiToxic, Severity: Warning, Herbs: toxic, Text: "同方含多味有毒药：" + strings.Join(toxic, "、"), Review: unreviewed})
	}
	return out
}
