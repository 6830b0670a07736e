package operation_test

import (
	"strconv"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	do := hub(t)
	for i, rest := range []string{
		`"identifier":[{"system":"urn:id","value":"1"}],"name":[{"text":"李明"}],"birthDate":"1970-01-01","gender":"male"`,
		`"name":[{"family":"李","given":["明"]}],"birthDate":"1970-01-01","telecom":[{"system":"phone","value":"13"}]`,
		`"name":[{"text":"李明"}],"birthDate":"1980-01-01"`,
		`"name":[{"text":"王"}],"telecom":[{"system":"phone","value":"13"}]`,
	} {
		id := strconv.Itoa(i)
		if status, n := do("PUT /Patient/m"+id, `{"resourceType":"Patient","id":"m`+id+`",`+rest+`}`); status != 201 {
			t.Fatalf("%d %s", status, n.Raw())
		}
	}
	ask := func(patient, more string) string {
		status, n := do("POST /Patient/$match", `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient",`+patient+`}}`+more+`]}`)
		if status != 200 {
			t.Fatalf("%d %s", status, n.Raw())
		}
		var out []string
		for e := range n.Get("entry").Each() {
			out = append(out, e.Path("resource", "id").Str()+" "+e.Path("search", "extension").First().Get("valueCode").Str()+" "+string(e.Path("search", "score").Raw()))
		}
		return strings.Join(out, ", ")
	}
	for _, c := range []struct{ patient, more, want string }{
		{`"identifier":[{"system":"urn:id","value":"1"}]`, "", "m0 certain 1.00"},
		{`"identifier":[{"system":"urn:other","value":"1"}]`, "", ""},
		{`"name":[{"text":"李明"}],"birthDate":"1970-01-01","gender":"male"`, "", "m0 probable 0.75, m1 probable 0.70"},
		{`"name":[{"text":"李 明"}],"birthDate":"1970-01-01","telecom":[{"system":"phone","value":"13"}]`, "", "m1 probable 0.85, m0 probable 0.70"},
		{`"name":[{"text":"李 明"}],"birthDate":"1970-01-01","telecom":[{"system":"phone","value":"13"}]`, `,{"name":"count","valueInteger":1}`, "m1 probable 0.85"},
		{`"name":[{"text":"李明"}],"birthDate":"1970-01-01"`, `,{"name":"onlyCertainMatches","valueBoolean":true}`, ""},
		{`"name":[{"text":"a|b,c$"}],"birthDate":"1970-01-01"`, "", ""},
	} {
		if got := ask(c.patient, c.more); got != c.want {
			t.Errorf("%s%s: %q, want %q", c.patient, c.more, got, c.want)
		}
	}
	if status, _ := do("POST /Patient/$match", `{"resourceType":"Parameters"}`); status != 400 {
		t.Errorf("without a patient: %d", status)
	}
}
