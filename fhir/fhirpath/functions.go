package fhirpath

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// function describes one function of the language.
type function struct {
	min, max int
	eval     builtin
	prepare  func(c *compiler, x *expr, o *callOp) (op, error) // optional: work at compile time
}

func (fn function) arity() string {
	if fn.min == fn.max {
		return fmt.Sprintf("%d argument(s)", fn.min)
	}
	return fmt.Sprintf("%d to %d arguments", fn.min, fn.max)
}

const many = 16

// table returns the functions by name, in the order of the specification's
// chapters. is(), as() and ofType() are compiled apart, they take a type.
func table() map[string]function {
	t := map[string]function{
		// 5.1 existence
		"empty": {eval: fnEmpty}, "exists": {max: 1, eval: fnExists}, "all": {1, 1, fnAll, nil},
		"allTrue": {eval: quantifier(true, true)}, "anyTrue": {eval: quantifier(true, false)},
		"allFalse": {eval: quantifier(false, true)}, "anyFalse": {eval: quantifier(false, false)},
		"subsetOf": {1, 1, fnSubsetOf, nil}, "supersetOf": {1, 1, fnSupersetOf, nil},
		"count": {eval: fnCount}, "distinct": {eval: fnDistinct}, "isDistinct": {eval: fnIsDistinct},
		// 5.2 filtering and projection
		"where": {1, 1, fnWhere, nil}, "select": {1, 1, fnSelect, nil},
		"repeat": {1, 1, fnRepeat, nil}, "repeatAll": {1, 1, fnRepeatAll, nil},
		"sort": {0, many, fnSort, prepareSort}, "coalesce": {1, many, fnCoalesce, nil},
		// 5.3 subsetting
		"single": {eval: fnSingle}, "first": {eval: fnFirst}, "last": {eval: fnLast}, "tail": {eval: fnTail},
		"skip": {1, 1, fnSkip, nil}, "take": {1, 1, fnTake, nil},
		"intersect": {1, 1, fnIntersect, nil}, "exclude": {1, 1, fnExclude, nil},
		// 5.4 combining
		"union": {1, 1, fnUnion, nil}, "combine": {1, 2, fnCombine, nil},
		// 5.5 conversion
		"iif": {2, 3, fnIif, nil},
		// 5.8 tree navigation, 5.9 utility
		"children": {eval: fnChildren}, "descendants": {eval: fnDescendants},
		"trace": {1, 2, fnTrace, nil}, "now": {eval: fnNow}, "today": {eval: fnToday}, "timeOfDay": {eval: fnTimeOfDay},
		"defineVariable": {1, 2, fnDefineVariable, nil},
		// 6.5, 7, 10
		"not": {eval: fnNot}, "aggregate": {1, 2, fnAggregate, nil}, "type": {eval: fnType},
	}
	addConversions(t)
	addText(t)
	addMath(t)
	addResource(t)
	return t
}

func addConversions(t map[string]function) {
	for name, convert := range map[string]func(Value) (Value, bool){
		"Boolean": toBoolean, "Integer": toInteger, "Decimal": toDecimal, "String": toText, "Date": toDate,
		"DateTime": toDateTime, "Time": toTime, "Quantity": toQuantity,
	} {
		t["to"+name], t["convertsTo"+name] = converter(name, convert)
	}
	t["toQuantity"] = function{0, 1, fnToQuantity, nil}
	to := t["convertsToQuantity"]
	to.max = 1
	t["convertsToQuantity"] = to
}

func addText(t map[string]function) {
	one := func(name string, fn func(s, arg string) Value) {
		t[name] = function{1, 1, withText(name, fn), nil}
	}
	none := func(name string, fn func(s string) Value) { t[name] = function{eval: plainText(name, fn)} }
	args := func(name string, least, most int, fn func(*frame, string, []op) (Value, bool, error)) {
		t[name] = function{least, most, textual(name, fn), nil}
	}
	one("indexOf", func(s, x string) Value { return runes(s, strings.Index(s, x)) })
	one("lastIndexOf", func(s, x string) Value { return runes(s, strings.LastIndex(s, x)) })
	one("startsWith", func(s, x string) Value { return Boolean(strings.HasPrefix(s, x)) })
	one("endsWith", func(s, x string) Value { return Boolean(strings.HasSuffix(s, x)) })
	one("contains", func(s, x string) Value { return Boolean(strings.Contains(s, x)) })
	none("upper", func(s string) Value { return String(strings.ToUpper(s)) })
	none("lower", func(s string) Value { return String(strings.ToLower(s)) })
	none("trim", func(s string) Value { return String(strings.TrimSpace(s)) })
	none("length", func(s string) Value { return runes(s, len(s)) })
	none("htmlChecks", func(s string) Value { return Boolean(narrativeOK(s)) })
	args("substring", 1, 2, textSubstring)
	args("replace", 2, 2, textReplace)
	args("encode", 1, 1, textEncode)
	args("decode", 1, 1, textDecode)
	args("escape", 1, 1, textEscape)
	args("unescape", 1, 1, textUnescape)
	t["matches"] = function{1, 1, textual("matches", matcher(false)), preparePattern(false)}
	t["matchesFull"] = function{1, 1, textual("matchesFull", matcher(true)), preparePattern(true)}
	t["replaceMatches"] = function{2, 2, textual("replaceMatches", textReplaceMatches), preparePattern(false)}
	t["split"] = function{1, 1, fnSplit, nil}
	t["join"] = function{0, 1, fnJoin, nil}
	t["toChars"] = function{eval: fnToChars}
}

func addMath(t map[string]function) {
	args := func(name string, least, most int, fn func(*frame, Value, []op) (Value, bool, error)) {
		t[name] = function{least, most, numeric(name, fn), nil}
	}
	args("abs", 0, 0, numAbs)
	args("ceiling", 0, 0, rounding(apd.RoundCeiling))
	args("floor", 0, 0, rounding(apd.RoundFloor))
	args("truncate", 0, 0, rounding(apd.RoundDown))
	args("round", 0, 1, numRound)
	args("exp", 0, 0, approximate(quotient.Exp))
	args("ln", 0, 0, approximate(quotient.Ln))
	args("sqrt", 0, 0, approximate(quotient.Sqrt))
	args("log", 1, 1, numLog)
	args("power", 1, 1, numPower)
	t["sum"] = function{eval: fold("sum", foldSum)}
	t["min"] = function{eval: fold("min", foldOrder(-1))}
	t["max"] = function{eval: fold("max", foldOrder(1))}
	t["avg"] = function{eval: fnAvg}
	t["lowBoundary"] = function{0, 1, boundary(false), nil}
	t["highBoundary"] = function{0, 1, boundary(true), nil}
	t["precision"] = function{eval: fnPrecision}
	t["comparable"] = function{1, 1, fnComparable, nil}
	t["yearOf"] = function{eval: component(precYear, yearOf)}
	t["monthOf"] = function{eval: component(precMonth, monthOf)}
	t["dayOf"] = function{eval: component(precDay, dayOf)}
	t["hourOf"] = function{eval: component(precHour, hourOf)}
	t["minuteOf"] = function{eval: component(precMinute, minuteOf)}
	t["secondOf"] = function{eval: component(precSecond, secondOf)}
	t["millisecondOf"] = function{eval: component(precFraction, millisecondOf)}
	t["timezoneOffsetOf"] = function{eval: fnTimezoneOffsetOf}
	t["dateOf"] = function{eval: fnDateOf}
	t["timeOf"] = function{eval: fnTimeOf}
}

func addResource(t map[string]function) {
	t["extension"] = function{1, 1, fnExtension, nil}
	t["hasExtension"] = function{1, 1, fnHasExtension, nil}
	t["hasValue"] = function{eval: fnHasValue}
	t["getValue"] = function{eval: fnGetValue}
	t["resolve"] = function{eval: fnResolve}
	t["conformsTo"] = function{1, 1, fnConformsTo, nil}
	t["checkModifiers"] = function{0, many, fnCheckModifiers, nil}
	t["memberOf"] = function{1, 1, fnMemberOf, nil}
	t["subsumes"] = function{1, 4, subsumption(false), nil}
	t["subsumedBy"] = function{1, 1, subsumption(true), nil}
	t["getResourceKey"] = function{eval: fnGetResourceKey}
	t["getReferenceKey"] = function{0, 1, fnGetReferenceKey, prepareReferenceKey}
	for name, least := range map[string]int{"expand": 1, "lookup": 1, "validateVS": 2, "validateCS": 2, "translate": 2} {
		t[name] = function{least, least + 1, terminologyCall(name), nil}
	}
}

// suggest names a function that may have been meant.
func (e *Engine) suggest(name string) string {
	return hint(name, slices.Sorted(maps.Keys(e.functions)))
}

func hint(name string, known []string) string {
	if h := fault.DidYouMean(name, known); h != "" {
		return ", " + h
	}
	return ""
}
