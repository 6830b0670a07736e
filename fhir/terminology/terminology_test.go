package terminology

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

const animals = `{"resourceType":"CodeSystem","id":"animals","url":"http://x/animals","version":"1","name":"Animals","language":"en",
"status":"active","content":"complete","caseSensitive":true,"hierarchyMeaning":"is-a",
"property":[{"code":"legs","type":"integer"},{"code":"up","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"}],
"concept":[{"code":"animal","display":"Animal","property":[{"code":"notSelectable","valueBoolean":true}],"concept":[
  {"code":"mammal","display":"Mammal","property":[{"code":"legs","valueInteger":4}],"concept":[
    {"code":"cat","display":"Cat","definition":"Purrs","designation":[{"language":"zh-CN","value":"猫"}]},
    {"code":"dog","display":"Dog","property":[{"code":"legs","valueInteger":4}]}]},
  {"code":"bird","display":"Bird","property":[{"code":"legs","valueInteger":2}]}]},
 {"code":"bat","display":"Bat","property":[{"code":"up","valueCode":"mammal"},{"code":"up","valueCode":"bird"},{"code":"inactive","valueBoolean":true}]}]}`

const herbs = `{"resourceType":"CodeSystem","id":"herbs","url":"http://x/herbs","version":"2","name":"Herbs","title":"饮片","language":"zh-CN","status":"active","content":"complete",
"concept":[{"code":"H1","display":"黄芪"},{"code":"H2","display":"当归"},{"code":"H3","display":"白术"},{"code":"H4","display":"黄芩"},{"code":"H5","display":"炙黄芪"},{"code":"H6","display":"川芎"}]}`

func set(id, compose string) string {
	return `{"resourceType":"ValueSet","id":"` + id + `","url":"http://x/vs/` + id + `","status":"active","compose":` + compose + `}`
}

// fixed is the time of every expansion in tests.
var fixed = clock.Fixed(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))

func service(t testing.TB, resources ...string) *Service {
	t.Helper()
	s := New(nil, WithClock(fixed))
	for _, r := range append([]string{animals, herbs}, resources...) {
		if err := s.Add([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func codes(t testing.TB, s *Service, canonical string, o ExpandOptions) string {
	t.Helper()
	list, _, err := s.Find(context.Background(), canonical, o)
	if err != nil {
		t.Fatalf("%s: %v", canonical, err)
	}
	var out []string
	for _, c := range list {
		out = append(out, c.Code)
	}
	return strings.Join(out, " ")
}

func TestCompose(t *testing.T) {
	for _, c := range []struct{ name, compose, want string }{
		{"all", `{"include":[{"system":"http://x/animals"}]}`, "animal mammal cat dog bird bat"},
		{"listed_ok", `{"include":[{"system":"http://x/animals","concept":[{"code":"dog"},{"code":"cat"}]}]}`, "dog cat"},
		{"listed_bad", `{"include":[{"system":"http://x/animals","concept":[{"code":"dog"},{"code":"wolf"}]}]}`, "dog"},
		{"is-a", `{"include":[{"system":"http://x/animals","filter":[{"property":"concept","op":"is-a","value":"mammal"}]}]}`, "mammal cat dog bat"},
		{"descendent-of", `{"include":[{"system":"http://x/animals","filter":[{"property":"concept","op":"descendent-of","value":"bird"}]}]}`, "bat"},
		{"is-not-a", `{"include":[{"system":"http://x/animals","filter":[{"property":"concept","op":"is-not-a","value":"mammal"}]}]}`, "animal bird"},
		{"generalizes", `{"include":[{"system":"http://x/animals","filter":[{"property":"concept","op":"generalizes","value":"bat"}]}]}`, "animal mammal bird bat"},
		{"in", `{"include":[{"system":"http://x/animals","filter":[{"property":"concept","op":"in","value":"cat, bat"}]}]}`, "cat bat"},
		{"not-in", `{"include":[{"system":"http://x/animals","filter":[{"property":"legs","op":"not-in","value":"4"}]}]}`, "animal cat bird bat"},
		{"property", `{"include":[{"system":"http://x/animals","filter":[{"property":"legs","op":"=","value":"4"}]}]}`, "mammal dog"},
		{"regex", `{"include":[{"system":"http://x/animals","filter":[{"property":"code","op":"regex","value":".a."}]}]}`, "cat bat"},
		{"exists", `{"include":[{"system":"http://x/animals","filter":[{"property":"legs","op":"exists","value":"true"}]}]}`, "mammal dog bird"},
		{"exists_no", `{"include":[{"system":"http://x/animals","filter":[{"property":"legs","op":"exists","value":"false"}]}]}`, "animal cat bat"},
		{"parent", `{"include":[{"system":"http://x/animals","filter":[{"property":"parent","op":"=","value":"mammal"}]}]}`, "cat dog bat"},
		{"two_filters", `{"include":[{"system":"http://x/animals","filter":[{"property":"concept","op":"is-a","value":"mammal"},{"property":"legs","op":"=","value":"4"}]}]}`, "mammal dog"},
		{"exclude", `{"include":[{"system":"http://x/animals"}],"exclude":[{"system":"http://x/animals","filter":[{"property":"concept","op":"is-a","value":"mammal"}]}]}`, "animal bird"},
		{"inactive", `{"inactive":false,"include":[{"system":"http://x/animals"}]}`, "animal mammal cat dog bird"},
		{"doubles", `{"include":[{"system":"http://x/animals","concept":[{"code":"cat"}]},{"system":"http://x/animals"}]}`, "cat animal mammal dog bird bat"},
		{"value_set", `{"include":[{"valueSet":["http://x/vs/pets"]}]}`, "cat dog"},
		{"two_value_sets", `{"include":[{"valueSet":["http://x/vs/pets","http://x/animals?fhir_vs=isa/cat"]}]}`, "cat"},
		{"system_and_value_set", `{"include":[{"system":"http://x/animals","valueSet":["http://x/vs/pets"]}]}`, "cat dog"},
	} {
		s := service(t, set("pets", `{"include":[{"system":"http://x/animals","concept":[{"code":"cat"},{"code":"dog"}]}]}`), set("v", c.compose))
		if got := codes(t, s, "http://x/vs/v", ExpandOptions{}); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestComposeErrors(t *testing.T) {
	for _, c := range []struct {
		name, compose string
		want          fault.Kind
	}{
		{"unknown_system", `{"include":[{"system":"http://x/none"}]}`, fault.NotFound},
		{"unknown_set", `{"include":[{"valueSet":["http://x/none"]}]}`, fault.NotFound},
		{"circle", `{"include":[{"valueSet":["http://x/vs/v"]}]}`, fault.TooCostly},
		{"regex", `{"include":[{"system":"http://x/animals","filter":[{"property":"code","op":"regex","value":"("}]}]}`, fault.Invalid},
		{"operator", `{"include":[{"system":"http://x/animals","filter":[{"property":"code","op":"like","value":"x"}]}]}`, fault.Unsupported},
		{"grammar", `{"include":[{"system":"urn:ietf:bcp:13"}]}`, fault.TooCostly},
	} {
		s := service(t, set("v", c.compose))
		if _, err := s.Expand(context.Background(), "http://x/vs/v", ExpandOptions{}); !fault.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// Names that match wholly come before those that only begin so, the display
// before its aliases, the common reading before a rare one.
func TestFilterRanks(t *testing.T) {
	const names = `{"code":"1","display":"黄芩"},{"code":"2","display":"紫花前胡","designation":[{"value":"黄芪"}]},{"code":"3","display":"炙黄芪"},
		{"code":"4","display":"黄芪片"},{"code":"5","display":"黄芪"},{"code":"6","display":"会期"}`
	s := service(t, `{"resourceType":"CodeSystem","url":"http://x/ranks","status":"active","content":"complete","concept":[`+names+`]}`)
	for _, c := range []struct{ filter, want string }{
		{"hq", "1 5 6 2 4 3"}, {"huangqi", "5 1 2 4 3"}, {"黄芪", "2 5 4 3"}, {"huiqi", "6"}, {"kuaiqi", "6"}, {"5", "5"},
	} {
		if got := codes(t, s, "http://x/ranks?fhir_vs", ExpandOptions{Filter: c.filter}); got != c.want {
			t.Errorf("filter %q: %q, want %q", c.filter, got, c.want)
		}
	}
}

func TestFilterIsLinear(t *testing.T) {
	spell := string(appendSpelling(nil, strings.Repeat("嗯啊", 64)))
	for _, n := range []string{"a", "n", "na", "ng", "e"} {
		spellRank(spell, strings.Repeat(n, maxNeedle/len(n)-1)+"z")
	}
}

func TestFilterText(t *testing.T) {
	s := service(t)
	for _, c := range []struct{ filter, want string }{
		{"hq", "H1 H4 H5"}, {"huangqi", "H1 H4 H5"}, {"hqi", "H1 H4 H5"}, {"huangqin", "H4"}, {"zhq", "H5"}, {"zhihq", "H5"},
		{"baizhu", "H3"}, {"bz", "H3"}, {"cx", "H6"}, {"黄", "H1 H4 H5"}, {"h5", "H5"}, {"uang", ""}, {"黄 炙", "H5"}, {"dg", "H2"},
	} {
		if got := codes(t, s, "http://x/herbs?fhir_vs", ExpandOptions{Filter: c.filter}); got != c.want {
			t.Errorf("filter %q: %q, want %q", c.filter, got, c.want)
		}
	}
	if got := codes(t, s, "http://x/animals?fhir_vs", ExpandOptions{Filter: "mao"}); got != "cat" {
		t.Errorf("pinyin of a designation: %q", got)
	}
}

func TestExpandJSON(t *testing.T) {
	s := service(t)
	for _, c := range []struct {
		name string
		o    ExpandOptions
		want string
	}{
		{"page", ExpandOptions{Offset: 1, Count: 2, DisplayLanguage: "zh"}, `"total":6,"offset":1,"parameter":[{"name":"displayLanguage","valueCode":"zh"},{"name":"count","valueInteger":2},{"name":"version","valueUri":"http://x/animals|1"}],` +
			`"contains":[{"system":"http://x/animals","code":"mammal","display":"Mammal"},{"system":"http://x/animals","code":"cat","display":"猫"}]}}`},
		{"designations", ExpandOptions{Filter: "cat", Designations: true}, `"contains":[{"system":"http://x/animals","code":"cat","display":"Cat","designation":[{"language":"zh-CN","value":"猫"}]}]}}`},
		{"count_only", ExpandOptions{CountOnly: true}, `"total":6,"parameter":[{"name":"count","valueInteger":0},{"name":"version","valueUri":"http://x/animals|1"}]}}`},
		{"active", ExpandOptions{ActiveOnly: true, Filter: "ba"}, `"total":0,`},
		{"nested", ExpandOptions{Nested: true}, `"contains":[{"system":"http://x/animals","abstract":true,"code":"animal","display":"Animal","contains":[{"system":"http://x/animals","code":"mammal","display":"Mammal","contains":[{"system":"http://x/animals","code":"cat","display":"Cat"},{"system":"http://x/animals","code":"dog","display":"Dog"},{"system":"http://x/animals","inactive":true,"code":"bat","display":"Bat"}]},`},
	} {
		got, err := s.Expand(context.Background(), "http://x/animals?fhir_vs", c.o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fhir.Parse(got); err != nil {
			t.Errorf("%s: %v in %s", c.name, err, got)
		}
		if !strings.Contains(string(got), c.want) {
			t.Errorf("%s: got %s\nwant …%s…", c.name, got, c.want)
		}
	}
}

// op runs an operation with name=value parameters.
func op(s *Service, name, typ, id, query string) (string, error) {
	q, _ := url.ParseQuery(query)
	b, err := s.Operation(context.Background(), name, typ, id, QueryParams(q))
	return strings.TrimPrefix(string(b), `{"resourceType":"Parameters","parameter":[`), err
}

func TestOperations(t *testing.T) {
	cm := `{"resourceType":"ConceptMap","id":"m","url":"http://x/map","status":"active","group":[{"source":"http://x/animals","target":"http://x/herbs",
 "element":[{"code":"cat","target":[{"code":"H1","equivalence":"wider"}]},{"code":"dog","target":[{"equivalence":"unmatched"}]}],"unmapped":{"mode":"fixed","code":"H6"}}]}`
	sup := `{"resourceType":"CodeSystem","id":"sup","url":"http://x/sup","status":"active","content":"supplement","supplements":"http://x/animals","concept":[{"code":"dog","designation":[{"language":"zh","value":"狗"}]}]}`
	s := service(t, cm, sup, set("pets", `{"include":[{"system":"http://x/animals","concept":[{"code":"cat"},{"code":"dog"}]}]}`))
	for _, c := range []struct{ name, typ, id, query, want string }{
		{"validate-code", "ValueSet", "", "url=http://x/vs/pets&system=http://x/animals&code=cat", `{"name":"result","valueBoolean":true},{"name":"display","valueString":"Cat"}`},
		{"validate-code", "ValueSet", "pets", "code=cat&display=Kitten", `{"name":"result","valueBoolean":false},{"name":"message","valueString":"显示名“Kitten”与编码 cat 不符，应为“Cat”"}`},
		{"validate-code", "ValueSet", "pets", "code=dog&display=狗&displayLanguage=zh-CN", `{"name":"result","valueBoolean":true},{"name":"display","valueString":"狗"}`},
		{"validate-code", "ValueSet", "pets", "system=http://x/animals&code=bird", `{"name":"result","valueBoolean":false}`},
		{"validate-code", "CodeSystem", "", "url=http://x/animals&code=bat", `{"name":"result","valueBoolean":true},{"name":"message","valueString":"编码 http://x/animals#bat 已停用"}`},
		{"validate-code", "CodeSystem", "", "url=http://x/animals&code=wolf", `{"name":"result","valueBoolean":false}`},
		{"validate-code", "CodeSystem", "animals", "code=animal&abstract=false", `{"name":"result","valueBoolean":false}`},
		{"validate-code", "CodeSystem", "", "url=http://snomed.info/sct&code=1", `{"name":"result","valueBoolean":false},{"name":"message","valueString":"未加载编码系统`},
		{"lookup", "CodeSystem", "", "system=http://x/animals&code=cat&displayLanguage=zh-CN", `{"name":"name","valueString":"Animals"},{"name":"version","valueString":"1"},{"name":"display","valueString":"猫"}`},
		{"lookup", "CodeSystem", "", "system=http://x/animals&code=cat&property=parent", `{"name":"property","part":[{"name":"code","valueCode":"parent"},{"name":"value","valueCode":"mammal"},{"name":"description","valueString":"Mammal"}]}]}`},
		{"subsumes", "CodeSystem", "", "system=http://x/animals&codeA=animal&codeB=bat", `{"name":"outcome","valueCode":"subsumes"}]}`},
		{"subsumes", "CodeSystem", "animals", "codeA=cat&codeB=mammal", `{"name":"outcome","valueCode":"subsumed-by"}]}`},
		{"subsumes", "CodeSystem", "", "system=http://x/animals&codeA=cat&codeB=bird", `{"name":"outcome","valueCode":"not-subsumed"}]}`},
		{"translate", "ConceptMap", "m", "system=http://x/animals&code=cat", `{"name":"result","valueBoolean":true},{"name":"match","part":[{"name":"equivalence","valueCode":"wider"},{"name":"concept","valueCoding":{"system":"http://x/herbs","code":"H1","display":"黄芪"}},{"name":"source","valueUri":"http://x/map"}]}]}`},
		{"translate", "ConceptMap", "", "url=http://x/map&system=http://x/herbs&code=H1&reverse=true", `{"name":"match","part":[{"name":"equivalence","valueCode":"narrower"},{"name":"concept","valueCoding":{"system":"http://x/animals","code":"cat","display":"Cat"}}`},
		{"translate", "ConceptMap", "", "system=http://x/animals&code=dog", `{"name":"result","valueBoolean":false}`},
		{"translate", "ConceptMap", "", "system=http://x/animals&code=zebra", `"valueCode":"inexact"},{"name":"concept","valueCoding":{"system":"http://x/herbs","code":"H6","display":"川芎"}}`},
	} {
		got, err := op(s, c.name, c.typ, c.id, c.query)
		if err != nil {
			t.Errorf("%s?%s: %v", c.name, c.query, err)
			continue
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s?%s:\n got %s\nwant %s", c.name, c.query, got, c.want)
		}
	}
}

func TestOperationErrors(t *testing.T) {
	s := service(t)
	for _, c := range []struct {
		name, typ, id, query string
		want                 fault.Kind
	}{
		{"lookup", "CodeSystem", "", "system=http://x/animals&code=wolf", fault.NotFound},
		{"lookup", "CodeSystem", "", "system=http://x/none&code=wolf", fault.NotFound},
		{"lookup", "CodeSystem", "", "code=wolf", fault.Invalid},
		{"lookup", "ValueSet", "", "code=wolf", fault.Unsupported},
		{"expand", "ValueSet", "", "", fault.Invalid},
		{"expand", "ValueSet", "", "url=http://x/animals?fhir_vs&count=-1", fault.Invalid},
		{"expand", "ValueSet", "none", "", fault.NotFound},
		{"validate-code", "ValueSet", "", "url=http://x/none&code=x", fault.NotFound},
		{"translate", "ConceptMap", "", "url=http://x/none&code=x", fault.NotFound},
		{"subsumes", "CodeSystem", "", "system=http://x/animals&codeA=cat", fault.Invalid},
		{"closure", "", "", "", fault.Invalid},
		{"explode", "ValueSet", "", "", fault.Unsupported},
	} {
		if _, err := op(s, c.name, c.typ, c.id, c.query); !fault.Is(err, c.want) {
			t.Errorf("%s?%s: %v, want %v", c.name, c.query, err, c.want)
		}
	}
}

func TestClosure(t *testing.T) {
	s := service(t)
	run := func(body string) string {
		tree, err := fhir.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		p, err := BodyParams(tree.Root())
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Operation(context.Background(), "closure", "", "", p)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	concept := func(code string) string {
		return `{"name":"concept","valueCoding":{"system":"http://x/animals","code":"` + code + `"}}`
	}
	start := `{"resourceType":"Parameters","parameter":[{"name":"name","valueString":"c"}`
	run(start + `]}`)
	got := run(start + "," + concept("cat") + "," + concept("animal") + `]}`)
	if want := `"element":[{"code":"cat","target":[{"code":"animal","equivalence":"subsumes"}]}]`; !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
	if got := run(start + "," + concept("bird") + `]}`); strings.Contains(got, "cat") || !strings.Contains(got, `"code":"bird"`) {
		t.Errorf("second call must answer the new relations only: %s", got)
	}
	if got := run(start + `,{"name":"version","valueString":"0"}]}`); !strings.Contains(got, "cat") || !strings.Contains(got, "bird") {
		t.Errorf("since version 0: %s", got)
	}
}

func TestVersions(t *testing.T) {
	s := service(t, strings.NewReplacer(`"id":"herbs"`, `"id":"old"`, `"version":"2"`, `"version":"1.9"`, "黄芪", "绵芪").Replace(herbs),
		strings.NewReplacer(`"id":"herbs"`, `"id":"new"`, `"version":"2"`, `"version":"10"`, "黄芪", "黄耆").Replace(herbs))
	for canonical, want := range map[string]string{"http://x/herbs": "黄耆", "http://x/herbs|2": "黄芪", "http://x/herbs|1.9": "绵芪", "http://x/herbs|1": "绵芪"} {
		system, version := splitCanonical(canonical)
		got, err := op(s, "lookup", "CodeSystem", "", "system="+system+"&version="+version+"&code=H1")
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %s %v, want %s", canonical, got, err, want)
		}
	}
	s.Remove("CodeSystem", "new")
	if got, _ := op(s, "lookup", "CodeSystem", "", "system=http://x/herbs&code=H1"); !strings.Contains(got, "黄芪") {
		t.Errorf("after Remove: %s", got)
	}
}

func TestGrammars(t *testing.T) {
	s := service(t)
	for _, c := range []struct{ system, ok, bad string }{
		{SystemBCP47, "zh zh-CN zh-Hans-CN en-US x-y de-1996 sr-Latn-RS zh-cmn-Hans-CN en-a-bbb", "qqqq zh_CN zh- -zh zh-CN-Hans zh-12"},
		{SystemUCUM, "mg g/L 10*9/L mm[Hg] Cel {score} 1", "mgg g//L"},
		{SystemMIME, "text/plain application/fhir+json text/plain;charset=utf-8", "text text/ /plain te(xt/plain"},
		{SystemCurrency, "CNY USD EUR", "CN XYZ cny"},
		{SystemCountry, "CN US CHN 156", "ZZ CNX 000 cn"},
	} {
		for _, code := range strings.Fields(c.ok) {
			if v := s.Valid(c.system, code); v != Yes {
				t.Errorf("%s %s: %v", c.system, code, v)
			}
		}
		for _, code := range strings.Fields(c.bad) {
			if v := s.Valid(c.system, code); v != No {
				t.Errorf("%s %s: %v", c.system, code, v)
			}
		}
	}
	if v := s.Valid("http://snomed.info/sct", "1"); v != Unknown {
		t.Errorf("SNOMED: %v", v)
	}
}

func TestCompareVersions(t *testing.T) {
	order := []string{"", "1", "1.9", "1.10", "2.0.0-beta", "4.0.1", "4.0.10", "20230101", "20231201"}
	for i := 1; i < len(order); i++ {
		if compareVersions(order[i-1], order[i]) >= 0 || compareVersions(order[i], order[i-1]) <= 0 {
			t.Errorf("%q should be before %q", order[i-1], order[i])
		}
	}
}

// source is a Source of fixed resources.
type source map[string]string // url → JSON

func (m source) Canonicals(typ string) (urls []string) {
	for url, data := range m {
		if strings.Contains(data, `"resourceType":"`+typ+`"`) {
			urls = append(urls, url)
		}
	}
	return urls
}

func (m source) Resource(_, canonical string) ([]byte, bool) {
	return []byte(m[canonical]), m[canonical] != ""
}

func TestSource(t *testing.T) {
	s := New(source{"http://x/animals": animals, "http://x/vs/v": set("v", `{"include":[{"system":"http://x/animals"}]}`)})
	if v := s.Member("http://x/vs/v", "", "cat"); v != Yes {
		t.Errorf("cat: %v", v)
	}
	if v := s.Member("http://x/vs/v|9", "", "cat"); v != Unknown {
		t.Errorf("unknown version: %v", v)
	}
	// a run-time resource replaces the base one, and expansions follow
	if err := s.Add([]byte(strings.Replace(animals, `"code":"dog"`, `"code":"wolf"`, 1))); err != nil {
		t.Fatal(err)
	}
	if v := s.Member("http://x/vs/v", "http://x/animals", "wolf"); v != Yes {
		t.Errorf("wolf after Add: %v", v)
	}
}

// table makes a code table of n herbs with names of two to four characters.
func table(n int) string {
	chars := []rune("黄芪当归白术川芎人参甘草茯苓陈皮半夏柴胡桂枝芍药附子干姜大枣麻黄杏仁石膏知母")
	var b strings.Builder
	b.WriteString(`{"resourceType":"CodeSystem","id":"big","url":"http://x/big","status":"active","content":"complete","concept":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"code":"B%05d","display":"%c%c%c"}`, i, chars[i%len(chars)], chars[i*7%len(chars)], chars[i*13/5%len(chars)])
	}
	b.WriteString(`]}`)
	return b.String()
}

func BenchmarkExpand(b *testing.B) {
	s := service(b, table(2000))
	for _, c := range []struct {
		name string
		o    ExpandOptions
	}{{"all", ExpandOptions{}}, {"pinyin", ExpandOptions{Filter: "hq"}}, {"miss", ExpandOptions{Filter: "zzzz"}}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Expand(context.Background(), "http://x/big?fhir_vs", c.o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMember(b *testing.B) {
	s := service(b, table(2000), set("big", `{"include":[{"system":"http://x/big"}]}`))
	b.ReportAllocs()
	for b.Loop() {
		if s.Member("http://x/vs/big", "http://x/big", "B01234") != Yes {
			b.Fatal("not a member")
		}
	}
}

func FuzzAdd(f *testing.F) {
	for _, r := range []string{animals, herbs, set("v", `{"include":[{"system":"http://x/animals","filter":[{"property":"concept","op":"is-a","value":"cat"}]}]}`)} {
		f.Add([]byte(r), "http://x/animals|1?fhir_vs")
	}
	f.Fuzz(func(t *testing.T, data []byte, canonical string) {
		s := New(nil)
		if s.Add(data) != nil {
			return
		}
		s.Member(canonical, "", "cat")
		_, _ = s.Expand(context.Background(), canonical, ExpandOptions{Filter: "hq"})
		_, _ = s.Translate(context.Background(), TranslateRequest{Code: "cat"})
	})
}

func TestSearchFaces(t *testing.T) {
	s := service(t, set("pets", `{"include":[{"system":"http://x/animals","concept":[{"code":"cat"},{"code":"dog"}]}]}`))
	ctx := context.Background()
	collect := func(run func(yield func(string) bool) error) string {
		var out []string
		if err := run(func(c string) bool { out = append(out, c); return true }); err != nil {
			return err.Error()
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		name, want string
		run        func(yield func(string) bool) error
	}{
		{"below", "mammal cat dog bat", func(y func(string) bool) error { return s.Below(ctx, "http://x/animals", "mammal", y) }},
		{"above", "bat animal mammal bird", func(y func(string) bool) error { return s.Above(ctx, "http://x/animals", "bat", y) }},
		{"members", "cat dog", func(y func(string) bool) error {
			return s.Members(ctx, "http://x/vs/pets", func(_, code string) bool { return y(code) })
		}},
		{"members by id", "cat dog", func(y func(string) bool) error {
			return s.Members(ctx, "ValueSet/pets", func(_, code string) bool { return y(code) })
		}},
	} {
		if got := collect(c.run); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if ok, err := s.MemberOf(ctx, "http://x/vs/pets", "http://x/animals", "", "cat"); !ok || err != nil {
		t.Errorf("MemberOf: %v %v", ok, err)
	}
	if _, err := s.MemberOf(ctx, "http://x/vs/none", "", "", "cat"); !fault.Is(err, fault.NotFound) {
		t.Errorf("MemberOf an unknown value set: %v", err)
	}
	if err := s.Below(ctx, "http://x/none", "x", func(string) bool { return true }); !fault.Is(err, fault.NotFound) {
		t.Errorf("Below in an unknown system: %v", err)
	}
}

func TestInclude(t *testing.T) {
	s := New(nil)
	if err := s.Include([]byte(herbs)); err != nil {
		t.Fatal(err)
	}
	ask := func() string {
		got, _ := op(s, "lookup", "CodeSystem", "", "system=http://x/herbs&code=H1")
		return got
	}
	other := strings.NewReplacer("http://x/herbs", "http://x/other", "黄芪", "绵芪").Replace(herbs)
	if err := s.Add([]byte(other)); err != nil { // same id, another url
		t.Fatal(err)
	}
	if !strings.Contains(ask(), "黄芪") {
		t.Errorf("an added resource must not replace an included one by id: %s", ask())
	}
	if err := s.Add([]byte(strings.Replace(herbs, "黄芪", "黄耆", 1))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(ask(), "黄耆") {
		t.Errorf("an added resource must come before an included one: %s", ask())
	}
	s.Remove("CodeSystem", "herbs")
	if !strings.Contains(ask(), "黄芪") {
		t.Errorf("after Remove: %s", ask())
	}
}

// TestConcurrent reads while resources come and go (run with -race).
func TestConcurrent(t *testing.T) {
	s := service(t, set("v", `{"include":[{"system":"http://x/animals"}]}`))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 200 {
				if s.Member("http://x/vs/v", "http://x/animals", "cat") != Yes {
					t.Error("cat is gone")
				}
				if _, err := s.Expand(context.Background(), "http://x/herbs?fhir_vs", ExpandOptions{Filter: "hq"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Go(func() {
		for range 100 {
			if err := s.Add([]byte(animals), []byte(herbs), []byte(set("w", `{"include":[{"valueSet":["http://x/vs/v"]}]}`))); err != nil {
				t.Error(err)
			}
			s.Remove("ValueSet", "w")
		}
	})
	group.Wait()
}
