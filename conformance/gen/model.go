package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
)

// Base is the canonical base of every artefact of the guide.
const Base = "https://qihuang.health/fhir"

type coding struct {
	System string `json:"system,omitempty"`
	Code   string `json:"code"`
}

type property struct {
	Code    string       `json:"code"`
	String  string       `json:"valueString,omitempty"`
	CodeVal string       `json:"valueCode,omitempty"`
	Bool    *bool        `json:"valueBoolean,omitempty"`
	Decimal *json.Number `json:"valueDecimal,omitempty"`
	Integer *int         `json:"valueInteger,omitempty"`
	Coding  *coding      `json:"valueCoding,omitempty"`
}

type designation struct {
	Language string  `json:"language,omitempty"`
	Use      *coding `json:"use,omitempty"`
	Value    string  `json:"value"`
}

type concept struct {
	Code        string        `json:"code"`
	Display     string        `json:"display"`
	Designation []designation `json:"designation,omitempty"`
	Property    []property    `json:"property,omitempty"`
}

type propertyDef struct {
	Code        string `json:"code"`
	URI         string `json:"uri,omitempty"`
	Description string `json:"description,omitempty"`
	Type        string `json:"type"`
}

type identifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

// codeSystem is an R4 CodeSystem with the members the guide uses.
type codeSystem struct {
	ResourceType     string        `json:"resourceType"`
	ID               string        `json:"id"`
	Language         string        `json:"language"`
	URL              string        `json:"url"`
	Identifier       []identifier  `json:"identifier,omitempty"`
	Version          string        `json:"version,omitempty"`
	Name             string        `json:"name"`
	Title            string        `json:"title"`
	Status           string        `json:"status"`
	Experimental     bool          `json:"experimental"`
	Publisher        string        `json:"publisher"`
	Description      string        `json:"description,omitempty"`
	Purpose          string        `json:"purpose,omitempty"`   // review state of the facts
	Copyright        string        `json:"copyright,omitempty"` // where the facts come from, licence
	CaseSensitive    bool          `json:"caseSensitive"`
	ValueSet         string        `json:"valueSet,omitempty"`
	HierarchyMeaning string        `json:"hierarchyMeaning,omitempty"`
	Content          string        `json:"content"`
	Count            int           `json:"count,omitempty"`
	Property         []propertyDef `json:"property,omitempty"`
	Concept          []concept     `json:"concept,omitempty"`
}

// write stores the system and the value set of all its codes; one concept a
// line, so that a change of facts reads well in a diff.
func (cs *codeSystem) write(dir string) error {
	cs.ResourceType, cs.Language, cs.Status, cs.Publisher = "CodeSystem", "zh-CN", "active", "岐黄"
	cs.CaseSensitive, cs.Count = true, len(cs.Concept)
	if cs.URL == "" {
		cs.URL = Base + "/CodeSystem/" + cs.ID
	}
	cs.ValueSet = Base + "/ValueSet/" + cs.ID
	rows := make([]json.RawMessage, len(cs.Concept))
	for i, c := range cs.Concept {
		b, err := encode(c)
		if err != nil {
			return err
		}
		rows[i] = b
	}
	head := *cs
	head.Concept = nil
	b, err := encode(head)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.Write(bytes.TrimSuffix(b, []byte("}")))
	if len(rows) > 0 {
		out.WriteString(",\"concept\":[\n")
		out.Write(bytes.Join(raw(rows), []byte(",\n")))
		out.WriteString("\n]")
	}
	out.WriteString("}\n")
	return os.WriteFile(filepath.Join(dir, "CodeSystem-"+cs.ID+".json"), out.Bytes(), 0o644)
}

func raw(rows []json.RawMessage) [][]byte {
	out := make([][]byte, len(rows))
	for i, r := range rows {
		out[i] = r
	}
	return out
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

func truth(b bool) *bool { return &b }

// synonym is the designation use of aliases.
func synonym(value string) designation {
	return designation{Language: "zh-CN", Use: &coding{"http://snomed.info/sct", "900000000000013009"}, Value: value}
}

func english(value string) []designation {
	if value == "" {
		return nil
	}
	return []designation{{Language: "en", Value: value}}
}
