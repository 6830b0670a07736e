package fhirpath

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// What functions give, for the static check: by the System type of their
// result, or by a word in the switch of result.
var resultKinds = map[Kind]string{
	KindBoolean: " empty exists all allTrue anyTrue allFalse anyFalse subsetOf supersetOf isDistinct not startsWith endsWith contains " +
		"matches matchesFull hasValue hasExtension memberOf subsumes subsumedBy conformsTo comparable htmlChecks toBoolean convertsToBoolean " +
		"convertsToInteger convertsToDecimal convertsToString convertsToDate convertsToDateTime convertsToTime convertsToQuantity ",
	KindInteger: " count indexOf lastIndexOf length toInteger precision yearOf monthOf dayOf hourOf minuteOf secondOf millisecondOf ",
	KindString: " upper lower trim substring replace replaceMatches encode decode escape unescape join toString " +
		"getResourceKey getReferenceKey ",
	KindDecimal:  " toDecimal exp ln log sqrt timezoneOffsetOf ",
	KindDate:     " today toDate dateOf ",
	KindDateTime: " now toDateTime ",
	KindTime:     " timeOfDay toTime timeOf ",
	KindQuantity: " toQuantity ",
}

const (
	lambdas   = " where select all exists repeat repeatAll sort aggregate trace iif "
	ordered   = " first last tail skip take "
	keeping   = " where distinct tail skip take trace exclude intersect sort checkModifiers defineVariable "
	choosing  = " first last single "
	textInput = " upper lower trim length substring startsWith endsWith contains indexOf lastIndexOf matches matchesFull " +
		"replace replaceMatches toChars split "
)

func listed(list, name string) bool { return strings.Contains(list, " "+name+" ") }

func (k *checker) call(x *expr) (shape, error) {
	in := k.this
	if x.target != nil {
		var err error
		if in, err = k.check(x.target); err != nil {
			return in, err
		}
	}
	if x.typ.name != "" {
		return k.typed(x, in)
	}
	if in.unordered && listed(ordered, x.name) {
		return k.fail(x, "%s() needs an ordered collection", x.name)
	}
	text := kindsOf(KindString, KindDate, KindDateTime, KindTime)
	if listed(textInput, x.name) && !in.any && in.values()&text == 0 {
		return k.fail(x, "%s() takes a string, not %s", x.name, in)
	}
	args, err := k.arguments(x, in)
	if err != nil {
		return shape{}, err
	}
	return k.result(x, in, args)
}

func (k *checker) arguments(x *expr, in shape) ([]shape, error) {
	if x.name == "getReferenceKey" {
		return nil, nil
	}
	this := k.this
	if listed(lambdas, x.name) {
		this = in
		this.many = false
		this.unordered = false
	}
	args := make([]shape, len(x.args))
	for i, a := range x.args {
		if x.name == "sort" && a.kind == exUnary && !a.paren {
			a = a.args[0]
		}
		s, err := k.within(this, a)
		if err != nil {
			return nil, err
		}
		args[i] = s
	}
	if x.name == "defineVariable" && x.args[0].kind == exLiteral {
		k.names = append(k.names, x.args[0].value.str)
	}
	return args, nil
}

func (k *checker) result(x *expr, in shape, args []shape) (shape, error) {
	for kind, names := range resultKinds {
		if listed(names, x.name) {
			return system(kind), nil
		}
	}
	switch {
	case listed(keeping, x.name):
		return in, nil
	case listed(choosing, x.name):
		in.many = false
		return in, nil
	}
	switch x.name {
	case "select", "repeat", "repeatAll":
		out := args[0]
		out.many, out.unordered = true, out.unordered || in.unordered
		return out, nil
	case "union", "combine":
		return merge(in, args[0]), nil
	case "iif":
		if !args[0].any && !args[0].values().has(KindBoolean) {
			return k.fail(x, "the criterion of iif() must be a Boolean, not %s", args[0])
		}
		out := args[1]
		if len(args) == 3 {
			many := args[1].many || args[2].many
			out = merge(args[1], args[2])
			out.many = many
		}
		return out, nil
	case "children", "descendants":
		return shape{any: true, many: true, unordered: true}, nil
	case "extension":
		return shape{types: []*definitions.Type{k.eng.model.Type("Extension")}, many: true}, nil
	case "split", "toChars":
		return shape{kinds: kindsOf(KindString), many: true}, nil
	case "abs", "round", "ceiling", "floor", "truncate", "power", "lowBoundary", "highBoundary", "sum", "min", "max", "avg":
		return shape{kinds: in.values(), any: in.any}, nil
	}
	return anything, nil
}
