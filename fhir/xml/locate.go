package xml

import (
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// Locate finds the element that a FHIRPath of a finding means
// (Patient.name[0].given[1], Bundle.entry[2].resource.birthDate) in the XML the
// resource was read from, or the nearest one above it.
func Locate(root *xmlread.Element, expression string) *xmlread.Element {
	at := root
	steps := strings.Split(expression, ".")
	for _, step := range steps[1:] {
		name, index, ok := part(step)
		if !ok {
			return at
		}
		next := child(at, name, index)
		if next == nil {
			return at
		}
		if (name == "resource" || name == "contained") && len(next.Children) == 1 {
			next = next.Children[0] // XML wraps the resource once more
		}
		at = next
	}
	return at
}

// part reads "name" or "name[3]"; ok is false for anything else, such as a
// function call.
func part(step string) (name string, index int, ok bool) {
	name, rest, indexed := strings.Cut(step, "[")
	if !indexed {
		return name, 0, !strings.ContainsAny(name, "()' ")
	}
	index, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
	return name, index, err == nil && index >= 0
}

// child returns the index-th child called name; a choice element (value) has
// its type behind the name (valueQuantity).
func child(e *xmlread.Element, name string, index int) *xmlread.Element {
	for _, c := range e.Children {
		local := c.Name.Local
		typed := strings.HasPrefix(local, name) && len(local) > len(name) && local[len(name)] >= 'A' && local[len(name)] <= 'Z'
		if local != name && !typed {
			continue
		}
		if index == 0 {
			return c
		}
		index--
	}
	return nil
}
