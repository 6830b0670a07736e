package definitions

import "testing"

func TestAddViewDefinition(t *testing.T) {
	m, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	m.AddViewDefinition()
	view := m.Type("ViewDefinition")
	if !m.IsResource("ViewDefinition") || len(m.Resources()) != 147 || !view.IsA("DomainResource") {
		t.Error("no resource type")
	}
	sel := view.Element("select").Content
	if sel.Element("unionAll").Content != sel || sel.Element("column").Content.Element("path").Min != 1 || view.Element("meta") == nil {
		t.Error("elements")
	}
	if e, ref := m.Type("ViewDefinition.constant").JSONElement("valueInteger"); e == nil || ref.Code != "integer" || !ref.Primitive() {
		t.Error("choices")
	}
	codes := map[string]bool{}
	for _, p := range m.SearchParameters("ViewDefinition") {
		codes[p.Code] = true
	}
	if !codes["url"] || !codes["_id"] || !codes["_lastUpdated"] {
		t.Errorf("parameters %v", codes)
	}
}
