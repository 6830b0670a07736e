package validate

import (
	"context"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
)

// questionnaires is a Resources of one Questionnaire.
type questionnaires struct{ n fhir.Node }

func (q questionnaires) ByCanonical(_ context.Context, typ, canonical string) (fhir.Node, bool) {
	return q.n, typ == "Questionnaire" && canonical == q.n.Get("url").Str()
}

const constitution = `{"resourceType":"Questionnaire","url":"http://t/q","status":"active","item":[
{"linkId":"1","type":"group","text":"体质","item":[
 {"linkId":"1.1","type":"choice","required":true,"answerOption":[{"valueCoding":{"system":"http://s","code":"a"}},{"valueCoding":{"system":"http://s","code":"b"}}],
  "item":[{"linkId":"1.1.1","type":"string","maxLength":3}]},
 {"linkId":"1.2","type":"integer"},{"linkId":"1.3","type":"string","required":true,"enableWhen":[{"question":"1.1","operator":"exists","answerBoolean":true}]}]},
{"linkId":"2","type":"choice","answerValueSet":"http://hl7.org/fhir/ValueSet/administrative-gender"},{"linkId":"3","type":"string","repeats":true}]}`

func TestQuestionnaireResponse(t *testing.T) {
	tree, err := fhir.Parse([]byte(constitution))
	if err != nil {
		t.Fatal(err)
	}
	base := validator(t)
	v := New(base.model, base.fp, base.terms, WithResources(questionnaires{tree.Root()}))
	group := func(items string) string { return `{"linkId":"1","item":[` + items + `]}` }
	const a = `{"linkId":"1.1","answer":[{"valueCoding":{"system":"http://s","code":"a"}}]}`
	for _, c := range []struct{ name, items, want string }{
		{"ok", group(a+`,{"linkId":"1.2","answer":[{"valueInteger":1}]}`) + `,{"linkId":"3","answer":[{"valueString":"x"},{"valueString":"y"}]}`, ""},
		{"required_bad", group(`{"linkId":"1.2","answer":[{"valueInteger":1}]}`), "answer-required@QuestionnaireResponse.item[0].item"},
		{"unknown_bad", group(a) + `,{"linkId":"9"}`, "answer-unknown@QuestionnaireResponse.item[1].linkId"},
		{"level_bad", group(a) + `,{"linkId":"1.2"}`, "answer-unknown@QuestionnaireResponse.item[1].linkId"},
		{"type_bad", group(a + `,{"linkId":"1.2","answer":[{"valueString":"1"}]}`), "answer-type@QuestionnaireResponse.item[0].item[1].answer[0].value"},
		{"option_bad", group(strings.Replace(a, `"code":"a"`, `"code":"c"`, 1)), "answer-option@QuestionnaireResponse.item[0].item[0].answer[0].value"},
		{"value_set_bad", group(a) + `,{"linkId":"2","answer":[{"valueCoding":{"system":"http://hl7.org/fhir/administrative-gender","code":"mail"}}]}`, "code-unknown@QuestionnaireResponse.item[1].answer[0].value.code answer-option@QuestionnaireResponse.item[1].answer[0].value"},
		{"repeats_bad", group(a + `,{"linkId":"1.2","answer":[{"valueInteger":1},{"valueInteger":2}]}`), "answer-repeats@QuestionnaireResponse.item[0].item[1].answer"},
		{"twice_bad", group(a) + `,` + group(a), "answer-repeats@QuestionnaireResponse.item"},
		{"group_answer_bad", `{"linkId":"1","answer":[{"valueString":"x"}],"item":[` + a + `]}`, "answer-not-allowed@QuestionnaireResponse.item[0].answer qrs-1@QuestionnaireResponse.item[0]"},
		{"nested_ok", group(strings.Replace(a, `}}]}`, `},"item":[{"linkId":"1.1.1","answer":[{"valueString":"abc"}]}]}]}`, 1)), ""},
		{"nested_long_bad", group(strings.Replace(a, `}}]}`, `},"item":[{"linkId":"1.1.1","answer":[{"valueString":"abcd"}]}]}]}`, 1)), "too-long@QuestionnaireResponse.item[0].item[0].answer[0].item[0].answer[0].value"},
	} {
		res := `{"resourceType":"QuestionnaireResponse","questionnaire":"http://t/q","status":"completed","item":[` + c.items + `]}`
		got := errorsOf(check(t, v, res, Options{Level: Full}))
		if !sameSet(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// sameSet compares space-separated lists in any order.
func sameSet(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	for _, s := range x {
		if !strings.Contains(" "+b+" ", " "+s+" ") {
			return false
		}
	}
	return len(x) == len(y)
}
