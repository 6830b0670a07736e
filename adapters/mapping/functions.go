package mapping

import (
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// functions are what maps add to FHIRPath:
//
//	text()                 first text of each item (component 1 of an HL7 field)
//	date() dateTime()      any form of a date → FHIR date, dateTime
//	number()               any form of a number → Decimal
//	id('pat', a, b …)      the resource id of a business key, as all doors make it; empty if a part is ({}, not '')
//	sid('patient', org)    the identifier system of a kind of number of an organisation
//	code('table')          target code of a table of the map
//	codeSystem()           the URI of a code system named as in HL7 v2: an OID, HL7nnnn, or by table "systems"
//	diagnosisSystem(western) the national system of a diagnosis code by its shape
//	diagnosisKind(code, name) tcm-disease, tcm-syndrome or western, by a code and the name of its system
//	category()             the prescription or charge category a name stands for
//	total()                exact sum of numbers
func functions(zone *time.Location) map[string]fhirpath.Function {
	one := func(fn func(s string) (fhirpath.Value, bool)) fhirpath.Function {
		return fhirpath.Function{Eval: func(_ *fhirpath.Context, in fhirpath.Collection, _ []fhirpath.Collection) (fhirpath.Collection, error) {
			var out fhirpath.Collection
			for _, it := range in {
				if s := strings.TrimSpace(textOf(it)); s != "" {
					if v, ok := fn(s); ok {
						out = append(out, fhirpath.ValueItem(v))
					}
				}
			}
			return out, nil
		}}
	}
	str := func(s string, ok bool) (fhirpath.Value, bool) { return fhirpath.String(s), ok }
	return map[string]fhirpath.Function{
		"text":            one(func(s string) (fhirpath.Value, bool) { return str(s, true) }),
		"date":            one(func(s string) (fhirpath.Value, bool) { return str(ParseDay(s)) }),
		"dateTime":        one(func(s string) (fhirpath.Value, bool) { return str(DateTime(s, zone)) }),
		"number":          one(number),
		"category":        one(func(s string) (fhirpath.Value, bool) { return str(tcm.ChargeCategory(s).Code, true) }),
		"id":              {Min: 2, Max: 8, Eval: resourceID},
		"sid":             {Min: 2, Max: 2, Eval: identifierSystem},
		"codeSystem":      {Eval: codeSystem},
		"code":            {Min: 1, Max: 1, Eval: translated},
		"diagnosisSystem": {Min: 1, Max: 1, Eval: diagnosisSystem},
		"diagnosisKind":   {Min: 2, Max: 2, Eval: diagnosisKind},
		"total":           {Eval: total},
	}
}

func number(s string) (fhirpath.Value, bool) {
	d, ok := ParseDecimal(strings.TrimPrefix(s, "+"))
	if !ok {
		return fhirpath.Value{}, false
	}
	return fhirpath.Decimal(d)
}

// texts returns the text of each argument; ok is false if one is empty. A string
// that the map itself gives as ” is a part like any other.
func texts(args []fhirpath.Collection) (out []string, ok bool) {
	for _, a := range args {
		if len(a) == 0 {
			return nil, false
		}
		s := strings.TrimSpace(textOf(a[0]))
		if _, read := a[0].Node(); s == "" && read {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

func single(s string) fhirpath.Collection {
	return fhirpath.Collection{fhirpath.ValueItem(fhirpath.String(s))}
}

func resourceID(_ *fhirpath.Context, _ fhirpath.Collection, args []fhirpath.Collection) (fhirpath.Collection, error) {
	parts, ok := texts(args)
	if !ok {
		return nil, nil
	}
	return single(tcm.ID(parts[0], parts[1:]...)), nil
}

func identifierSystem(_ *fhirpath.Context, _ fhirpath.Collection, args []fhirpath.Collection) (fhirpath.Collection, error) {
	parts, ok := texts(args)
	if !ok {
		return nil, nil
	}
	return single(tcm.SystemOf(parts[0], parts[1])), nil
}

var (
	oid     = regexp.MustCompile(`^[0-2](\.(0|[1-9][0-9]*))+$`)
	hl7Name = regexp.MustCompile(`^HL7[0-9]{4}$`)
)

func codeSystem(ctx *fhirpath.Context, in fhirpath.Collection, _ []fhirpath.Collection) (fhirpath.Collection, error) {
	if len(in) == 0 {
		return nil, nil
	}
	switch name := strings.TrimSpace(textOf(in[0])); {
	case oid.MatchString(name):
		return single("urn:oid:" + name), nil
	case hl7Name.MatchString(name):
		return single("http://terminology.hl7.org/CodeSystem/v2-" + name[len("HL7"):]), nil
	}
	return translated(ctx, in[:1], []fhirpath.Collection{single("systems")})
}

func diagnosisSystem(_ *fhirpath.Context, in fhirpath.Collection, args []fhirpath.Collection) (fhirpath.Collection, error) {
	if len(in) == 0 || len(args[0]) == 0 {
		return nil, nil
	}
	if system, ok := tcm.CodingSystem(textOf(in[0]), args[0][0].String() == "true"); ok {
		return single(system), nil
	}
	return nil, nil
}

func diagnosisKind(_ *fhirpath.Context, _ fhirpath.Collection, args []fhirpath.Collection) (fhirpath.Collection, error) {
	var code, system string
	if len(args[0]) > 0 {
		code = textOf(args[0][0])
	}
	if len(args[1]) > 0 {
		system = textOf(args[1][0])
	}
	return single(tcm.DiagnosisKind(code, system)), nil
}

// total adds exact decimals; nothing if there is no number.
func total(_ *fhirpath.Context, in fhirpath.Collection, _ []fhirpath.Collection) (fhirpath.Collection, error) {
	var sum decimal.Decimal
	n := 0
	for _, it := range in {
		if d, err := decimal.NewFromString(strings.TrimSpace(textOf(it))); err == nil {
			sum, n = sum.Add(d), n+1
		}
	}
	if n == 0 {
		return nil, nil
	}
	v, _ := fhirpath.Decimal(sum.String())
	return fhirpath.Collection{fhirpath.ValueItem(v)}, nil
}

// translated gives the code a table of the map has for each item.
func translated(ctx *fhirpath.Context, in fhirpath.Collection, args []fhirpath.Collection) (fhirpath.Collection, error) {
	r, ok := ctx.Ctx.Value(runKey{}).(*run)
	if !ok || len(args[0]) == 0 {
		return nil, fault.New(fault.Invalid, "code() 缺少表名")
	}
	t := r.m.tables[textOf(args[0][0])]
	if t == nil {
		return nil, fault.New(fault.Invalid, "没有代码表 %s", textOf(args[0][0]))
	}
	var out fhirpath.Collection
	for _, it := range in {
		c, err := t.translate(r, Coding{Code: strings.TrimSpace(textOf(it))}, r.placeOf(it))
		if err != nil {
			return nil, err
		}
		if c.Code != "" {
			out = append(out, fhirpath.ValueItem(fhirpath.String(c.Code)))
		}
	}
	return out, nil
}
