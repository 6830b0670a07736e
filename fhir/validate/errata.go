package validate

// Faults of the published R4 definitions that would make valid data fail. Each
// line has its reason; docs/spec-choices.md lists them for users.

// erratumExpression mends the FHIRPath of an invariant.
func erratumExpression(key, expression string) string {
	switch {
	case key == "que-7" && expression == "operator = 'exists' implies (answer is Boolean)":
		return "operator = 'exists' implies (answer is boolean)" // answer[x] is a FHIR boolean, never a System.Boolean
	}
	return expression
}

// erratumContexts are contexts that extension definitions forgot: R4's own
// StructureDefinitions, ValueSets and CodeSystems use the extensions there.
func erratumContexts(url string) []extensionContext {
	const base = "http://hl7.org/fhir/StructureDefinition/"
	switch url {
	case base + "structuredefinition-fhir-type", base + "regex":
		return []extensionContext{{"element", "ElementDefinition.type"}}
	case base + "structuredefinition-normative-version":
		return []extensionContext{{"element", "DomainResource"}, {"element", "ElementDefinition"}}
	case base + "translation":
		return []extensionContext{{"element", "ValueSet.expansion.contains"}}
	case base + "valueset-concept-comments":
		return []extensionContext{{"element", "CodeSystem.concept"}}
	}
	return nil
}
