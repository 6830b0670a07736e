package tcm

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// refID is the id in a literal reference to a resource of type typ, else "".
func refID(n fhir.Node, typ string) string {
	id, ok := strings.CutPrefix(n.Get("reference").Str(), typ+"/")
	if !ok {
		return ""
	}
	return id
}

// extension returns the first extension of n with that URL.
func extension(n fhir.Node, url string) fhir.Node {
	for e := range n.Get("extension").Children() {
		if e.Get("url").Str() == url {
			return e
		}
	}
	return fhir.Node{}
}

func moneyOf(n fhir.Node, url string) string {
	return extension(n, url).Path("valueMoney", "value").Str()
}

func codingOf(n fhir.Node) Coding {
	return Coding{System: n.Get("system").Str(), Code: n.Get("code").Str(), Display: n.Get("display").Str()}
}

// coded returns the concept's coding of that system, the zero Coding if none.
func coded(concept fhir.Node, system string) Coding {
	for c := range concept.Get("coding").Children() {
		if c.Get("system").Str() == system {
			return codingOf(c)
		}
	}
	return Coding{}
}

// identified returns the value of the identifier whose system starts with prefix.
func identified(n fhir.Node, prefix string) string {
	for id := range n.Get("identifier").Each() {
		if strings.HasPrefix(id.Get("system").Str(), prefix) {
			return id.Get("value").Str()
		}
	}
	return ""
}

var xmlUnescape = strings.NewReplacer("<br/>", "\n", "&lt;", "<", "&gt;", ">", "&amp;", "&")

// plain is the text of a narrative made by this package.
func plain(text fhir.Node) string {
	div := text.Get("div").Str()
	if i := strings.IndexByte(div, '>'); i >= 0 {
		div = div[i+1:]
	}
	return xmlUnescape.Replace(strings.TrimSuffix(div, "</div>"))
}

func visitOf(n fhir.Node) Visit {
	v := Visit{EncounterID: refID(n.Get("encounter"), "Encounter"), PatientID: refID(n.Get("subject"), "Patient")}
	if v.EncounterID == "" {
		v.EncounterID = refID(n.Get("context"), "Encounter")
	}
	return v
}
