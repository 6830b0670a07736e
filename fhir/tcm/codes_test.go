package tcm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir/validate"
)

// TestDiagnosisCodes holds what a diagnosis's profile says of its code: either
// edition, told apart by its shape; a temporary term and a code that no list
// here has are warned of, and words without a code are fine.
func TestDiagnosisCodes(t *testing.T) {
	v := guideValidator(t)
	for _, c := range []struct{ name, profile, kind, code, want string }{
		{"2021_ok", "tcm-disease", Disease, SystemGB2021 + "|A01.01.01", ""},
		{"1995_ok", "tcm-disease", Disease, SystemGB1995 + "|BNF012", ""},
		{"text_ok", "tcm-disease", Disease, "", ""},
		{"syndrome_ok", "tcm-syndrome", Syndrome, SystemGB2021 + "|B02.02.04.01.01.02", ""},
		{"temporary", "tcm-disease", Disease, SystemGB2021 + "|A17.22", "warning tcm-temp"},
		{"unlisted", "tcm-disease", Disease, SystemGB2021 + "|A99.99.99", "warning code-unlisted"},
		{"unlisted_1995", "tcm-syndrome", Syndrome, SystemGB1995 + "|ZXXXX00", "warning code-unlisted"},
		{"old_as_new_bad", "tcm-disease", Disease, SystemGB2021 + "|BNF012", "error tcm-2021"},
		{"new_as_old_bad", "tcm-disease", Disease, SystemGB1995 + "|A01.01.01", "error tcm-1995"},
		{"local", "tcm-disease", Disease, "http://hall|1", "warning binding-extensible"},
	} {
		coding := ""
		if system, code, ok := strings.Cut(c.code, "|"); ok {
			coding = fmt.Sprintf(`"coding":[{"system":%q,"code":%q}],`, system, code)
		}
		n := root(t, []byte(`{"resourceType":"Condition","category":[{"coding":[{"system":"`+SystemDiagnosisKind+`","code":"`+c.kind+`"}]}],"code":{`+coding+`"text":"x"},`+
			`"subject":{"reference":"Patient/1"},"encounter":{"reference":"Encounter/1"}}`))
		var got []string
		for _, is := range v.Validate(t.Context(), n, validate.Options{Level: validate.Full, Profiles: []string{Base + "/StructureDefinition/" + c.profile}}) {
			if strings.HasPrefix(is.Expression, "Condition.code") {
				got = append(got, string(is.Severity)+" "+is.Key)
			}
		}
		if all := strings.Join(got, ", "); !strings.Contains(all, c.want) || c.want == "" && all != "" {
			t.Errorf("%s: %q, wanted %q", c.name, all, c.want)
		}
	}
}
