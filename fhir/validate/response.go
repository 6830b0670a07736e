package validate

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Resources finds resources by canonical url that are stored somewhere and not
// part of the validator: Questionnaires that responses answer.
type Resources interface {
	// ByCanonical returns the resource; ok is false if it is not known.
	ByCanonical(ctx context.Context, typ, canonical string) (n fhir.Node, ok bool)
}

// response checks a QuestionnaireResponse against its Questionnaire, if that is
// contained, in the same Bundle, or known
// (http://hl7.org/fhir/R4/questionnaireresponse.html).
func (w *walk) response(r fhir.Node) {
	ref := r.Get("questionnaire").Str()
	if ref == "" {
		return
	}
	q := w.questionnaireOf(ref)
	if q.ResourceType() != "Questionnaire" {
		return // nobody here can tell
	}
	done := r.Get("status").Str() == "completed" || r.Get("status").Str() == "amended"
	a := answers{walk: w, done: done}
	a.items(r, q, true)
}

func (w *walk) questionnaireOf(ref string) fhir.Node {
	if id, ok := strings.CutPrefix(ref, "#"); ok {
		return w.contained(id)
	}
	url := fhir.ParseCanonical(ref).URL
	for e := range w.scope.bundle.Get("entry").Each() {
		if q := e.Get("resource"); q.ResourceType() == "Questionnaire" && q.Get("url").Str() == url {
			return q
		}
	}
	if w.v.resources != nil {
		if q, ok := w.v.resources.ByCanonical(w.ctx, "Questionnaire", ref); ok {
			return q
		}
	}
	return fhir.Node{}
}

// answers walks a response beside its questionnaire.
type answers struct {
	*walk
	done bool // the response claims to be complete
}

// items checks the items of one level; enabled is false below a question that
// depends on others.
func (a *answers) items(r, q fhir.Node, enabled bool) {
	questions := map[string]fhir.Node{}
	var order []string
	for item := range q.Get("item").Each() {
		id := item.Get("linkId").Str()
		questions[id] = item
		order = append(order, id)
	}
	count, last, i := map[string]int{}, 0, 0
	for item := range r.Get("item").Each() {
		a.push("item", i)
		id := item.Get("linkId")
		question, ok := questions[id.Str()]
		if !ok {
			a.reportAt(id, "linkId", finding{code: "not-found", key: "answer-unknown", zh: "问卷此处没有 linkId " + quote(id.Str()), en: "the questionnaire has no linkId " + quote(id.Str()) + " here",
				hint: fault.DidYouMean(id.Str(), order)})
		} else {
			if at := slices.Index(order, id.Str()); at < last {
				a.report(item, finding{severity: "warning", code: "structure", key: "answer-order", zh: "条目顺序与问卷不同", en: "the items are not in the order of the questionnaire"})
			} else {
				last = at
			}
			count[id.Str()]++
			a.item(item, question, enabled && !question.Get("enableWhen").Exists())
		}
		a.pop()
		i++
	}
	a.counts(r, questions, order, count, enabled)
}

// counts checks required and repeats of one level.
func (a *answers) counts(r fhir.Node, questions map[string]fhir.Node, order []string, count map[string]int, enabled bool) {
	for _, id := range order {
		q := questions[id]
		required, _ := q.Get("required").Bool()
		repeats, _ := q.Get("repeats").Bool()
		if required && a.done && enabled && count[id] == 0 && !q.Get("enableWhen").Exists() {
			a.reportAt(r, "item", finding{code: "required", key: "answer-required", zh: "必答问题没有回答：" + quote(id) + " " + q.Get("text").Str(), en: "the required question " + quote(id) + " is not answered"})
		}
		if count[id] > 1 && !repeats {
			a.reportAt(r, "item", finding{code: "structure", key: "answer-repeats", zh: "条目不可重复：" + quote(id), en: "the item " + quote(id) + " does not repeat"})
		}
	}
}

// item checks one item with its answers.
func (a *answers) item(item, q fhir.Node, enabled bool) {
	typ, list := q.Get("type").Str(), item.Get("answer")
	if typ == "group" || typ == "display" {
		if list.Exists() {
			a.reportAt(list, "answer", finding{code: "structure", key: "answer-not-allowed", zh: typ + " 条目不能有答案", en: "a " + typ + " takes no answer"})
		}
		a.items(item, q, enabled)
		return
	}
	if item.Get("item").Exists() {
		a.reportAt(item.Get("item"), "item", finding{code: "structure", key: "answer-nesting", zh: "问题的子条目应放在 answer.item 中", en: "the items below a question belong into answer.item"})
	}
	if required, _ := q.Get("required").Bool(); required && a.done && enabled && list.Len() == 0 {
		a.reportAt(item, "answer", finding{code: "required", key: "answer-required", zh: "必答问题没有回答", en: "the required question is not answered"})
	}
	if repeats, _ := q.Get("repeats").Bool(); !repeats && list.Len() > 1 {
		a.reportAt(list, "answer", finding{code: "structure", key: "answer-repeats", zh: "该问题只能有一个答案", en: "the question takes one answer"})
	}
	i := 0
	for answer := range list.Each() {
		a.push("answer", i)
		a.answer(answer, q, typ)
		a.items(answer, q, enabled)
		a.pop()
		i++
	}
}

// answer checks the type and the value of one answer.
func (a *answers) answer(answer, q fhir.Node, typ string) {
	for v := answer.First(); v.Exists(); v = v.Next() {
		key := v.Key()
		if !strings.HasPrefix(key, "value") {
			continue
		}
		if !slices.Contains(answerMembers(typ), key) {
			a.reportAt(v, "value", finding{code: "structure", key: "answer-type", zh: "问题类型是 " + typ + "，答案不能是 " + key, en: "the question is of type " + typ + ": " + key + " is not an answer", hint: strings.Join(answerMembers(typ), " or ")})
			return
		}
		if most, ok := q.Get("maxLength").Int(); ok && v.Kind() == fhir.String && len([]rune(v.Str())) > int(most) {
			n := strconv.FormatInt(most, 10)
			a.reportAt(v, "value", finding{code: "value", key: "too-long", zh: "答案长度不能超过 " + n, en: "the answer is longer than " + n})
		}
		a.option(v, q, typ)
	}
}

// answerMembers are the members an answer to a type of question may have.
func answerMembers(typ string) []string {
	switch typ {
	case "string", "text":
		return []string{"valueString"}
	case "url":
		return []string{"valueUri"}
	case "choice":
		return []string{"valueCoding", "valueString", "valueInteger", "valueDate", "valueTime", "valueReference"} // as answerOption says
	case "open-choice":
		return []string{"valueCoding", "valueString", "valueInteger", "valueDate", "valueTime", "valueReference"}
	case "":
		return nil
	}
	return []string{"value" + strings.ToUpper(typ[:1]) + typ[1:]}
}

// option checks that a choice is one of those offered.
func (a *answers) option(v, q fhir.Node, typ string) {
	if typ != "choice" && typ != "open-choice" || typ == "open-choice" && v.Key() == "valueString" {
		return
	}
	options := q.Get("answerOption")
	for o := range options.Each() {
		if sameAnswer(o.Get(v.Key()), v) {
			return
		}
	}
	set := q.Get("answerValueSet").Str()
	switch {
	case options.Exists():
	case set != "" && v.Key() == "valueCoding" && a.v.terms != nil && !strings.HasPrefix(set, "#"):
		if verdict, _ := a.codingIn(v, set); verdict != terminology.No {
			return
		}
	default:
		return
	}
	a.reportAt(v, "value", finding{code: "code-invalid", key: "answer-option", zh: "答案不在可选项之中", en: "the answer is none of the options"})
}

// sameAnswer compares Codings by system and code, other values as they are.
func sameAnswer(option, v fhir.Node) bool {
	if v.Kind() != fhir.Object {
		return option.Exists() && equal(option, v)
	}
	if ref := v.Get("reference"); ref.Exists() {
		return option.Get("reference").Str() == ref.Str()
	}
	return option.Get("code").Str() == v.Get("code").Str() && option.Get("system").Str() == v.Get("system").Str() && option.Exists()
}
