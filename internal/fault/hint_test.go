package fault

import "testing"

func TestDidYouMean(t *testing.T) {
	names := []string{"birthDate", "gender", "name", "photo"}
	for got, want := range map[string]string{
		"brithDate": `did you mean "birthDate"?`, "BIRTHDATE": `did you mean "birthDate"?`, "nme": `did you mean "name"?`,
		"xyz": "", "": "", "telecom": "",
	} {
		if h := DidYouMean(got, names); h != want {
			t.Errorf("%q: %q, want %q", got, h, want)
		}
	}
}
