package fhirpath

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

const testPatient = `{"resourceType":"Patient","id":"p","active":true,"birthDate":"1974-12","_birthDate":{"id":"b","extension":[{"url":"http://x/e","valueString":"v"}]},
 "name":[{"use":"official","family":"Chalmers","given":["Peter","James"]},{"use":"usual","given":["Jim",null],"_given":[null,{"extension":[{"url":"http://x/g","valueBoolean":true}]}]}],
 "contained":[{"resourceType":"Organization","id":"o","name":"Org"}],"managingOrganization":{"reference":"#o"},"generalPractitioner":[{"reference":"Practitioner/1"},{"reference":"https://h/fhir/Organization/2/_history/3"}],
 "contact":[{"relationship":[{"coding":[{"system":"s","code":"N"}]}],"period":{"start":"2012"}}],"multipleBirthInteger":2,
 "extension":[{"url":"http://x/q","valueQuantity":{"value":2,"unit":"years","system":"http://unitsofmeasure.org","code":"a"}}]}`

func parseNode(t testing.TB, src string) fhir.Node {
	t.Helper()
	tree, err := fhir.Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return tree.Root()
}

// show writes a result as Type(text) items.
func show(items Collection) string {
	parts := make([]string, len(items))
	for i, it := range items {
		parts[i] = it.Type() + "(" + it.String() + ")"
	}
	return strings.Join(parts, " ")
}

func TestLanguage_ok(t *testing.T) {
	e := engine(t)
	p := parseNode(t, testPatient)
	for _, c := range []struct{ expr, want string }{
		// paths, choices, primitives
		{"name[0].given[1]", "string(James)"},
		{"name.given", "string(Peter) string(James) string(Jim) string()"},
		{"name.given.where($this.hasValue().not()).extension.value", "boolean(true)"},
		{"birthDate.extension('http://x/e').value", "string(v)"},
		{"birthDate.id", "string(b)"},
		{"multipleBirth", "integer(2)"},
		{"multipleBirth is integer", "Boolean(true)"},
		{"multipleBirth.is(boolean)", "Boolean(false)"},
		{"multipleBirthInteger", ""},
		{"contact.relationship.coding.code", "code(N)"},
		{"contact.type().name", "String(BackboneElement)"},
		{"contained.name", "string(Org)"},
		{"contained.ofType(Organization).id", "id(o)"},
		{"Patient.unknown", ""},
		{"Observation.status", ""},
		{"Resource.id", "id(p)"},
		{"descendants().where($this is Coding).code", "code(N)"},
		{"extension.value.unit", "string(years)"},
		// references
		{"managingOrganization.resolve().name", "string(Org)"},
		{"generalPractitioner.where(resolve() is Practitioner).reference", "string(Practitioner/1)"},
		{"generalPractitioner.getReferenceKey(Organization)", "String(2)"},
		{"getResourceKey()", "String(p)"},
		// operators and three-valued logic
		{"1 + 2 * 3 - 4 / 2", "Decimal(5)"},
		{"7 div 2 | 7 mod 2", "Integer(3) Integer(1)"},
		{"-7 div 2", "Integer(-3)"},
		{"{} and false", "Boolean(false)"},
		{"{} xor true", ""},
		{"'a' in {}", "Boolean(false)"},
		{"{} in 'a'", ""},
		{"('a'|'b') contains 'b'", "Boolean(true)"},
		{"'a' & {} & 1", "String(a1)"},
		{"1 = 1.0", "Boolean(true)"},
		{"'1' = 1", "Boolean(false)"},
		{"'a b' ~ 'A  B'", "Boolean(true)"},
		{"name[0] = name[0]", "Boolean(true)"},
		{"name[0] ~ name[1]", "Boolean(false)"},
		// functions
		{"(1|2|3).select($this * $index)", "Integer(0) Integer(2) Integer(6)"},
		{"(3|1|2).sort()", "Integer(1) Integer(2) Integer(3)"},
		{"(3|1|2).sort(-$this).first()", "Integer(3)"},
		{"(1|2|3).aggregate($this + $total, 0)", "Integer(6)"},
		{"(1|2|3|4).sum() / (1|2).count()", "Decimal(5)"},
		{"(1|5|3).max() - (1|5|3).min()", "Integer(4)"},
		{"'abc'.toChars().join('-')", "String(a-b-c)"},
		{"'a1b22'.replaceMatches('([0-9]+)', '<$1>')", "String(a<1>b<22>)"},
		{"'中医馆'.substring(1, 1) & '中医馆'.length() & '中医馆'.indexOf('馆')", "String(医32)"},
		{"'x'.lastIndexOf('x')", "Integer(0)"},
		{"iif(false, 1)", ""},
		{"coalesce({}, name.family, 'z')", "string(Chalmers)"},
		{"defineVariable('n', name.family).select(%n & '!')", "String(Chalmers!)"},
		{"name.select(defineVariable('g', given.first()).where(%g = 'Jim').use)", "code(usual)"},
		{"name.given.where($this = 'Jim' or $this = 'Peter').count()", "Integer(2)"},
		{"(name | name).count()", "Integer(2)"},
		{"name.combine(name).count()", "Integer(4)"},
		{"name.given.exclude('Jim').count()", "Integer(3)"},
		{"repeat(contained).name", "string(Org)"},
		{"'false'.toBoolean()", "Boolean(false)"},
		{"'1.50'.toDecimal()", "Decimal(1.50)"},
		{"'2012-02-30'.toDate()", ""},
		{"'T10:30'.toTime()", "Time(10:30)"},
		{"2.power(10) | 2.power(0.5).round(3)", "Integer(1024) Decimal(1.414)"},
		{"(-1.5).round() | 2.5.round()", "Decimal(-2) Decimal(3)"},
		{"(-1.5).truncate() | 1.2.ceiling() | (-1.2).floor()", "Integer(-1) Integer(2) Integer(-2)"},
		{"100.log(10) | 1.exp().round(5)", "Decimal(2) Decimal(2.71828)"},
		{"1.0.precision() | @2014-01.precision() | @T10:30.precision()", "Integer(1) Integer(6) Integer(4)"},
		// dates
		{"@2020-02-29 + 1 year", "Date(2021-02-28)"},
		{"@2020-03-31 - 1 month", "Date(2020-02-29)"},
		{"@2020 + 13 months", "Date(2021)"},
		{"@2020-01 + 31 days", "Date(2020-02)"},
		{"@T23:00:00 + 2 hours", "Time(01:00:00)"},
		{"@2020-01-01T00:00:00Z - 1 second", "DateTime(2019-12-31T23:59:59Z)"},
		{"@2012-01 = @2012", ""},
		{"@2012-01 < @2013", "Boolean(true)"},
		{"@2012-01-01T10:00+02:00 = @2012-01-01T08:00Z", "Boolean(true)"},
		{"@2012-06-01 < @2012-01-01T00:00:00Z", "Boolean(false)"},
		{"birthDate < @1975", "Boolean(true)"},
		{"birthDate + extension.value", "Date(1976-12)"},
		{"birthDate.lowBoundary() | birthDate.highBoundary()", "Date(1974-12-01) Date(1974-12-31)"},
		{"now().toString()", "String(2026-11-22T21:14:08.123+08:00)"},
		{"today() | timeOfDay()", "Date(2026-11-22) Time(21:14:08.123)"},
		{"@2020-05-06T07:08:09.123.yearOf() | @2020-05-06.monthOf()", "Integer(2020) Integer(5)"},
		// quantities
		{"1 'kg' + 500 'g'", "Quantity(1.5 'kg')"},
		{"3 'mg' * 2", "Quantity(6 'mg')"},
		{"10 'mg' / 2 'mL'", "Quantity(5 'mg/mL')"},
		{"5 'mg' < 1 'g'", "Boolean(true)"},
		{"5 'mg' < 1 'mL'", ""},
		{"37 'Cel' = 98.6 '[degF]'", "Boolean(true)"},
		{"1 year = 12 months", "Boolean(true)"},
		{"1 year = 1 'a'", ""},
		{"1 year ~ 1 'a'", "Boolean(true)"},
		{"2 weeks = 14 'd'", "Boolean(true)"},
		{"(1 'kg').toQuantity('g')", "Quantity(1000 'g')"},
		{"extension.value > 1 'a'", "Boolean(true)"},
		// variables
		{"%ucum", "String(http://unitsofmeasure.org)"},
		{"%context.id | %resource.id | %rootResource.id", "id(p)"},
		{"%`vs-gender`", "String(http://hl7.org/fhir/ValueSet/gender)"},
	} {
		got, err := evaluate(e, c.expr, p)
		if err != nil || show(got) != c.want {
			t.Errorf("%s = %s %v, want %s", c.expr, show(got), err, c.want)
		}
	}
}

func TestLanguage_bad(t *testing.T) {
	e := engine(t)
	p := parseNode(t, testPatient)
	for _, c := range []struct{ expr, want string }{
		{"name.", "ends too early"},
		{"name..given", "unexpected ."},
		{"(name", "ends too early"},
		{"'abc", "quote without end"},
		{"@2012-13", "no valid date"},
		{"name.frist()", "did you mean \"first\"?"},
		{"name.where()", "1 argument"},
		{"name.ofType(Nmae)", "unknown type Nmae"},
		{"%nothing", "unknown variable"},
		{"1 + 'a'", "Integer + String is not defined"},
		{"name.given + 'a'", "one item expected"},
		{"name < 1", "one item expected"},
		{"name[0] < 1", "does not compare"},
		{"name and true", "truth value"},
		{"'a'.matches('(')", "regular expression"},
		{"name.given.single()", "single() found 4"},
		{"(1|2).toInteger()", "one item"},
		{"'a'.memberOf('http://x')", "no terminology"},
		{"9223372036854775807 + 1", "overflow"},
		{"defineVariable('a').defineVariable('a')", "defined already"},
		{strings.Repeat("(", 500) + "1" + strings.Repeat(")", 500), "nested too deeply"},
		{strings.Repeat("1+", 5000) + "1", "too complex"},
		{strings.Repeat(" ", maxSource) + "1", "too long"},
		{"1 'mg' \x00", "unexpected character"},
	} {
		got, err := evaluate(e, c.expr, p)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s = %s %v, want %q", c.expr, show(got), err, c.want)
		}
	}
}

func TestStrict_bad(t *testing.T) {
	e := engine(t)
	for _, c := range []struct{ expr, want string }{
		{"name.givn", `did you mean "given"?`},
		{"multipleBirthInteger", `did you mean "multipleBirth"?`},
		{"Observation.status", "Patient has no element"},
		{"name.where(famly = 'x')", `did you mean "family"?`},
		{"children().first()", "ordered"},
		{"descendants()[0]", "ordered"},
		{"birthDate + 1", "not defined"},
		{"name.given.first() < 1", "not defined"},
		{"identifier.startsWith('a')", "takes a string"},
		{"name['a']", "index must be an integer"},
		{"%foo", "unknown variable"},
		{"iif('a', 1, 2)", "Boolean"},
		{"managingOrganization.as(Reference).nme", "Reference has no element"},
	} {
		if _, err := e.Compile(c.expr, Strict("Patient")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.expr, err, c.want)
		}
	}
	for _, expr := range []string{"name.given.first().substring(1) & birthDate.toString()", "contained.name", "extension('x').value.unit", "%resource.foo",
		"managingOrganization.resolve().anything", "multipleBirth.ofType(integer) > 1", "birthDate + 1 year > today()", "name.repeat(given)", "contact.name.family"} {
		if _, err := e.Compile(expr, Strict("Patient")); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

func TestUntypedJSON(t *testing.T) {
	e := engine(t)
	n := parseNode(t, `{"resourceType":"Foo","a":[{"b":[1,[2]]},{"b":1.50}],"valueQuantity":{"value":3},"s":"x","t":true,"n":null,"_s":{"id":"i"}}`)
	for expr, want := range map[string]string{
		"Foo.a.b": "Integer(1) Integer(2) Decimal(1.50)", "a.b.sum()": "Decimal(4.50)", "valueQuantity.value": "Integer(3)", "value": "",
		"s & 'y'": "String(xy)", "t and true": "Boolean(true)", "n": "", "children().count()": "Integer(7)", "s is String": "Boolean(true)",
		"a.where(b > 1).b": "",
	} {
		got, err := evaluate(e, expr, n)
		if expr == "a.where(b > 1).b" {
			if err == nil {
				t.Errorf("%s compared a list", expr)
			}
			continue
		}
		if err != nil || show(got) != want {
			t.Errorf("%s = %s %v, want %s", expr, show(got), err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	e := engine(t)
	p := parseNode(t, testPatient)
	run := func(expr string, ctx *Context) error {
		x, err := e.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		_, err = x.Eval(ctx, p)
		return err
	}
	grow := "('a').repeat($this & 'x')"
	if err := run(grow, &Context{Limits: Limits{Steps: 10_000}}); !fault.Is(err, fault.TooCostly) {
		t.Errorf("steps: %v", err)
	}
	if err := run("(1|2|3).repeatAll($this | 4)", &Context{Limits: Limits{Items: 1000}}); !fault.Is(err, fault.TooCostly) {
		t.Errorf("items: %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := run(grow, &Context{Ctx: ended}); !fault.Is(err, fault.TooCostly) || !errors.Is(err, context.Canceled) {
		t.Errorf("time: %v", err)
	}
}

// TestDistinctIsLinear would take minutes if sets were compared pairwise.
func TestDistinctIsLinear(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"collection","entry":[`)
	for i := range 60_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"fullUrl":"urn:` + Integer(int64(i)).String() + `","search":{"score":` + Integer(int64(i)).String() + `}}`)
	}
	b.WriteString(`]}`)
	n := parseNode(t, b.String())
	e := engine(t)
	begin := time.Now()
	for expr, want := range map[string]string{
		"entry.fullUrl.distinct().count()": "Integer(60000)", "entry.distinct().count()": "Integer(60000)", "entry.search.score.isDistinct()": "Boolean(true)",
		"(entry.fullUrl | entry.fullUrl).count()": "Integer(60000)", "entry.fullUrl.intersect(%resource.entry.fullUrl).count()": "Integer(60000)",
		"entry.fullUrl.subsetOf(%resource.entry.fullUrl)": "Boolean(true)", "entry.fullUrl.exclude(%resource.entry.fullUrl).count()": "Integer(0)",
	} {
		got, err := evaluate(e, expr, n)
		if err != nil || show(got) != want {
			t.Errorf("%s = %s %v", expr, show(got), err)
		}
	}
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("took %v", d)
	}
}

// TestConcurrent shares one expression, engine and context.
func TestConcurrent(t *testing.T) {
	e := engine(t)
	x, err := e.Compile("name.where(use = %u).given.first() & contact.period.start")
	if err != nil {
		t.Fatal(err)
	}
	ctx := &Context{Variables: map[string]Collection{"u": {ValueItem(String("official"))}}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			p := parseNode(t, testPatient)
			for range 500 {
				got, err := x.Eval(ctx, p)
				if err != nil || show(got) != "String(Peter2012)" {
					t.Errorf("%s %v", show(got), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// terms is a terminology of one value set and one hierarchy.
type terms struct{}

func (terms) MemberOf(_ context.Context, vs, system, _, code string) (bool, error) {
	return vs == "http://vs" && code == "N" && (system == "" || system == "s"), nil
}
func (terms) Subsumes(_ context.Context, _, a, b string) (bool, error) { return a <= b, nil }

func TestTerminology(t *testing.T) {
	e := engine(t)
	p := parseNode(t, testPatient)
	for expr, want := range map[string]string{
		"contact.relationship.memberOf('http://vs')":                          "Boolean(true)",
		"contact.relationship.coding.first().memberOf('http://other')":        "Boolean(false)",
		"name.first().use.memberOf('http://vs')":                              "Boolean(false)",
		"contact.relationship.coding.subsumes(%context.contact.relationship)": "Boolean(true)",
		"contact.relationship.coding.subsumedBy('Z')":                         "Boolean(false)",
	} {
		x, err := e.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		got, err := x.Eval(&Context{Terminology: terms{}}, p)
		if err != nil || show(got) != want {
			t.Errorf("%s = %s %v, want %s", expr, show(got), err, want)
		}
	}
}

func TestNarrative(t *testing.T) {
	for src, want := range map[string]bool{
		`<div xmlns="http://www.w3.org/1999/xhtml"><p class="a">x &nbsp; <b>y</b></p></div>`: true,
		`<div xmlns="http://www.w3.org/1999/xhtml"></div>`:                                   false,
		`<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>`:                 false,
		`<div xmlns="http://www.w3.org/1999/xhtml"><p onclick="x">y</p></div>`:               false,
		`<div xmlns="http://www.w3.org/1999/xhtml"><a href=" JavaScript:x">y</a></div>`:      false,
		`<div>x`:     false,
		`<p>x</p>`:   false,
		`<div>x</p>`: false,
	} {
		if got := narrativeOK(src); got != want {
			t.Errorf("%s: %v", src, got)
		}
	}
}

// TestWideObjects would take minutes if members were looked up one by one.
func TestWideObjects(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"z":0`)
	for i := range 50_000 {
		b.WriteString(`,"k` + Integer(int64(i)).String() + `":1`)
	}
	b.WriteByte('}')
	e := engine(t)
	got, err := evaluate(e, "a = b and (a ~ b)", parseNode(t, `{"a":`+b.String()+`,"b":`+b.String()+`}`))
	if err != nil || show(got) != "Boolean(true)" {
		t.Errorf("%s %v", show(got), err)
	}
	twice := `{"resourceType":"Patient"` + strings.Repeat(`,"_birthDate":{"id":"x"}`, 50_000) + `}`
	if _, err := evaluate(e, "descendants().count()", parseNode(t, twice)); err != nil {
		t.Error(err)
	}
}
