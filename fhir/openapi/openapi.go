// Package openapi writes the hub's OpenAPI 3.1 description
// (https://spec.openapis.org/oas/v3.1.0). A [Builder] collects paths from every
// door; the FHIR part is made from the R4 definitions.
package openapi

import (
	"encoding/json"
	"maps"
	"strings"
	"sync"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Operation is what one method on one path does.
type Operation struct {
	Summary     string
	Description string
	Tag         string
	Parameters  []Parameter
	Request     *Content
	Responses   map[string]Response // by status, e.g. "200", "default"
}

// Parameter is a query, path or header parameter.
type Parameter struct {
	Name        string          `json:"name"`
	In          string          `json:"in"` // query | path | header
	Required    bool            `json:"required,omitempty"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema"`
}

// Content is a body.
type Content struct {
	MediaTypes []string
	Schema     json.RawMessage // JSON Schema 2020-12; nil = any
	Required   bool
}

// Response is an answer.
type Response struct {
	Description string
	Content     *Content
}

// Ref is a reference to a component schema.
func Ref(name string) json.RawMessage {
	return json.RawMessage(`{"$ref":"#/components/schemas/` + name + `"}`)
}

// String is the schema of a plain string.
func String() json.RawMessage { return json.RawMessage(`{"type":"string"}`) }

// Builder collects the description. It is safe for concurrent use; what was
// added before JSON is called is in it.
type Builder struct {
	title, version string

	mu      sync.Mutex
	paths   map[string]map[string]any
	schemas map[string]json.RawMessage
}

// New returns an empty description.
func New(title, version string) *Builder {
	return &Builder{title: title, version: version, paths: map[string]map[string]any{}, schemas: map[string]json.RawMessage{}}
}

// Add describes a method on a path such as /ingest/his or /fhir/Patient/{id}.
// Adding one again replaces it.
func (b *Builder) Add(method, path string, o Operation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paths[path] == nil {
		b.paths[path] = map[string]any{}
	}
	b.paths[path][strings.ToLower(method)] = o.object()
}

// AddPaths adds path items written as maps: path → method → operation object.
func (b *Builder) AddPaths(paths map[string]any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for path, item := range paths {
		methods, ok := item.(map[string]any)
		if !ok {
			continue
		}
		if b.paths[path] == nil {
			b.paths[path] = map[string]any{}
		}
		maps.Copy(b.paths[path], methods)
	}
}

// Schema adds a component schema.
func (b *Builder) Schema(name string, schema json.RawMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.schemas[name] = schema
}

// JSON returns the whole description. The same additions give the same bytes.
func (b *Builder) JSON() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out, err := json.Marshal(map[string]any{
		"openapi":    "3.1.0",
		"info":       map[string]any{"title": b.title, "version": b.version},
		"paths":      b.paths,
		"components": map[string]any{"schemas": b.schemas},
	})
	if err != nil {
		return nil, fault.New(fault.Internal, "write the OpenAPI description: %w", err)
	}
	return out, nil
}

// object is the operation as OpenAPI writes it.
func (o Operation) object() map[string]any {
	m := map[string]any{}
	for k, v := range map[string]string{"summary": o.Summary, "description": o.Description} {
		if v != "" {
			m[k] = v
		}
	}
	if o.Tag != "" {
		m["tags"] = []string{o.Tag}
	}
	if len(o.Parameters) > 0 {
		m["parameters"] = o.Parameters
	}
	if o.Request != nil {
		m["requestBody"] = map[string]any{"required": o.Request.Required, "content": o.Request.object()}
	}
	responses := map[string]any{}
	for status, r := range o.Responses {
		resp := map[string]any{"description": r.Description}
		if r.Content != nil {
			resp["content"] = r.Content.object()
		}
		responses[status] = resp
	}
	if len(responses) == 0 {
		responses["default"] = map[string]any{"description": ""}
	}
	m["responses"] = responses
	return m
}

func (c *Content) object() map[string]any {
	m := map[string]any{}
	for _, t := range c.MediaTypes {
		body := map[string]any{}
		if c.Schema != nil {
			body["schema"] = c.Schema
		}
		m[t] = body
	}
	return m
}
