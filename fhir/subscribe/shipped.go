package subscribe

import (
	_ "embed"

	"github.com/qihuang-health/qihuang/fhir"
)

//go:embed topics.json
var topics []byte

//go:embed parameters.json
var parameters []byte

// Shipped returns the topics of the TCM halls as Basic resources with ids
// topic-…, for the wiring to put into the repository.
func Shipped() ([][]byte, error) { return members(topics) }

// Parameters returns the SearchParameters that the backport guide defines for
// Subscription, to be put into the repository too.
func Parameters() ([][]byte, error) { return members(parameters) }

func members(list []byte) ([][]byte, error) {
	tree, err := fhir.Parse(list)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for t := range tree.Root().Children() {
		out = append(out, t.Raw())
	}
	return out, nil
}
