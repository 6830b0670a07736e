package operation_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// gql asks GET path/$graphql?query= and returns status and body.
func gql(t *testing.T, base, path, query string) (int, string) {
	t.Helper()
	resp, err := http.Get(base + path + "/$graphql?query=" + url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func graphQLHub(t *testing.T) string {
	t.Helper()
	base := start(t)
	put := func(line, body string) (int, string) {
		req, _ := http.NewRequest("PUT", base+strings.TrimPrefix(line, "PUT "), strings.NewReader(body))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode, ""
	}
	for path, res := range map[string]string{
		"/Organization/org": `{"resourceType":"Organization","id":"org","name":"hall"}`,
		"/Patient/p": `{"resourceType":"Patient","id":"p","gender":"male","birthDate":"1970-01-01","_birthDate":{"extension":[{"url":"urn:e","valueString":"x"}]},
			"name":[{"use":"official","family":"李","given":["明","亮"]},{"use":"usual","text":"小李"}],"telecom":[{"system":"phone","value":"1"},{"system":"email","value":"2"}],
			"contact":[{"name":{"family":"王"}}],"managingOrganization":{"reference":"Organization/org"},"generalPractitioner":[{"reference":"#gp"}],"contained":[{"resourceType":"Practitioner","id":"gp","active":true}]}`,
		"/Patient/q":      `{"resourceType":"Patient","id":"q","managingOrganization":{"reference":"Organization/none"}}`,
		"/Observation/o1": `{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"a"},"subject":{"reference":"Patient/p"},"valueQuantity":{"value":1.50,"unit":"g"}}`,
		"/Observation/o2": `{"resourceType":"Observation","id":"o2","status":"amended","code":{"text":"b"},"subject":{"reference":"Patient/p"}}`,
	} {
		if status, _ := put("PUT "+path, res); status != 201 {
			t.Fatalf("%s: %d", path, status)
		}
	}
	return base
}

func TestGraphQL_ok(t *testing.T) {
	base := graphQLHub(t)
	for _, c := range []struct{ path, query, want string }{
		{"/Patient/p", `{id gender birthDate name{given}}`, `{"id":"p","gender":"male","birthDate":"1970-01-01","name":[{"given":["明","亮"]},{"given":[]}]}`},
		{"/Patient/p", `{resourceType __typename _birthDate{extension{url valueString}} contact{name{family}}}`,
			`{"resourceType":"Patient","__typename":"Patient","_birthDate":{"extension":[{"url":"urn:e","valueString":"x"}]},"contact":[{"name":{"family":"王"}}]}`},
		{"/Patient/p", `{name(use: official){family} telecom(system: "phone"){value} first: name(_count: 1, _offset: 1){text}}`, `{"name":[{"family":"李"}],"telecom":[{"value":"1"}],"first":[{"text":"小李"}]}`},
		{"/Patient/p", `{name(fhirpath: "given.exists()"){family}}`, `{"name":[{"family":"李"}]}`},
		{"/Patient/p", `{managingOrganization{resource{id ... on Organization{name}}} generalPractitioner{resource{... on Practitioner{active}}}}`,
			`{"managingOrganization":{"resource":{"id":"org","name":"hall"}},"generalPractitioner":[{"resource":{"active":true}}]}`},
		{"/Patient/p", `{ObservationList(_reference: patient, status: final){id valueQuantity{value}}}`, `{"ObservationList":[{"id":"o1","valueQuantity":{"value":1.50}}]}`},
		{"/Patient/p", `query q($yes: Boolean = true){id @skip(if: $yes) gender @include(if: $yes)}`, `{"gender":"male"}`},
		{"/Patient/p", `{...n} fragment n on Patient{name @first{family}}`, `{"name":[{"family":"李"}]}`},
		{"/Patient/p", `{name @flatten{use family @singleton}}`, `{"use":["official","usual"],"family":"李"}`},
		{"/Patient/p", `{managingOrganization @flatten{reference} telecom @slice(fhirpath: "system"){value}}`, `{"reference":"Organization/org","telecom.phone":{"value":"1"},"telecom.email":{"value":"2"}}`},
		{"/Patient/q", `{managingOrganization{resource(optional: true){id}}}`, `{"managingOrganization":{"resource":null}}`},
		{"", `{Patient(id: p){gender} a: Patient(id: "q"){id}}`, `{"Patient":{"gender":"male"},"a":{"id":"q"}}`},
		{"", `{PatientList(gender: male, _sort: "_id"){id}}`, `{"PatientList":[{"id":"p"}]}`},
		{"", `{ObservationList(patient: "Patient/p", _sort: "_id"){id subject{resource{... on Patient{gender}}}}}`,
			`{"ObservationList":[{"id":"o1","subject":{"resource":{"gender":"male"}}},{"id":"o2","subject":{"resource":{"gender":"male"}}}]}`},
		{"/Observation", `{ObservationConnection(_count: 5, _sort: "_id", _total: accurate){count pagesize next edges{mode resource{id}}}}`,
			`{"ObservationConnection":{"count":2,"pagesize":5,"next":null,"edges":[{"mode":"match","resource":{"id":"o1"}},{"mode":"match","resource":{"id":"o2"}}]}}`},
		{"", `{__type(name: "Patient_contact"){kind name fields{name}} __schema{queryType{name} mutationType{name}}}`,
			`{"__type":{"kind":"OBJECT","name":"Patient_contact","fields":[{"name":"address"},{"name":"extension"},{"name":"gender"},{"name":"_gender"},{"name":"id"},{"name":"_id"},{"name":"modifierExtension"},{"name":"name"},{"name":"organization"},{"name":"period"},{"name":"relationship"},{"name":"telecom"}]},"__schema":{"queryType":{"name":"Query"},"mutationType":null}}`},
	} {
		status, body := gql(t, base, c.path, c.query)
		if want := `{"data":` + c.want + `}`; status != 200 || body != want {
			t.Errorf("%s %s: %d\n got %.800s\nwant %s", c.path, c.query, status, body, want)
		}
	}
}

func TestGraphQL_bad(t *testing.T) {
	base := graphQLHub(t)
	for _, c := range []struct {
		path, query string
		status      int
		contains    string
	}{
		{"/Patient/p", `{id nmae}`, 400, `Cannot query field \"nmae\"`},
		{"/Patient/p", `{id`, 400, `line 1`},
		{"/Patient/p", `{name}`, 400, `must have a selection of subfields`},
		{"/Patient/p", `{...a} fragment a on Patient{...a}`, 400, `"graphql"`},
		{"/Patient/p", `mutation{id}`, 400, `"not-supported"`},
		{"/Patient/none", `{id}`, 404, `"unknown-id"`},
		{"/Patient/p", `{name(fhirpath: "given("){family}}`, 400, `fhirpath`},
		{"/Patient/p", `{ObservationList(_reference: nothing){id}}`, 400, `nothing`},
		{"", `{PatientList(birthdate: "x"){id}}`, 400, `"code":"`},
		{"", `{PatientConnection(_cursor: "x"){count}}`, 400, `_cursor`},
		{"", `query($x: Boolean!){Patient(id: "p"){id @skip(if: $x)}}`, 400, `$x`},
		{"", strings.Repeat("{Patient(id: 1)", 1) + strings.Repeat("{managingOrganization{resource{... on Patient", 20) + "{id}" + strings.Repeat("}}}", 20) + "}", 422, `"too-costly"`},
		{"", "", 400, `"graphql"`},
		{"/Patient/q", `{managingOrganization{resource{id}}}`, 200, `"errors":[{"message":"Organization/none is not there","path":["managingOrganization","resource"]`},
	} {
		status, body := gql(t, base, c.path, c.query)
		if status != c.status || !strings.Contains(body, c.contains) {
			t.Errorf("%s %.60s: %d, want %d with %s: %.500s", c.path, c.query, status, c.status, c.contains, body)
		}
	}
}

// TestGraphQL_paging follows cursors while somebody writes.
func TestGraphQL_paging(t *testing.T) {
	base := graphQLHub(t)
	post := func(contentType, body string) string {
		resp, err := http.Post(base+"/$graphql", contentType, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d %v %s", resp.StatusCode, err, b)
		}
		return string(b)
	}
	first := post("application/graphql", `{ObservationConnection(_count: 1, _sort: "_id"){next edges{resource{id}}}}`)
	_, next, _ := strings.Cut(first, `"next":"`)
	next, _, _ = strings.Cut(next, `"`)
	if !strings.Contains(first, `"o1"`) || next == "" {
		t.Fatal(first)
	}
	req, _ := http.NewRequest("DELETE", base+"/Observation/o2", nil)
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.Body.Close() != nil {
		t.Fatal(err)
	}
	second := post("application/json", `{"query":"query($c: String){ObservationConnection(_count: 1, _sort: \"_id\", _cursor: $c){previous next edges{resource{id status}}}}","variables":{"c":"`+next+`"}}`)
	if !strings.Contains(second, `{"id":"o2","status":"amended"}`) || !strings.Contains(second, `"next":null`) {
		t.Errorf("the second page shows another state: %s", second)
	}
}
