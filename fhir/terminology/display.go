package terminology

import "strings"

// ref is one concept of one code system.
type ref struct {
	cs *codeSystem
	c  int32
}

// sources returns everything that describes an item: where it is listed, its
// system, and the system's supplements.
func (st *state) sources(p *part, c int32) []ref {
	list := append(make([]ref, 0, 4), ref{p.cs, c})
	code := p.cs.code(c)
	if p.base != nil {
		if b := p.base.find(code); b >= 0 {
			list = append(list, ref{p.base, b})
		}
	}
	for sup := range st.supplementsOf(p.system) {
		if b := sup.find(code); b >= 0 {
			list = append(list, ref{sup, b})
		}
	}
	return list
}

// languages parses a displayLanguage: one tag, or a list as in Accept-Language.
func languages(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		tag, _, _ := strings.Cut(part, ";")
		if tag = strings.TrimSpace(tag); tag != "" && tag != "*" {
			out = append(out, tag)
		}
	}
	return out
}

func sameLanguage(have, want string) bool { return have != "" && strings.EqualFold(have, want) }

// relatedLanguage compares primary subtags: zh-Hans and zh-CN.
func relatedLanguage(have, want string) bool {
	h, _, _ := strings.Cut(have, "-")
	w, _, _ := strings.Cut(want, "-")
	return sameLanguage(h, w)
}

// display chooses the text of a concept in the best of the languages wished
// for, else as its first source calls it.
func display(list []ref, langs []string) string {
	for _, want := range langs {
		for _, same := range [...]func(string, string) bool{sameLanguage, relatedLanguage} {
			if s := displayIn(list, want, same); s != "" {
				return s
			}
		}
	}
	for _, r := range list {
		if s := r.cs.display(r.c); s != "" {
			return s
		}
	}
	return ""
}

func displayIn(list []ref, want string, same func(have, want string) bool) string {
	for _, r := range list {
		if same(r.cs.language, want) && r.cs.display(r.c) != "" {
			return r.cs.display(r.c)
		}
		for _, d := range r.cs.designationsOf(r.c) {
			if same(r.cs.langs.list[d.lang], want) {
				return d.value
			}
		}
	}
	return ""
}

// called reports whether any source calls the concept so, whatever the case and
// the spaces.
func called(list []ref, text string) bool {
	text = normal(text)
	for _, r := range list {
		if normal(r.cs.display(r.c)) == text {
			return true
		}
		for _, d := range r.cs.designationsOf(r.c) {
			if normal(d.value) == text {
				return true
			}
		}
	}
	return false
}

func normal(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// appendDesignation appends one designation as JSON, its members under the
// names that $expand or, as parts, $lookup uses.
func appendDesignation(dst []byte, cs *codeSystem, d designation) []byte {
	dst = append(dst, '{')
	at := len(dst)
	dst = member(dst, "language", cs.langs.list[d.lang])
	if d.use != "" {
		system, code, _ := strings.Cut(d.use, "|")
		dst = appendCoding(append(dst, `,"use":`...), system, "", code, "")
	}
	dst = member(dst, "value", d.value)
	if len(dst) > at {
		dst = append(dst[:at], dst[at+1:]...)
	}
	return append(dst, '}')
}
