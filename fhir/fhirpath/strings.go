package fhirpath

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"unicode/utf8"
)

// String manipulation: N1 chapter 5.6 and the functions of the 2.1 draft.

// textual makes a function on one string; fn is not called on empty input.
func textual(name string, fn func(f *frame, s string, args []op) (v Value, ok bool, err error)) builtin {
	return func(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
		v, ok, err := single(in, name)
		if err != nil {
			return nil, err
		}
		if len(in) == 1 && (!ok && !in[0].isPrimitive() || ok && v.kind != KindString) {
			if v.isTemporal() && in[0].typ != nil {
				v = String(in[0].node.Str()) // FHIR dates are text to string functions
			} else {
				return nil, evalError("%s() takes a string, not %s", name, in[0].Type())
			}
		}
		if !ok {
			return dst, nil
		}
		v, ok, err = fn(f, v.str, args)
		if err != nil || !ok {
			return dst, err
		}
		if len(v.str) > maxText {
			return nil, errItems
		}
		return append(dst, Item{val: v}), nil
	}
}

// withText is textual for functions of one string argument, empty on empty.
func withText(name string, fn func(s, arg string) Value) builtin {
	return textual(name, func(f *frame, s string, args []op) (Value, bool, error) {
		arg, ok, err := f.text(args[0], "the argument of "+name+"()")
		if err != nil || !ok {
			return Value{}, false, err
		}
		return fn(s, arg), true, nil
	})
}

// plainText is textual for functions without arguments.
func plainText(name string, fn func(s string) Value) builtin {
	return textual(name, func(_ *frame, s string, _ []op) (Value, bool, error) { return fn(s), true, nil })
}

// runes returns the rune position of a byte position.
func runes(s string, at int) Value {
	if at < 0 {
		return Integer(-1)
	}
	return Integer(int64(utf8.RuneCountInString(s[:at])))
}

func textSubstring(f *frame, s string, args []op) (Value, bool, error) {
	start, ok, err := f.integer(args[0], "the start of substring()")
	if err != nil || !ok {
		return Value{}, false, err
	}
	r := []rune(s)
	if start < 0 || start >= int64(len(r)) {
		return Value{}, false, nil
	}
	end := int64(len(r))
	if len(args) == 2 {
		n, ok, err := f.integer(args[1], "the length of substring()")
		if err != nil {
			return Value{}, false, err
		}
		if ok {
			end = start + min(max(0, n), end-start)
		}
	}
	return String(string(r[start:end])), true, nil
}

// pattern compiles a regular expression: Unicode, and a point matches line
// breaks.
func pattern(src string, full bool) (*regexp.Regexp, error) {
	if full {
		src = `\A(?:` + src + `)\z`
	}
	re, err := regexp.Compile("(?s)" + src)
	if err != nil {
		return nil, evalError("regular expression: %v", err)
	}
	return re, nil
}

// patternOp is a regular expression argument, compiled once where constant.
type patternOp struct {
	op
	re *regexp.Regexp
}

func preparePattern(full bool) func(c *compiler, x *expr, o *callOp) (op, error) {
	return func(c *compiler, x *expr, o *callOp) (op, error) {
		if lit, ok := o.args[0].(literalOp); ok && lit.value.kind == KindString {
			re, err := pattern(lit.value.str, full)
			if err != nil {
				return nil, c.fail(x, "%s(): %v", x.name, err)
			}
			o.args[0] = patternOp{lit, re}
		}
		return o, nil
	}
}

func (f *frame) pattern(x op, full bool) (*regexp.Regexp, bool, error) {
	if p, ok := x.(patternOp); ok {
		return p.re, true, nil
	}
	src, ok, err := f.text(x, "a regular expression")
	if err != nil || !ok {
		return nil, false, err
	}
	re, err := pattern(src, full)
	return re, err == nil, err
}

func matcher(full bool) func(f *frame, s string, args []op) (Value, bool, error) {
	return func(f *frame, s string, args []op) (Value, bool, error) {
		re, ok, err := f.pattern(args[0], full)
		if err != nil || !ok {
			return Value{}, false, err
		}
		return Boolean(re.MatchString(s)), true, nil
	}
}

var groupReference = regexp.MustCompile(`\$(\d+)`)

func textReplaceMatches(f *frame, s string, args []op) (Value, bool, error) {
	re, ok, err := f.pattern(args[0], false)
	if err != nil || !ok {
		return Value{}, false, err
	}
	with, ok, err := f.text(args[1], "the substitution of replaceMatches()")
	if err != nil || !ok {
		return Value{}, false, err
	}
	if re.String() == "(?s)" {
		return String(s), true, nil
	}
	return String(re.ReplaceAllString(s, groupReference.ReplaceAllString(with, "$${$1}"))), true, nil
}

func textReplace(f *frame, s string, args []op) (Value, bool, error) {
	from, okFrom, err := f.text(args[0], "the pattern of replace()")
	if err != nil {
		return Value{}, false, err
	}
	with, okWith, err := f.text(args[1], "the substitution of replace()")
	if err != nil || !okFrom || !okWith {
		return Value{}, false, err
	}
	if len(s)*max(1, len(with)) > maxText*4 {
		return Value{}, false, errItems
	}
	return String(strings.ReplaceAll(s, from, with)), true, nil
}

func textEncode(f *frame, s string, args []op) (Value, bool, error) {
	format, ok, err := f.text(args[0], "a format")
	if err != nil || !ok {
		return Value{}, false, err
	}
	switch format {
	case "hex":
		return String(hex.EncodeToString([]byte(s))), true, nil
	case "base64":
		return String(base64.StdEncoding.EncodeToString([]byte(s))), true, nil
	case "urlbase64":
		return String(base64.URLEncoding.EncodeToString([]byte(s))), true, nil
	}
	return Value{}, false, nil
}

func textDecode(f *frame, s string, args []op) (Value, bool, error) {
	format, ok, err := f.text(args[0], "a format")
	if err != nil || !ok {
		return Value{}, false, err
	}
	var b []byte
	switch format {
	case "hex":
		b, err = hex.DecodeString(s)
	case "base64":
		b, err = base64.StdEncoding.DecodeString(s)
	case "urlbase64":
		b, err = base64.URLEncoding.DecodeString(s)
	default:
		return Value{}, false, nil
	}
	return String(string(b)), err == nil, nil
}

func textEscape(f *frame, s string, args []op) (Value, bool, error) {
	format, ok, err := f.text(args[0], "a format")
	if err != nil || !ok {
		return Value{}, false, err
	}
	switch format {
	case "html":
		return String(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)), true, nil
	case "json":
		quoted := string(appendQuoted(nil, s))
		return String(quoted[1 : len(quoted)-1]), true, nil
	}
	return Value{}, false, nil
}

func textUnescape(f *frame, s string, args []op) (Value, bool, error) {
	format, ok, err := f.text(args[0], "a format")
	if err != nil || !ok {
		return Value{}, false, err
	}
	switch format {
	case "html":
		return String(html.UnescapeString(s)), true, nil
	case "json":
		return String(unescapeJSON(s)), true, nil
	}
	return Value{}, false, nil
}

// unescapeJSON resolves the escapes of a JSON string's content; a quote that is
// not escaped stands for itself.
func unescapeJSON(s string) string {
	quoted := []byte{'"'}
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			quoted = append(quoted, '\\')
			i++
		} else if s[i] == '"' {
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, s[i])
	}
	var out string
	if json.Unmarshal(append(quoted, '"'), &out) != nil {
		return s
	}
	return out
}

// fnSplit gives one item per part.
func fnSplit(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	v, ok, err := single(in, "split")
	if err != nil || !ok {
		return dst, err
	}
	sep, ok, err := f.text(args[0], "the separator of split()")
	if err != nil || !ok {
		return dst, err
	}
	for part := range strings.SplitSeq(v.String(), sep) {
		dst = append(dst, Item{val: String(part)})
	}
	return dst, f.grown(dst)
}

// fnToChars gives one item per character.
func fnToChars(f *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	v, ok, err := single(in, "toChars")
	if err != nil || !ok {
		return dst, err
	}
	for _, r := range v.String() {
		dst = append(dst, Item{val: String(string(r))})
	}
	return dst, f.grown(dst)
}

// fnJoinViews is join() of SQL on FHIR: ” for an empty collection.
func fnJoinViews(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	out, err := fnJoin(f, in, args, dst)
	if err == nil && len(out) == len(dst) {
		out = append(out, Item{val: String("")})
	}
	return out, err
}

// fnJoin joins a collection of strings; nothing of an empty one.
func fnJoin(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	sep := ""
	if len(args) == 1 {
		var err error
		if sep, _, err = f.text(args[0], "the separator of join()"); err != nil {
			return nil, err
		}
	}
	if len(in) == 0 {
		return dst, nil
	}
	var b strings.Builder
	for i := range in {
		v, ok := in[i].Value()
		if !ok {
			if in[i].isPrimitive() {
				continue
			}
			return nil, evalError("join() takes strings, not %s", in[i].Type())
		}
		if i > 0 {
			b.WriteString(sep)
		}
		if b.WriteString(v.String()); b.Len() > maxText {
			return nil, errItems
		}
	}
	return append(dst, Item{val: String(b.String())}), nil
}
