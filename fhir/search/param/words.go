package param

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/text"
)

// MaxWord is how many bytes of a word a key holds.
const MaxWord = 32

// words emits the words of the narrative (_text) or of the whole resource
// (_content).
func (x *Reader) words(p *Param) {
	emit := func(w string) {
		x.start(p, key.Word)
		x.buf = key.AppendText(x.buf, text.Cut(w, MaxWord))
		x.end()
	}
	switch {
	case p.Code == "_text":
		text.Words(plain(x.res.Path("text", "div").Str()), emit)
	case p.Code == "_content" && x.c.cfg.Content:
		x.content(x.res, emit)
	}
}

// content yields the words of every text meant for people below n.
func (x *Reader) content(n fhir.Node, emit func(string)) {
	for c := n.First(); c.Exists(); c = c.Next() {
		switch c.Kind() {
		case fhir.Object, fhir.Array:
			if c.Key() != "meta" {
				x.content(c, emit)
			}
		case fhir.String:
			k := c.Key()
			if k == "" {
				k = n.Key() // an item of an array
			}
			if readable(k) {
				s := c.Str()
				if k == "div" {
					s = plain(s)
				}
				text.Words(s, emit)
			}
		}
	}
}

// readable tells the members that hold text for people from codes, links,
// times and other machine values.
func readable(member string) bool {
	switch member {
	case "text", "display", "div", "title", "name", "description", "family", "given", "prefix", "suffix", "line", "city",
		"district", "state", "country", "valueString", "valueMarkdown", "comment", "note", "summary", "conclusion",
		"patientInstruction", "instructions", "purpose", "definition", "detail", "subtitle", "alias", "publisher":
		return true
	}
	return strings.HasSuffix(member, "String") || strings.HasSuffix(member, "Text")
}

// plain takes the tags from a narrative.
func plain(div string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(div, '<')
		if i < 0 {
			b.WriteString(div)
			return entities.Replace(b.String())
		}
		b.WriteString(div[:i])
		b.WriteByte(' ')
		j := strings.IndexByte(div[i:], '>')
		if j < 0 {
			return entities.Replace(b.String())
		}
		div = div[i+j+1:]
	}
}

var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&quot;", `"`, "&apos;", "'", "&nbsp;", " ", "&#160;", " ")
