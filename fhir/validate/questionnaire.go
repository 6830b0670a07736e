package validate

import "github.com/qihuang-health/qihuang/fhir"

// questionnaire checks that link ids occur once: que-2 without its quadratic
// time, and names the place.
func (w *walk) questionnaire(q fhir.Node) {
	w.linkIDs(q, map[string]bool{})
}

func (w *walk) linkIDs(n fhir.Node, seen map[string]bool) {
	i := 0
	for item := range n.Get("item").Each() {
		w.push("item", i)
		i++
		id := item.Get("linkId")
		if s := id.Str(); s != "" && seen[s] {
			w.reportAt(id, "linkId", finding{code: "invariant", key: "que-2", zh: "linkId 重复：" + quote(s), en: "que-2: the linkId " + quote(s) + " occurs twice"})
		} else {
			seen[s] = true
		}
		w.linkIDs(item, seen)
		w.pop()
	}
}
