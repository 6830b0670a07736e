package subscribe

import (
	_ "embed"

	"github.com/qihuang-health/qihuang/fhir"
)

//go:embed topics.json
var shipped []byte

// Shipped returns the topics of the TCM halls as Basic resources with ids
// topic-…, for the wiring to put into the repository.
func Shipped() ([][]byte, error) {
	tree, err := fhir.Parse(shipped)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for t := range tree.Root().Children() {
		out = append(out, t.Raw())
	}
	return out, nil
}
