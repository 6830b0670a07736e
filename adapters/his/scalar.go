package his

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/mapping"
)

// scalar says how one Go type is read from text and described in the schema.
type scalar struct {
	// set parses s into v; a false result means the text is not of this type.
	set    func(v reflect.Value, s string, zone *time.Location) bool
	hint   string
	coded  bool // one of a list of codes
	schema map[string]any
}

// scalars by Go type. Text needs no entry.
var scalars = map[reflect.Type]scalar{
	reflect.TypeFor[Moment]():    {set: setMoment, hint: "例如 2026-10-12T08:31:05+08:00 或 2026-10-12 08:31:05", schema: map[string]any{"type": []string{"string", "null"}, "examples": []string{"2026-10-12T08:31:05+08:00", "2026-10-12 08:31:05"}}},
	reflect.TypeFor[Day]():       {set: setDay, hint: "例如 1956-03-12", schema: map[string]any{"type": []string{"string", "null"}, "examples": []string{"1956-03-12"}}},
	reflect.TypeFor[Decimal]():   {set: setDecimal, hint: "例如 9 或 21.26", schema: map[string]any{"type": []string{"number", "string", "null"}, "pattern": `^-?[0-9]+(\.[0-9]+)?$`}},
	reflect.TypeFor[VisitType](): enum("first", "return", map[string]string{"初诊": "first", "1": "first", "复诊": "return", "2": "return"}),
	reflect.TypeFor[Gender](): enum("male", "female", map[string]string{"other": "other", "unknown": "unknown",
		"男": "male", "男性": "male", "m": "male", "1": "male", "女": "female", "女性": "female", "f": "female", "2": "female",
		"0": "unknown", "9": "unknown", "未知": "unknown", "未知的性别": "unknown", "未说明的性别": "unknown", "u": "unknown", "o": "other"}),
	reflect.TypeFor[DrugKind]():   enum("western", "patent", map[string]string{"西药": "western", "1": "western", "中成药": "patent", "成药": "patent", "2": "patent"}),
	reflect.TypeFor[HerbalKind](): enum("decoction", "granule", map[string]string{"饮片": "decoction", "中药饮片": "decoction", "草药": "decoction", "颗粒": "granule", "配方颗粒": "granule", "中药配方颗粒": "granule"}),
}

// enum accepts the two codes and every alias, in any case.
func enum(a, b string, aliases map[string]string) scalar {
	codes := []string{a, b}
	for alias, code := range aliases {
		if alias == code {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes[2:])
	return scalar{
		set: func(v reflect.Value, s string, _ *time.Location) bool {
			s = strings.ToLower(s)
			if code, ok := aliases[s]; ok {
				s = code
			} else if s != a && s != b {
				return false
			}
			v.SetString(s)
			return true
		},
		hint:   "可用代码：" + strings.Join(codes, "、"),
		coded:  true,
		schema: map[string]any{"type": []string{"string", "null"}, "examples": codes},
	}
}

func setMoment(v reflect.Value, s string, zone *time.Location) bool {
	t, ok := mapping.ParseMoment(s, zone)
	if ok {
		v.Field(0).Set(reflect.ValueOf(t))
	}
	return ok
}

func setDay(v reflect.Value, s string, _ *time.Location) bool {
	d, ok := mapping.ParseDay(s)
	v.SetString(d)
	return ok
}

func setDecimal(v reflect.Value, s string, _ *time.Location) bool {
	d, ok := mapping.ParseDecimal(s)
	v.SetString(d)
	return ok
}

// assign parses s into *p, a pointer to one of the scalar types.
func assign[T any](p *T, s string) bool {
	return scalars[reflect.TypeFor[T]()].set(reflect.ValueOf(p).Elem(), s, time.UTC)
}
