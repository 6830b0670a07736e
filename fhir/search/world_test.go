package search_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/memindex"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// world is what the oracle test asks about.
type world struct {
	resources [][]byte
	engine    *search.Engine
	index     *memindex.Index
}

func newWorld(t testing.TB) *world {
	w := &world{resources: append(corpus(t), halls()...), index: memindex.New()}
	cfg := search.Default()
	cfg.Units = false // an addition that the oracle does not know
	base := newEngine(search.WithConfig(cfg), search.WithTerminology(newPrefixTerms(t, w.resources)))
	var err error
	if w.engine, _, err = base.Extend(added); err != nil {
		t.Fatal(err)
	}
	for _, raw := range w.resources {
		if err := w.index.Add(w.engine, raw); err != nil {
			t.Fatal(err)
		}
	}
	w.index.Sort()
	return w
}

// added are search parameters that R4 does not have.
var added = [][]byte{
	[]byte(`{"resourceType":"SearchParameter","id":"a","url":"http://x/a","status":"active","code":"pulse-rank","base":["Observation"],"type":"number","expression":"Observation.extension.where(url='http://x/rank').value"}`),
	[]byte(`{"resourceType":"SearchParameter","id":"b","url":"http://x/b","status":"active","code":"nick","base":["Patient","Practitioner"],"type":"string","expression":"Patient.name.where(use='nickname').given | Practitioner.name.where(use='nickname').given"}`),
	[]byte(`{"resourceType":"SearchParameter","id":"c","url":"http://x/c","status":"active","code":"narrated","base":["DomainResource"],"type":"token","expression":"DomainResource.text.status"}`),
	[]byte(`{"resourceType":"SearchParameter","id":"d","url":"http://x/d","status":"active","code":"guide","base":["Patient"],"type":"reference","target":["Practitioner"],"expression":"Patient.extension.where(url='http://x/guide').value"}`),
}

// parameters lists what a type can be searched by.
func parameters(typ string) []*definitions.SearchParameter { return allParameters()[typ] }

var allParameters = sync.OnceValue(func() map[string][]*definitions.SearchParameter {
	out := map[string][]*definitions.SearchParameter{}
	for _, typ := range model().Resources() {
		out[typ] = slices.Clone(model().SearchParameters(typ))
		for _, sp := range addedParameters() {
			if slices.ContainsFunc(sp.Base, model().Type(typ).IsA) {
				out[typ] = append(out[typ], sp)
			}
		}
	}
	return out
})

var addedParameters = sync.OnceValue(func() (list []*definitions.SearchParameter) {
	for _, raw := range added {
		tree, err := fhir.Parse(raw)
		if err != nil {
			panic(err)
		}
		sp, err := definitions.ReadSearchParameter(tree.Root())
		if err != nil {
			panic(err)
		}
		list = append(list, sp)
	}
	return list
})

// surnames and given names with one reading each.
var (
	surnames = [][2]string{{"张", "zhang"}, {"李", "li"}, {"王", "wang"}, {"陈", "chen"}, {"周", "zhou"}}
	givens   = [][2]string{{"小", "xiao"}, {"伟", "wei"}, {"芳", "fang"}, {"敏", "min"}, {"丽", "li"}, {"军", "jun"}, {"明", "ming"}}
	notes    = []string{"患者头痛发热三日", "舌淡苔薄白，脉弦", "夜寐不安 BP 120", "头晕目眩，腰膝酸软", "Wind-cold syndrome 风寒"}
)

// spoken is how a name of halls is read: in full, and by initials.
func spoken(name string) []string {
	var whole, initials string
	for _, r := range name {
		for _, list := range [][][2]string{surnames, givens} {
			for _, p := range list {
				if p[0] == string(r) {
					whole, initials = whole+p[1], initials+p[1][:1]
				}
			}
		}
	}
	if name == "" || len(initials) != len([]rune(name)) {
		return nil
	}
	return []string{whole, initials}
}

// halls are resources of Chinese halls with what the official examples lack:
// names in characters, positions, meta, hierarchies, typed identifiers.
func halls() (out [][]byte) {
	r := rand.New(rand.NewPCG(7, 7))
	pick := func(list [][2]string) string { return list[r.IntN(len(list))][0] }
	add := func(format string, args ...any) { out = append(out, fmt.Appendf(nil, format, args...)) }
	for i := range 8 {
		parent := ""
		if i > 0 {
			parent = fmt.Sprintf(`,"partOf":{"reference":"Organization/h%d"}`, (i-1)/2)
		}
		add(`{"resourceType":"Organization","id":"h%d","name":"%s氏中医馆"%s}`, i, pick(surnames), parent)
		add(`{"resourceType":"Location","id":"h%d","name":"馆%d","position":{"latitude":%.3f,"longitude":%.3f}%s}`, i, i,
			28+r.Float64(), 112+r.Float64(), strings.ReplaceAll(parent, "Organization/", "Location/"))
		add(`{"resourceType":"Practitioner","id":"h%d","name":[{"text":"%s%s"}]}`, i, pick(surnames), pick(givens))
	}
	for i := range 60 {
		family, given := pick(surnames), pick(givens)+pick(givens)
		add(`{"resourceType":"Patient","id":"h%d","meta":{"lastUpdated":"2026-0%d-1%dT0%d:00:00.000Z","source":"http://his/%d","profile":["http://p/tcm|%d"],"tag":[{"system":"http://t","code":"t%d"}],"security":[{"system":"http://s","code":"R"}]},`+
			`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>%s</p></div>"},"extension":[{"url":"http://x/guide","valueReference":{"reference":"Practitioner/h%d"}}],`+
			`"name":[{"text":"%s%s","family":"%s","given":["%s"]},{"use":"nickname","given":["小%s"]}],"gender":"%s","birthDate":"19%02d-0%d-0%d","identifier":[{"system":"urn:id","value":"A%d","type":{"coding":[{"system":"http://idt","code":"%s"}]}}],`+
			`"managingOrganization":{"reference":"Organization/h%d"},"generalPractitioner":[{"reference":"Practitioner/h%d"}]}`,
			i, 1+i%9, i%9, i%9, i%4, i%3, i%5, notes[i%len(notes)], i%8, family, given, family, given, given, []string{"male", "female"}[i%2], 30+i, 1+i%9, 1+i%9, i, []string{"MR", "NI"}[i%2], i%8, i%8)
		add(`{"resourceType":"Observation","id":"h%d","status":"final","code":{"coding":[{"system":"http://tcm","code":"%s"}],"text":"脉象"},"subject":{"reference":"Patient/h%d"},"effectiveDateTime":"2026-0%d-0%dT08:00:00+08:00","performer":[{"reference":"Practitioner/h%d"}],`+
			`"extension":[{"url":"http://x/rank","valueDecimal":%d.5}],"valueQuantity":{"value":%d,"unit":"次/分","system":"http://unitsofmeasure.org","code":"/min"},"note":[{"text":"%s"}]}`,
			i, []string{"M", "M1", "M12", "S", "S3"}[i%5], i*7%60, 1+i%9, 1+i%9, i%8, i%10, 50+i, notes[i*3%len(notes)])
	}
	for i := range 6 {
		var entries []string
		for k := range 12 {
			entries = append(entries, fmt.Sprintf(`{"deleted":%t,"item":{"reference":"%s/h%d"}}`, k%5 == 4, []string{"Patient", "Observation"}[k%2], r.IntN(60)))
		}
		add(`{"resourceType":"List","id":"h%d","status":"current","mode":"working","entry":[%s]}`, i, strings.Join(entries, ","))
	}
	return out
}

// prefixTerms is a terminology over the codes of the corpus: a code lies below
// those it begins with, and value set http://vs/N has the codes whose hash says N.
type prefixTerms struct{ codes []code }

const valueSets = 5

func newPrefixTerms(t testing.TB, resources [][]byte) *prefixTerms {
	seen := map[code]bool{}
	terms := &prefixTerms{}
	for _, raw := range resources {
		tree, err := fhir.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		var walk func(n fhir.Node)
		walk = func(n fhir.Node) {
			if c := (code{strings.Clone(n.Get("system").Str()), strings.Clone(n.Get("code").Str())}); c.code != "" && c.system != "" && !seen[c] {
				seen[c] = true
				terms.codes = append(terms.codes, c)
			}
			for c := range n.Children() {
				walk(c)
			}
		}
		walk(tree.Root())
	}
	return terms
}

func setOf(c code) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.system + "|" + c.code))
	return int(h.Sum32() % valueSets)
}

func (p *prefixTerms) Members(_ context.Context, valueSet string, yield func(system, code string) bool) error {
	n := strings.TrimPrefix(valueSet, "http://vs/")
	if n == valueSet {
		return fault.New(fault.NotFound, "unknown value set %s", valueSet)
	}
	for _, c := range p.codes {
		if fmt.Sprint(setOf(c)) == n && !yield(c.system, c.code) {
			break
		}
	}
	return nil
}

func (p *prefixTerms) Below(_ context.Context, system, code string, yield func(string) bool) error {
	for _, c := range p.codes {
		if c.system == system && strings.HasPrefix(c.code, code) && !yield(c.code) {
			break
		}
	}
	return nil
}

func (p *prefixTerms) Above(_ context.Context, system, code string, yield func(string) bool) error {
	for _, c := range p.codes {
		if c.system == system && strings.HasPrefix(code, c.code) && !yield(c.code) {
			break
		}
	}
	return nil
}
