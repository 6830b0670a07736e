// Package model turns resources built with samply/golang-fhir-models into FHIR
// JSON.
//
// The models mark every required choice (medication[x], ingredient.item[x], …)
// as present in all its types, so encoding/json writes `"medicationReference":{}`
// beside the chosen one, which no FHIR server accepts. [Encoder] leaves every
// empty value out, writes `resourceType` first, and is several times faster.
package model

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/qihuang-health/qihuang/fhir"
)

// Encoder writes resources as JSON. The zero value is ready; it keeps what it
// learned of each Go type, so use one for many resources. Safe for concurrent use.
type Encoder struct {
	plans sync.Map // reflect.Type → *plan
}

type plan struct {
	fields []field
}

type field struct {
	index int
	key   string // `"name":`
	write writer
}

// writer appends the value and reports false (appending nothing) if it is empty.
type writer func(dst []byte, v reflect.Value) ([]byte, bool)

type coder interface{ Code() string }

var (
	coderType  = reflect.TypeFor[coder]()
	rawType    = reflect.TypeFor[json.RawMessage]()
	numberType = reflect.TypeFor[json.Number]()
)

// Append appends the JSON of resource, a struct of package fhir-models (or a
// pointer to one) whose type name is the resource type.
func (e *Encoder) Append(dst []byte, resource any) ([]byte, error) {
	v := reflect.ValueOf(resource)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return dst, fmt.Errorf("model: %T is not a resource", resource)
	}
	dst = append(dst, `{"resourceType":"`...)
	dst = append(dst, v.Type().Name()...)
	dst = append(dst, '"')
	dst = e.plan(v.Type()).members(dst, v, true)
	return append(dst, '}'), nil
}

// Marshal returns the JSON of resource; see [Encoder.Append].
func (e *Encoder) Marshal(resource any) ([]byte, error) {
	return e.Append(make([]byte, 0, 1024), resource)
}

func (p *plan) members(dst []byte, v reflect.Value, more bool) []byte {
	for _, f := range p.fields {
		mark := len(dst)
		if more {
			dst = append(dst, ',')
		}
		dst = append(dst, f.key...)
		var ok bool
		if dst, ok = f.write(dst, v.Field(f.index)); !ok {
			dst = dst[:mark]
			continue
		}
		more = true
	}
	return dst
}

func (e *Encoder) plan(t reflect.Type) *plan {
	if p, ok := e.plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if !sf.IsExported() || name == "-" || name == "" {
			continue
		}
		p.fields = append(p.fields, field{i, `"` + name + `":`, e.writer(sf.Type)})
	}
	actual, _ := e.plans.LoadOrStore(t, p)
	return actual.(*plan)
}

func (e *Encoder) writer(t reflect.Type) writer {
	switch {
	case t == rawType:
		return writeRaw
	case t == numberType:
		return writeNumber
	case t.Kind() != reflect.Pointer && t.Implements(coderType):
		return func(dst []byte, v reflect.Value) ([]byte, bool) {
			return fhir.AppendString(dst, v.Interface().(coder).Code()), true
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return e.pointer(t)
	case reflect.Slice:
		return e.slice(t)
	case reflect.Struct:
		plan := e.plan(t)
		return func(dst []byte, v reflect.Value) ([]byte, bool) {
			mark := len(dst) + 1
			dst = plan.members(append(dst, '{'), v, false)
			return append(dst, '}'), len(dst) > mark
		}
	case reflect.String:
		return func(dst []byte, v reflect.Value) ([]byte, bool) {
			return fhir.AppendString(dst, v.String()), v.Len() > 0
		}
	case reflect.Bool:
		return func(dst []byte, v reflect.Value) ([]byte, bool) { return strconv.AppendBool(dst, v.Bool()), true }
	case reflect.Int, reflect.Int64:
		return func(dst []byte, v reflect.Value) ([]byte, bool) { return strconv.AppendInt(dst, v.Int(), 10), true }
	}
	return func(dst []byte, _ reflect.Value) ([]byte, bool) { return dst, false }
}

func (e *Encoder) pointer(t reflect.Type) writer {
	elem := e.lazy(t.Elem())
	return func(dst []byte, v reflect.Value) ([]byte, bool) {
		if v.IsNil() {
			return dst, false
		}
		return elem(dst, v.Elem())
	}
}

func (e *Encoder) slice(t reflect.Type) writer {
	elem := e.lazy(t.Elem())
	return func(dst []byte, v reflect.Value) ([]byte, bool) {
		dst = append(dst, '[')
		any := false
		for i := range v.Len() {
			mark := len(dst)
			if any {
				dst = append(dst, ',')
			}
			var ok bool
			if dst, ok = elem(dst, v.Index(i)); !ok {
				dst = dst[:mark]
				continue
			}
			any = true
		}
		return append(dst, ']'), any
	}
}

// lazy defers the writer of t until used: FHIR types contain one another.
func (e *Encoder) lazy(t reflect.Type) writer {
	once := sync.OnceValue(func() writer { return e.writer(t) })
	return func(dst []byte, v reflect.Value) ([]byte, bool) { return once()(dst, v) }
}

func writeRaw(dst []byte, v reflect.Value) ([]byte, bool) {
	return append(dst, v.Bytes()...), v.Len() > 0
}

func writeNumber(dst []byte, v reflect.Value) ([]byte, bool) {
	return append(dst, v.String()...), v.Len() > 0
}
