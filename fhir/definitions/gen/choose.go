package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// chooser picks the conformance resources: all of the core, and what their
// bindings need from the other packages.
type chooser struct {
	items      []*item
	have       map[string]fhir.Node // "ValueSet http://…" → resource
	expansions map[string]fhir.Node
	thirdParty map[string]fhir.Node
}

func choose(core, expansions, thirdParty map[string][]fhir.Node) []*item {
	c := &chooser{have: map[string]fhir.Node{}, expansions: byURL(expansions), thirdParty: byURL(thirdParty)}
	for _, typ := range kept {
		for _, r := range core[typ] {
			if typ != "SearchParameter" && typ != "NamingSystem" { // the model has them; R4's two naming systems are examples
				c.take(r)
			}
		}
	}
	for _, sd := range core["StructureDefinition"] {
		for e := range sd.Path("snapshot", "element").Each() {
			c.need("ValueSet", e.Path("binding", "valueSet").Str())
		}
	}
	for i := 0; i < len(c.items); i++ { // the list grows while we look
		it := c.items[i]
		if it.typ == "ValueSet" {
			c.needCompose(c.have["ValueSet "+it.url])
		}
	}
	c.expand(core["StructureDefinition"])
	return c.items
}

func byURL(set map[string][]fhir.Node) map[string]fhir.Node {
	m := map[string]fhir.Node{}
	for typ, list := range set {
		for _, r := range list {
			m[typ+" "+r.Get("url").Str()] = r
		}
	}
	return m
}

func (c *chooser) take(r fhir.Node) {
	url, key := r.Get("url").Str(), r.ResourceType()+" "+r.Get("url").Str()
	if _, ok := c.have[key]; ok || url == "" {
		return
	}
	c.have[key] = r
	c.items = append(c.items, &item{typ: r.ResourceType(), url: url, version: r.Get("version").Str(), json: clean(r)})
}

// need takes a resource from the third-party terminology if the core has none.
func (c *chooser) need(typ, canonical string) {
	url, _, _ := strings.Cut(canonical, "|")
	key := typ + " " + url
	if _, ok := c.have[key]; ok {
		return
	}
	if r, ok := c.thirdParty[key]; ok {
		c.take(r)
		fmt.Println("from terminology package:", key)
	}
}

func (c *chooser) needCompose(vs fhir.Node) {
	for _, part := range []string{"include", "exclude"} {
		for inc := range vs.Path("compose", part).Each() {
			c.need("CodeSystem", inc.Get("system").Str())
			for ref := range inc.Get("valueSet").Each() {
				c.need("ValueSet", ref.Str())
			}
		}
	}
}

// expand adds the published expansion to the value sets of required and
// extensible bindings that cannot be computed from the code systems at hand.
func (c *chooser) expand(sds []fhir.Node) {
	bound := map[string]bool{}
	for _, sd := range sds {
		for e := range sd.Path("snapshot", "element").Each() {
			if s := e.Path("binding", "strength").Str(); s == "required" || s == "extensible" {
				url, _, _ := strings.Cut(e.Path("binding", "valueSet").Str(), "|")
				bound[url] = true
			}
		}
	}
	for _, it := range c.items {
		key := "ValueSet " + it.url
		if it.typ != "ValueSet" || !bound[it.url] || c.computable(c.have[key], 0) {
			continue
		}
		exp := c.expansions[key].Get("expansion")
		if total, ok := exp.Get("total").Int(); exp.Get("extension").Exists() || ok && int(total) != exp.Get("contains").Len() {
			exp = fhir.Node{} // cut short ("too costly"): worse than none
		}
		fmt.Println("not computable:", it.url, "expansion codes:", exp.Get("contains").Len())
		if exp.Exists() && !bytes.Contains(it.json, []byte(`"expansion":`)) {
			var b bytes.Buffer
			b.Write(bytes.TrimSuffix(it.json, []byte("}")))
			b.WriteString(`,"expansion":`)
			writeCompact(&b, exp)
			b.WriteByte('}')
			it.json = b.Bytes()
		}
	}
}

// computable reports whether a value set's codes follow from its compose and the
// kept code systems.
func (c *chooser) computable(vs fhir.Node, depth int) bool {
	if depth > 8 {
		return false
	}
	for inc := range vs.Path("compose", "include").Each() {
		if inc.Get("concept").Len() > 0 {
			continue
		}
		if sys := inc.Get("system").Str(); sys != "" {
			cs := c.have["CodeSystem "+sys]
			if cs.Get("content").Str() != "complete" || cs.Get("concept").Len() == 0 {
				return false
			}
		}
		for _, ref := range slices.Collect(inc.Get("valueSet").Each()) {
			url, _, _ := strings.Cut(ref.Str(), "|")
			if !c.computable(c.have["ValueSet "+url], depth+1) {
				return false
			}
		}
	}
	return true
}
