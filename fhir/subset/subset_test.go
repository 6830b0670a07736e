package subset_test

import (
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/subset"
)

const tag = `"meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}`

func TestSubset(t *testing.T) {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"1","text":{"status":"empty"},"active":true,"name":[{"family":"a"}],"photo":[{"title":"b"}],"multipleBirthInteger":2}`))
	if err != nil {
		t.Fatal(err)
	}
	root, typ := tree.Root(), m.Type("Patient")
	for _, c := range []struct{ got, want string }{
		{string(subset.Elements(root, typ, "multipleBirth,Patient.photo.title,Observation.name")), `{"resourceType":"Patient","id":"1","active":true,"photo":[{"title":"b"}],"multipleBirthInteger":2,` + tag + `}`},
		{string(subset.Summary(root, typ, "true")), `{"resourceType":"Patient","id":"1","active":true,"name":[{"family":"a"}],` + tag + `}`},
		{string(subset.Summary(root, typ, "text")), `{"resourceType":"Patient","id":"1","text":{"status":"empty"},"active":true,` + tag + `}`},
		{string(subset.Summary(root, typ, "data")), `{"resourceType":"Patient","id":"1","active":true,"name":[{"family":"a"}],"photo":[{"title":"b"}],"multipleBirthInteger":2,` + tag + `}`},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}
