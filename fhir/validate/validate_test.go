package validate

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// shared is one validator for all tests: it is immutable but for Add.
var shared = sync.OnceValues(func() (*Validator, error) {
	m, err := definitions.Load()
	if err != nil {
		return nil, err
	}
	return New(m, fhirpath.NewEngine(m), terminology.New(m)), nil
})

func validator(t testing.TB) *Validator {
	t.Helper()
	v, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func check(t testing.TB, v *Validator, res string, o Options) []fault.Issue {
	t.Helper()
	tree, err := fhir.Parse([]byte(res))
	if err != nil {
		t.Fatalf("%v in %s", err, res)
	}
	return v.Validate(context.Background(), tree.Root(), o)
}

// errorsOf writes the errors as "key@expression", one a line.
func errorsOf(issues []fault.Issue) string {
	var out []string
	for _, is := range issues {
		if is.Severity == "error" || is.Severity == "fatal" {
			out = append(out, is.Key+"@"+is.Expression)
		}
	}
	return strings.Join(out, " ")
}

func TestStructure(t *testing.T) {
	v := validator(t)
	for _, c := range []struct{ name, res, want string }{
		{"patient_ok", `{"resourceType":"Patient","id":"a-1","active":true,"name":[{"family":"王","given":["小","明"]}],"birthDate":"1990-02-28","deceasedBoolean":false}`, ""},
		{"no_type_bad", `{"id":"a"}`, "resource-type-missing@Resource"},
		{"type_bad", `{"resourceType":"Pateint"}`, "resource-type-unknown@Pateint.resourceType"},
		{"abstract_bad", `{"resourceType":"DomainResource"}`, "resource-type-unknown@DomainResource.resourceType"},
		{"unknown_bad", `{"resourceType":"Patient","brithDate":"1990"}`, "unknown-property@Patient.brithDate"},
		{"nested_unknown_bad", `{"resourceType":"Patient","name":[{"famly":"x"}]}`, "unknown-property@Patient.name[0].famly"},
		{"required_bad", `{"resourceType":"Observation","code":{"text":"x"}}`, "required-missing@Observation.status"},
		{"required_shadow_ok", `{"resourceType":"Observation","_status":{"extension":[{"url":"http://x/y","valueCode":"unknown"}]},"code":{"text":"x"}}`, ""},
		{"array_bad", `{"resourceType":"Patient","gender":["male"]}`, "unexpected-array@Patient.gender"},
		{"not_array_bad", `{"resourceType":"Patient","name":{"family":"x"}}`, "expected-array@Patient.name"},
		{"empty_array_bad", `{"resourceType":"Patient","name":[]}`, "empty-array@Patient.name"},
		{"empty_object_bad", `{"resourceType":"Patient","name":[{}]}`, "empty-object@Patient.name[0]"},
		{"kind_bad", `{"resourceType":"Patient","active":"true"}`, "wrong-type@Patient.active"},
		{"object_bad", `{"resourceType":"Patient","maritalStatus":"M"}`, "expected-object@Patient.maritalStatus"},
		{"null_bad", `{"resourceType":"Patient","gender":null}`, "null-value@Patient.gender"},
		{"null_in_array_ok", `{"resourceType":"Patient","name":[{"given":[null,"b"],"_given":[{"id":"x"},null]}]}`, ""},
		{"null_in_array_bad", `{"resourceType":"Patient","name":[{"given":[null,"b"]}]}`, "null-value@Patient.name[0].given[0]"},
		{"empty_string_bad", `{"resourceType":"Patient","name":[{"family":""}]}`, "empty-string@Patient.name[0].family"},
		{"choice_twice_bad", `{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}`, "choice-twice@Patient.deceased"},
		{"twice_bad", `{"resourceType":"Patient","gender":"male","gender":"female"}`, "duplicate-property@Patient.gender"},
		{"choice_type_bad", `{"resourceType":"Patient","deceasedString":"x"}`, "unknown-property@Patient.deceasedString"},
		{"contained_bad", `{"resourceType":"Patient","contained":[{"resourceType":"Observation"}]}`, "required-missing@Patient.contained[0].status required-missing@Patient.contained[0].code"},
		{"entry_bad", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","birthDate":"1990-02-30"}}]}`, "bad-date@Bundle.entry[0].resource.birthDate"},
		{"ext_bad", `{"resourceType":"Patient","extension":[{"url":"http://x/y"}]}`, "ext-1@Patient.extension[0]"},
		{"ext_url_bad", `{"resourceType":"Patient","extension":[{"valueString":"y"}]}`, "required-missing@Patient.extension[0].url"},
		{"ext_two_values_bad", `{"resourceType":"Patient","extension":[{"url":"http://x/y","valueString":"y","valueCode":"z"}]}`, "choice-twice@Patient.extension[0].value"},
		{"shadow_bad", `{"resourceType":"Patient","_gender":[{"id":"x"}]}`, "wrong-type@Patient.gender"},
		{"shadow_unknown_bad", `{"resourceType":"Patient","_gender":{"ids":"x"}}`, "unknown-property@Patient.gender.ids"},
		{"escaped_ok", `{"resourceType":"Patient","\u0067ender":"male"}`, ""},
	} {
		if got := errorsOf(check(t, v, c.res, Options{Level: Structure})); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestIssue(t *testing.T) {
	is := check(t, validator(t), "{\"resourceType\":\"Patient\",\n  \"brithDate\":\"1990\"}", Options{Level: Structure})
	want := fault.Issue{Severity: "error", Code: "structure", Key: "unknown-property", Text: `Patient 没有属性 "brithDate"`,
		TextEN: `Patient has no property "brithDate"`, Expression: "Patient.brithDate", Line: 2, Col: 3, Hint: `did you mean "birthDate"?`}
	if len(is) != 1 || is[0] != want {
		t.Errorf("got %+v\nwant %+v", is, want)
	}
}

func TestMaxIssues(t *testing.T) {
	res := `{"resourceType":"Patient","name":[` + strings.Repeat(`{"x":1},`, 500) + `{"x":1}]}`
	is := check(t, validator(t), res, Options{Level: Structure, MaxIssues: 10})
	if len(is) != 11 || is[10].Key != "too-many-issues" || !strings.Contains(is[10].Text, "491") {
		t.Errorf("%d issues, last %+v", len(is), is[len(is)-1])
	}
}

func TestPrimitives(t *testing.T) {
	for name, c := range map[string]struct{ ok, bad string }{
		"integer":      {"0 1 -1 2147483647 -2147483648", "01 2147483648 1.0 1e2 -0.5 --1"},
		"unsignedInt":  {"0 5", "-1 1.5"},
		"positiveInt":  {"1 99", "0 -1"},
		"id":           {"a A-1.b 123", "a_b é " + strings.Repeat("a", 65)},
		"oid":          {"urn:oid:1.2.156 urn:oid:2.16.840", "1.2.3 urn:oid:3.1 urn:oid:1.02 urn:oid:1."},
		"uuid":         {"urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "c757873d-ec9a-4326-a141-556f43239520 urn:uuid:c757873d"},
		"base64Binary": {"AAEC AAE= AA==", "AAE A=AA AAEC= AA*="},
		"date":         {"2026 2026-11 2026-02-28 2024-02-29", "2026-2 2026-13 2026-02-29 2026-11-22T00:00:00Z 26 0000 2026-11-31 2026-"},
		"dateTime":     {"2026 2026-11-22 2026-11-22T08:00:00Z 2026-11-22T08:00:00.123+08:00 2026-11-22T23:59:60Z", "2026-11-22T08:00Z 2026-11-22T08:00:00 2026-11-22T24:00:00Z 2026-11-22T08:00:00+15:00 2026-11-22T08:00:00.Z 2026-11-22t08:00:00z 20261122"},
		"instant":      {"2026-11-22T08:00:00Z 2026-11-22T08:00:00.5-05:00", "2026-11-22 2026-11-22T08:00:00"},
		"time":         {"08:00:00 23:59:59.999", "8:00:00 08:00 24:00:00 08:00:00Z 08:00:00."},
		"uri":          {"http://x/y urn:x:y #a", ""},
	} {
		p := primitives()[name]
		for _, s := range strings.Fields(c.ok) {
			if !p.valid(s) {
				t.Errorf("%s %q refused", name, s)
			}
		}
		for _, s := range strings.Fields(c.bad) {
			if p.valid(s) {
				t.Errorf("%s %q accepted", name, s)
			}
		}
	}
	for _, s := range []string{" a", "a ", "a  b", "a\tb", ""} {
		if validCode(s) {
			t.Errorf("code %q accepted", s)
		}
	}
	if !validCode("a b") || validString(" \n ") || validURI("a b") {
		t.Error("code, string or uri")
	}
}

func TestDidYouMean(t *testing.T) {
	for got, want := range map[string]string{"brithDate": "birthDate", "Gender": "gender", "adress": "address", "xyz": "", "nme": "name"} {
		hint := fault.DidYouMean(got, []string{"birthDate", "gender", "address", "name", "photo"})
		if want == "" && hint != "" || want != "" && !strings.Contains(hint, `"`+want+`"`) {
			t.Errorf("%s: %q, want %q", got, hint, want)
		}
	}
}
