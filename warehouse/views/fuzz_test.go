package views

import (
	"errors"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
)

var errStop = errors.New("enough")

func FuzzCompile(f *testing.F) {
	f.Add(benchView, benchPatient)
	f.Add(smallView, `{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}]}`)
	f.Add(`{"resource":"Patient","constant":[{"name":"a","valueCode":"b"}],"select":[{"forEachOrNull":"name","unionAll":[{"repeat":["x"],"column":[{"name":"a","path":"%a"}]},{"column":[{"name":"a","path":"%rowIndex"}]}]}]}`, benchPatient)
	eng := engine(f)
	f.Fuzz(func(t *testing.T, view, resource string) {
		v, err := Compile([]byte(view), eng)
		if err != nil {
			return
		}
		tree, err := fhir.Parse([]byte(resource))
		if err != nil {
			return
		}
		for _, format := range []string{"csv", "json", "parquet"} {
			w, err := NewWriter(discard{}, format, v.Columns(), true)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			_ = v.Rows(tree.Root(), func(row []Cell) error {
				if n++; n > 1000 {
					return errStop
				}
				_ = w.Write(row)
				return nil
			})
			_ = w.Close()
		}
	})
}
