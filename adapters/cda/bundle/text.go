package bundle

import (
	"html"
	"regexp"
	"strings"
)

var (
	breaks = regexp.MustCompile(`(?i)<br\s*/?>|</(p|div|li|tr|h[1-6])>`)
	dead   = regexp.MustCompile(`(?is)<(script|style)\b.*?</(script|style)\s*>`)
	tags   = regexp.MustCompile(`<[^>]*>`)
)

// plain is the text of an XHTML narrative.
func plain(div string) string {
	s := dead.ReplaceAllString(div, "")
	s = tags.ReplaceAllString(breaks.ReplaceAllString(s, "\n"), "")
	return strings.TrimSpace(html.UnescapeString(s))
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\n", "<br/>", "\r", "")

// xhtml is plain text as a narrative.
func xhtml(text string) string {
	return `<div xmlns="http://www.w3.org/1999/xhtml">` + escape.Replace(text) + `</div>`
}
