package search

import (
	"bytes"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/path"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/fhir/search/text"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// modifiers lists what may stand behind the colon for a type of parameter.
func modifiers(k param.Kind) []string {
	switch k {
	case param.Token:
		return []string{"missing", "text", "not", "in", "not-in", "above", "below", "of-type"}
	case param.Reference:
		return []string{"missing", "identifier", "[Type]", "above", "below"}
	case param.String:
		return []string{"missing", "exact", "contains", "text"}
	case param.URI:
		return []string{"missing", "above", "below"}
	}
	return []string{"missing"}
}

// clause turns one parameter with its values into a condition. Commas are
// alternatives.
func (b *builder) clause(t *param.Table, p *param.Param, modifier, value string) (*node, error) {
	if modifier == "missing" {
		return b.missing(t, p, value)
	}
	if value == "" {
		return nil, badValue(p, value, "缺少值", "the value is empty")
	}
	values := query.Split(value, ',')
	if len(values) > query.MaxValues {
		return nil, costly("检索参数 "+p.Code+" 的值过多", "too many values of "+p.Code, "请分批检索 (search in parts)")
	}
	if p.Kind == param.Token && (modifier == "not" || modifier == "not-in") {
		return b.negated(t, p, modifier, values)
	}
	if !p.Valued() {
		return b.worded(t, p, modifier, values)
	}
	n := &node{op: opLeaf, typ: t, leaf: &leaf{param: p}}
	for _, v := range values {
		if err := b.value(n.leaf, modifier, v); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (b *builder) negated(t *param.Table, p *param.Param, modifier string, values []string) (*node, error) {
	positive := ""
	if modifier == "not-in" {
		positive = "in"
	}
	n := &node{op: opLeaf, typ: t, leaf: &leaf{param: p}}
	for _, v := range values {
		if err := b.value(n.leaf, positive, v); err != nil {
			return nil, err
		}
	}
	return not(n), nil
}

// missing finds resources with or without any value.
func (b *builder) missing(t *param.Table, p *param.Param, value string) (*node, error) {
	if value != "true" && value != "false" {
		return nil, badValue(p, value, ":missing 只能是 true 或 false", ":missing takes true or false")
	}
	n := &node{op: opLeaf, typ: t, leaf: &leaf{param: p}, bits: true}
	if p.Bit < 0 {
		n.bits = false
		n.leaf.spans = []span{exactly(p.Prefix(key.Present))}
		if value == "true" {
			return not(n), nil
		}
		return n, nil
	}
	want := value == "false"
	n.leaf.spans = []span{listed(t, func(bits []byte) bool {
		has := p.Bit/8 < len(bits) && bits[p.Bit/8]&(1<<(p.Bit%8)) != 0
		return has == want
	})}
	return n, nil
}

// value adds the spans of one alternative.
func (b *builder) value(l *leaf, modifier, v string) error {
	p := l.param
	switch p.Kind {
	case param.Token:
		return b.token(l, modifier, v)
	case param.Reference:
		return b.reference(l, modifier, v)
	case param.String:
		return b.text(l, modifier, v)
	case param.URI:
		return b.uri(l, key.URI, modifier, query.Unescape(v))
	}
	if modifier != "" {
		return badModifier(p, modifier)
	}
	switch p.Kind {
	case param.Date, param.Number:
		boxes, err := b.boxes(p, v)
		for _, box := range boxes {
			l.spans = append(l.spans, boxSpans(p, nil, box, shortest(p.Kind))...)
		}
		return err
	case param.Quantity:
		return b.quantity(l, v)
	case param.Composite:
		return b.composite(l, v)
	}
	return b.near(l, v)
}

// shortest is how long an interval of a kind may be to stand among the short.
func shortest(k param.Kind) uint64 {
	if k == param.Date {
		return key.ShortDate
	}
	return 0
}

// coded is a token value: system|code, |code, code or system|.
type coded struct {
	system, code string
	bar          bool // there was a bar: an empty system means none
}

func parseCoded(v string) coded {
	parts := query.Split(v, '|')
	if len(parts) == 1 {
		return coded{code: query.Unescape(parts[0])}
	}
	return coded{query.Unescape(parts[0]), query.Unescape(strings.Join(parts[1:], "|")), true}
}

func (b *builder) token(l *leaf, modifier, v string) error {
	p := l.param
	c := parseCoded(v)
	switch modifier {
	case "":
		if c.code == "" && c.system == "" {
			return badValue(p, v, "缺少代码", "there is no code")
		}
		b.coded(l, c)
		return nil
	case "text":
		s := text.Cut(text.Fold(query.Unescape(v)), param.MaxText)
		l.spans = append(l.spans, behind(key.AppendStem(p.Prefix(key.Label), s), key.PrefixLen, 0))
		return nil
	case "of-type":
		return b.ofType(l, v)
	case "in", "above", "below":
		return b.concepts(l, modifier, c, query.Unescape(v))
	}
	return badModifier(p, modifier)
}

// coded adds the spans of a plain token. A code element has no system of its
// own: the one its value set implies matches too.
func (b *builder) coded(l *leaf, c coded) {
	p := l.param
	code := text.Cut(c.code, param.MaxText)
	switch {
	case !c.bar:
		l.spans = append(l.spans, behind(key.AppendText(p.Prefix(key.Token), code), key.PrefixLen, key.HashLen))
	case code == "":
		h := key.Hash(c.system)
		l.spans = append(l.spans, exactly(append(p.Prefix(key.System), h[:]...)))
	default:
		l.spans = append(l.spans, exactly(key.AppendToken(p.Prefix(key.Token), c.system, code)))
		if c.system != "" && p.Binding != "" && b.e.cat.Implies(p.Binding, c.system) {
			l.spans = append(l.spans, exactly(key.AppendToken(p.Prefix(key.Token), "", code)))
		}
	}
}

func (b *builder) ofType(l *leaf, v string) error {
	parts := query.Split(v, '|')
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return badValue(l.param, v, ":of-type 的形式是 系统|类型代码|值", ":of-type takes system|code|value")
	}
	h := key.Hash(query.Unescape(parts[0]), query.Unescape(parts[1]))
	prefix := key.AppendText(l.param.Prefix(key.OfType), text.Cut(query.Unescape(parts[2]), param.MaxText))
	l.spans = append(l.spans, exactly(append(prefix, h[:]...)))
	return nil
}

// concepts adds the codes that terminology gives for :in, :above and :below.
func (b *builder) concepts(l *leaf, modifier string, c coded, whole string) error {
	terms := b.terms
	if terms == nil {
		return invalid("no-terminology", "本服务器未接入术语服务，不支持修饰符 :"+modifier,
			"modifier :"+modifier+" needs the terminology service, which is not connected", "")
	}
	n := 0
	add := func(system, code string) bool {
		b.coded(l, coded{system, code, true})
		n++
		return n <= query.MaxValues
	}
	var err error
	switch modifier {
	case "in":
		err = terms.Members(b.ctx, whole, add)
	case "below":
		err = terms.Below(b.ctx, c.system, c.code, func(code string) bool { return add(c.system, code) })
	default:
		err = terms.Above(b.ctx, c.system, c.code, func(code string) bool { return add(c.system, code) })
	}
	if fault.Is(err, fault.NotFound) { // not the resource searched for, but what the query names
		e := fault.New(fault.Invalid, "%s", err.Error())
		e.Issues = fault.IssuesOf(err)
		return e
	}
	if err == nil && n > query.MaxValues {
		return costly("值集展开后代码过多", "the value set has too many codes for a search", "请使用更小的值集 (use a smaller value set)")
	}
	return err
}

func (b *builder) reference(l *leaf, modifier, v string) error {
	p := l.param
	s := query.Unescape(v)
	switch modifier {
	case "":
	case "identifier":
		c := parseCoded(v)
		prefix := key.AppendText(p.Prefix(key.RefIdent), text.Cut(c.code, param.MaxText))
		if c.bar {
			h := key.Hash(c.system)
			l.spans = append(l.spans, exactly(append(prefix, h[:]...)))
		} else {
			l.spans = append(l.spans, behind(prefix, key.PrefixLen, key.HashLen))
		}
		return nil
	case "above", "below":
		if typ, id := b.resource(p, s); typ != "" {
			return b.hierarchy(l, modifier, typ, id)
		}
		return b.uri(l, key.Canonical, modifier, s)
	default:
		if b.e.cat.Types[modifier] == nil {
			return badModifier(p, modifier)
		}
		if typ, id := path.Split(s); typ == modifier {
			s = id
		}
		l.spans = append(l.spans, b.to(p, modifier, s))
		return nil
	}
	typ, id := b.target(s)
	if typ != "" {
		l.spans = append(l.spans, b.to(p, typ, id))
	}
	if typ == "" && strings.ContainsAny(s, ":/|") || p.Canonical {
		l.spans = append(l.spans, exactly(key.AppendText(p.Prefix(key.Canonical), text.Cut(s, 2*param.MaxText))))
	}
	if typ != "" || strings.ContainsAny(s, ":/|") {
		return nil
	}
	for _, typ := range b.e.cat.Targets(p) {
		l.spans = append(l.spans, b.to(p, typ, s))
	}
	return nil
}

// target returns the resource of ours that a reference in the query names.
func (b *builder) target(ref string) (typ, id string) {
	if b.base != "" {
		ref = strings.TrimPrefix(ref, strings.TrimSuffix(b.base, "/")+"/")
	}
	return b.e.cat.Target(ref)
}

// to spans the references to one resource.
func (b *builder) to(p *param.Param, typ, id string) span {
	return exactly(param.AppendTarget(p.Prefix(key.Ref), typ, id))
}

func (b *builder) text(l *leaf, modifier, v string) error {
	p := l.param
	raw := query.Unescape(v)
	folded := text.Fold(raw)
	s := text.Cut(folded, param.MaxText)
	if s == "" {
		return badValue(p, v, "缺少文字", "there is no text")
	}
	switch modifier {
	case "", "text":
		l.spans = append(l.spans, behind(key.AppendStem(p.Prefix(key.String), s), key.PrefixLen, 0))
		if latin, ok := text.Latin(s); ok {
			l.spans = append(l.spans, behind(key.AppendStem(p.Prefix(key.Pinyin), latin), key.PrefixLen, 0))
		}
		l.also(p, len(folded) > len(s), func(v string) bool { return strings.HasPrefix(text.Fold(v), folded) })
	case "exact":
		l.spans = append(l.spans, exactly(key.AppendText(p.Prefix(key.String), s)))
		l.also(p, true, func(v string) bool { return v == raw })
	case "contains":
		l.spans = append(l.spans, contains(p, folded))
		l.also(p, true, func(v string) bool { return strings.Contains(text.Fold(v), folded) })
	default:
		return badModifier(p, modifier)
	}
	return nil
}

// contains spans the strings that hold s somewhere; one that was cut may.
func contains(p *param.Param, s string) span {
	prefix := p.Prefix(key.String)
	within := key.AppendStem(nil, text.Cut(s, param.MaxText))
	return span{lower: prefix, upper: key.Next(prefix), cut: func(k []byte) ([]byte, bool) {
		v, id, ok := key.CutText(k[key.PrefixLen:])
		return id, ok && (bytes.Contains(v, within) || len(v) > param.MaxText-4)
	}}
}

// also makes the strings of the resource itself decide too, if that is strictly
// needed for some alternative.
func (l *leaf) also(p *param.Param, strict bool, fits func(string) bool) {
	l.strict = l.strict || strict
	l.tests = append(l.tests, func(x *param.Reader) bool {
		return x.Values(p, func(typ string, n fhir.Node) bool {
			found := false
			param.EachString(typ, n, func(s string) { found = found || fits(s) })
			return found
		})
	})
}

// uri adds a uri or canonical: itself, what lies below it, or what it lies below.
func (b *builder) uri(l *leaf, space key.Space, modifier, s string) error {
	p := l.param
	one := func(s string) {
		l.spans = append(l.spans, exactly(key.AppendText(p.Prefix(space), text.Cut(s, 2*param.MaxText))))
	}
	switch modifier {
	case "":
		one(s)
	case "below":
		one(s)
		if stem := strings.TrimSuffix(s, "/"); stem != "" {
			l.spans = append(l.spans, behind(key.AppendStem(p.Prefix(space), stem+"/"), key.PrefixLen, 0))
		}
	case "above":
		for one(s); ; one(s) {
			i := strings.LastIndexByte(strings.TrimSuffix(s, "/"), '/')
			if i <= 0 || s[i-1] == '/' || s[i-1] == ':' {
				return nil
			}
			one(s[:i+1])
			s = s[:i]
		}
	default:
		return badModifier(p, modifier)
	}
	return nil
}
