package patch_test

import (
	"fmt"

	"github.com/qihuang-health/qihuang/fhir/patch"
)

func ExampleJSON() {
	out, err := patch.JSON([]byte(`{"resourceType": "Patient", "active": true}`),
		[]byte(`[{"op": "test", "path": "/active", "value": true}, {"op": "add", "path": "/name", "value": [{"text": "李时珍"}]}]`))
	fmt.Println(string(out), err)
	// Output:
	// {"resourceType": "Patient", "active": true,"name":[{"text": "李时珍"}]} <nil>
}
