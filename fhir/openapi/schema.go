package openapi

import (
	"encoding/json"

	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// AddTypes adds the JSON Schemas of every R4 type, so that tools can make and
// check requests.
func (b *Builder) AddTypes(m *definitions.Model) error {
	b.Schema("AnyResource", json.RawMessage(`{"type":"object","required":["resourceType"],"properties":{"resourceType":{"type":"string"}}}`))
	for _, name := range m.Types() {
		t := m.Type(name)
		if t.Abstract && t.Kind == definitions.Resource {
			continue
		}
		schema, err := json.Marshal(typeSchema(t))
		if err != nil {
			return err
		}
		b.Schema(name, schema)
	}
	return nil
}

func typeSchema(t *definitions.Type) map[string]any {
	if t.Kind == definitions.Primitive {
		return primitiveSchema(t)
	}
	props, required := map[string]any{}, []string{}
	if t.Kind == definitions.Resource {
		props["resourceType"] = map[string]any{"const": t.Name}
		required = append(required, "resourceType")
	}
	for _, name := range t.JSONNames() {
		e, ref := t.JSONElement(name)
		if e == nil {
			continue
		}
		props[name] = elementSchema(e, ref)
		if ref.Primitive() && !e.Attribute {
			props["_"+name] = list(e, map[string]any{"$ref": "#/components/schemas/Element"})
		}
		if e.Min > 0 && !e.Choice && !ref.Primitive() { // a primitive may have only its extension
			required = append(required, name)
		}
	}
	s := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func elementSchema(e *definitions.Element, ref *definitions.TypeRef) map[string]any {
	name := "AnyResource"
	switch {
	case e.Content != nil:
		name = e.Content.Name
	case ref != nil && ref.Type != nil && !(ref.Type.Abstract && ref.Type.Kind == definitions.Resource):
		name = ref.Type.Name
	}
	return list(e, map[string]any{"$ref": "#/components/schemas/" + name})
}

// list wraps the schema of an element that repeats.
func list(e *definitions.Element, item map[string]any) map[string]any {
	if e.Max == 1 {
		return item
	}
	return map[string]any{"type": "array", "items": item}
}

// primitiveSchema is the JSON form of a primitive (json.html#primitive).
func primitiveSchema(t *definitions.Type) map[string]any {
	switch t.System {
	case "Boolean":
		return map[string]any{"type": "boolean"}
	case "Integer":
		return map[string]any{"type": "integer"}
	case "Decimal":
		return map[string]any{"type": "number"}
	}
	s := map[string]any{"type": "string"}
	if t.Regex != "" {
		s["pattern"] = "^(" + t.Regex + ")$"
	}
	return s
}
