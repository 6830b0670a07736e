package xml

import (
	"testing"

	"github.com/qihuang-health/qihuang/internal/xmlread"
)

func TestLocate(t *testing.T) {
	const src = `<Bundle xmlns="http://hl7.org/fhir">
  <type value="collection"/>
  <entry><resource>
    <Observation>
      <code><text value="a"/></code>
      <code><text value="b"/></code>
      <valueQuantity><value value="x"/></valueQuantity>
    </Observation>
  </resource></entry>
</Bundle>`
	doc, err := xmlread.Parse([]byte(src), xmlread.Default())
	if err != nil {
		t.Fatal(err)
	}
	for expr, want := range map[string]int{
		"Bundle": 1, "Bundle.type": 2, "Bundle.entry[0].resource": 4, "Bundle.entry[0].resource.code[1].text": 6,
		"Bundle.entry[0].resource.value.value": 7, "Bundle.entry[0].resource.valueQuantity": 7, "Bundle.entry[0].resource.status": 4,
		"Bundle.entry[9].resource": 1, "Bundle.entry.where(x)": 3,
	} {
		if line, _ := Locate(doc.Root, expr).Position(); line != want {
			t.Errorf("%s is on line %d, want %d", expr, line, want)
		}
	}
}
