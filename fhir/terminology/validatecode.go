package terminology

import (
	"context"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Validation is the answer of $validate-code.
type Validation struct {
	Result                         bool
	System, Version, Code, Display string // the code that decided, as its system knows it
	Issues                         []fault.Issue
}

// message joins the issues' Chinese texts.
func (v *Validation) message() string {
	var list []string
	for _, is := range v.Issues {
		list = append(list, is.Text)
	}
	return strings.Join(list, "；")
}

// codeCheck is the input of a check, from any face.
type codeCheck struct {
	codings  []coding
	langs    []string
	abstract bool // abstract codes are fine
}

// ValidateCode checks one code against a value set, or against its code system
// if valueSet is empty. Errors: fault.NotFound for an unknown value set.
func (s *Service) ValidateCode(_ context.Context, valueSet, system, code, display string) (Validation, error) {
	st := s.state.Load()
	in := codeCheck{codings: []coding{{system: system, code: code, display: display}}, abstract: true}
	if valueSet == "" {
		return st.checkSystem("", "", nil, in), nil
	}
	x, err := st.expansion(valueSet, 0)
	if err != nil {
		return Validation{}, err
	}
	if x == nil {
		return Validation{}, notFound("value set", valueSet)
	}
	return st.checkSet(x, valueSet, in), nil
}

// checkSet holds when any of the codings is in the value set, with the right
// display.
func (st *state) checkSet(x *expansion, canonical string, in codeCheck) Validation {
	var v Validation
	for _, c := range in.codings {
		one := Validation{System: c.system, Code: c.code}
		switch x.has(c.system, c.code) {
		case Yes:
			one.Result = true
			st.describe(&one, x, c, in)
		case Unknown:
			one.fail("not-found", "code-unverifiable", "无法判断编码 "+c.text()+" 是否属于值集："+canonical+"（所需编码系统未加载）",
				"cannot tell whether "+c.text()+" is in the value set "+canonical+": its code system is not loaded")
		default:
			one.fail("code-invalid", "code-not-in-value-set", "编码 "+c.text()+" 不属于值集 "+canonical,
				"the code "+c.text()+" is not in the value set "+canonical)
			if c.system != "" && st.systemVerdict(c.system, c.code) == No {
				one.fail("code-invalid", "code-unknown", "编码系统 "+c.system+" 中没有编码 "+c.code,
					"the code system "+c.system+" has no code "+c.code)
			}
		}
		if one.Result {
			return one
		}
		v = one.after(v)
	}
	return v
}

// after keeps the earlier findings before the later.
func (v Validation) after(earlier Validation) Validation {
	v.Issues = append(earlier.Issues, v.Issues...)
	return v
}

func (v *Validation) fail(code, key, zh, en string) {
	v.Result = false
	v.Issues = append(v.Issues, fault.Issue{Severity: "error", Code: code, Key: key, Text: zh, TextEN: en})
}

func (c coding) text() string {
	if c.system == "" {
		return c.code
	}
	return c.system + "#" + c.code
}

// describe fills in the code's words and checks what the caller called it.
func (st *state) describe(v *Validation, x *expansion, c coding, in codeCheck) {
	it, ok := x.find(c.system, c.code)
	if !ok {
		if g := grammarOf(c.system); g != nil {
			v.Display = g.display(c.code)
		}
		return
	}
	p := &x.parts[it.part]
	v.System, v.Version, v.Code = p.system, p.version, x.code(it)
	st.words(v, st.sources(p, it.concept), c, in)
}

// words sets the display and compares it, and notes inactive and abstract codes.
func (st *state) words(v *Validation, list []ref, c coding, in codeCheck) {
	v.Display = display(list, in.langs)
	last := list[len(list)-1]
	for _, r := range list {
		if r.cs.content != "listed" && r.cs.content != "supplement" {
			last = r
		}
	}
	if last.cs.has(last.c, flagInactive) {
		v.Issues = append(v.Issues, fault.Issue{Severity: "warning", Code: "business-rule", Key: "code-inactive",
			Text: "编码 " + c.text() + " 已停用", TextEN: "the code " + c.text() + " is inactive"})
	}
	if !in.abstract && last.cs.has(last.c, flagAbstract) {
		v.fail("business-rule", "code-abstract", "编码 "+c.text()+" 是抽象类目，不能直接使用", "the code "+c.text()+" is abstract")
	}
	if c.display != "" && v.Display != "" && !called(list, c.display) {
		v.fail("invalid", "display-wrong", "显示名“"+c.display+"”与编码 "+c.text()+" 不符，应为“"+v.Display+"”",
			"wrong display \""+c.display+"\" for "+c.text()+": it is \""+v.Display+"\"")
	}
}

func (st *state) systemVerdict(system, code string) Verdict {
	if g := grammarOf(system); g != nil {
		if g.valid(code) {
			return Yes
		}
		return No
	}
	cs := st.codeSystem(system, "")
	if cs == nil || cs.find(code) < 0 && !cs.complete() {
		return Unknown
	}
	if cs.find(code) < 0 {
		return No
	}
	return Yes
}

// checkSystem holds when any of the codings is a code of the system: of given
// (an inline resource), else of url, else of the coding's own.
func (st *state) checkSystem(url, version string, given *codeSystem, in codeCheck) Validation {
	var v Validation
	for _, c := range in.codings {
		if c.system == "" {
			c.system = url
		}
		if c.version == "" {
			c.version = version
		}
		one := Validation{System: c.system, Version: c.version, Code: c.code}
		if url != "" && c.system != url {
			one.fail("invalid", "code-other-system", "编码 "+c.text()+" 不属于编码系统 "+url, c.text()+" is not of the code system "+url)
		} else {
			st.checkCode(&one, given, c, in)
		}
		if one.Result {
			return one
		}
		v = one.after(v)
	}
	return v
}

func (st *state) checkCode(v *Validation, cs *codeSystem, c coding, in codeCheck) {
	if g := grammarOf(c.system); g != nil && cs == nil {
		if v.Result = g.valid(c.code); v.Result {
			v.Display = g.display(c.code)
			return
		}
		v.fail("code-invalid", "code-unknown", "“"+c.code+"”不是 "+c.system+" 的合法编码", c.code+" is not a valid code of "+c.system)
		return
	}
	if cs == nil {
		cs = st.codeSystem(c.system, c.version)
	}
	if cs == nil {
		v.fail("not-found", "code-system-unknown", "未加载编码系统 "+c.system+"，无法校验编码 "+c.code,
			"the code system "+c.system+" is not loaded: cannot check "+c.code)
		return
	}
	i := cs.find(c.code)
	if i < 0 {
		v.fail("code-invalid", "code-unknown", "编码系统 "+c.system+" 中没有编码 "+c.code, "the code system "+c.system+" has no code "+c.code)
		return
	}
	v.Result, v.Version, v.Code = true, cs.version, cs.code(i)
	st.words(v, st.sources(&part{system: c.system, cs: cs}, i), c, in)
}

// opValidateCode is $validate-code on ValueSet and CodeSystem.
func (s *Service) opValidateCode(typ, id string, p Params) ([]byte, error) {
	st := s.state.Load()
	abstract, err := p.boolean("abstract", true)
	if err != nil {
		return nil, err
	}
	in := codeCheck{codings: p.codings(), langs: languages(p.str("displayLanguage")), abstract: abstract}
	if d := p.str("display"); d != "" && len(in.codings) == 1 && in.codings[0].display == "" {
		in.codings[0].display = d
	}
	if len(in.codings) == 0 {
		return nil, required("code", "coding", "codeableConcept")
	}
	if typ == "CodeSystem" {
		cs, url, version, err := st.systemOf(id, p, "codeSystem")
		if err != nil {
			return nil, err
		}
		v := st.checkSystem(url, version, cs, in)
		return v.parameters(), nil
	}
	x, canonical, err := st.setOf(id, p)
	if err != nil {
		return nil, err
	}
	v := st.checkSet(x, canonical, in)
	return v.parameters(), nil
}

// systemOf finds the code system an operation is about: the instance, an inline
// resource, or url; none of them leaves it to the coding.
func (st *state) systemOf(id string, p Params, inline string) (cs *codeSystem, url, version string, err error) {
	if n := p.node(inline); n.Exists() {
		if cs, err = compileCodeSystem(n); err != nil {
			return nil, "", "", err
		}
		return cs, cs.url, cs.version, nil
	}
	if id != "" {
		e := st.byID(kindCodeSystem, id)
		if e == nil {
			return nil, "", "", notFound("code system", id)
		}
		return e.cs, e.cs.url, e.cs.version, e.err
	}
	url, version = splitCanonical(p.str("url"))
	if v := p.str("version"); v != "" {
		version = v
	}
	return nil, url, version, nil
}

// setOf finds the value set an operation is about.
func (st *state) setOf(id string, p Params) (*expansion, string, error) {
	if n := p.node("valueSet"); n.Exists() {
		x, err := st.inline(n)
		return x, n.Get("url").Str(), err
	}
	if id != "" {
		e := st.byID(kindValueSet, id)
		if e == nil {
			return nil, "", notFound("value set", id)
		}
		x, err := st.entryExpansion(e, 0)
		return x, e.url, err
	}
	canonical := p.str("url")
	if v := p.str("valueSetVersion"); v != "" && !strings.Contains(canonical, "|") {
		canonical += "|" + v
	}
	x, err := st.expansion(canonical, 0)
	if err == nil && x == nil {
		err = notFound("value set", canonical)
	}
	return x, canonical, err
}

func (st *state) inline(n fhir.Node) (*expansion, error) {
	vs, err := compileValueSet(n)
	if err != nil {
		return nil, err
	}
	return st.expand(vs, 0)
}

// parameters renders the answer.
func (v *Validation) parameters() []byte {
	var o out
	o.boolean("result", v.Result)
	o.text("message", "valueString", v.message())
	o.text("display", "valueString", v.Display)
	o.text("code", "valueCode", v.Code)
	o.text("system", "valueUri", v.System)
	o.text("version", "valueString", v.Version)
	return o.done()
}
