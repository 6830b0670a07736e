package rest

import (
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func known(t string) bool { return t == "Patient" || t == "Observation" || t == "Binary" }

func TestParseTarget_ok(t *testing.T) {
	for path, want := range map[string]Target{
		"":                               {Shape: Root},
		"/":                              {Shape: Root},
		"/metadata":                      {Shape: Metadata},
		"/_history":                      {Shape: SystemHistory},
		"/_search":                       {Shape: SystemSearch},
		"/$convert":                      {Shape: SystemOperation, Name: "convert"},
		"/_async/7":                      {Shape: AsyncStatus, ID: "7"},
		"/Patient":                       {Shape: TypeLevel, Type: "Patient"},
		"Patient/":                       {Shape: TypeLevel, Type: "Patient"},
		"/Patient/_search":               {Shape: TypeSearch, Type: "Patient"},
		"/Patient/_history":              {Shape: TypeHistory, Type: "Patient"},
		"/Patient/$validate":             {Shape: TypeOperation, Type: "Patient", Name: "validate"},
		"/Patient/a-1.B":                 {Shape: Instance, Type: "Patient", ID: "a-1.B"},
		"/Patient/1/_history":            {Shape: InstanceHistory, Type: "Patient", ID: "1"},
		"/Patient/1/_history/2":          {Shape: VersionLevel, Type: "Patient", ID: "1", Version: "2"},
		"/Patient/1/_history/2/$meta":    {Shape: VersionOperation, Type: "Patient", ID: "1", Version: "2", Name: "meta"},
		"/Patient/1/$everything":         {Shape: InstanceOperation, Type: "Patient", ID: "1", Name: "everything"},
		"/Patient/1/Observation":         {Shape: Compartment, Type: "Patient", ID: "1", Name: "Observation"},
		"/Patient/1/*":                   {Shape: Compartment, Type: "Patient", ID: "1", Name: "*"},
		"/Patient/1/Observation/_search": {Shape: CompartmentSearch, Type: "Patient", ID: "1", Name: "Observation"},
	} {
		got, err := ParseTarget(path, known)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", path, got, err, want)
		}
	}
}

func TestParseTarget_bad(t *testing.T) {
	for path, want := range map[string]fault.Kind{
		"/Patients":                            fault.NotFound,
		"/patient":                             fault.NotFound,
		"/Patient/a_b":                         fault.Invalid,
		"/Patient/_nothing":                    fault.Invalid,
		"/Patient/" + string(make([]byte, 65)): fault.Invalid,
		"/Patient//x":                          fault.Invalid,
		"/Patient/1/Nothing":                   fault.NotFound,
		"/Patient/1/nothing":                   fault.NotFound,
		"/Patient/1/_history/2/3":              fault.NotFound,
		"/a/b/c/d/e/f/g/h":                     fault.NotFound,
		"/_async/1/2/3":                        fault.NotFound,
	} {
		if _, err := ParseTarget(path, known); !fault.Is(err, want) {
			t.Errorf("%q: %v, want %v", path, err, want)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"", "/Patient/1/_history/2", "/Patient/$x", "//", "/Patient/1/*/_search"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, err := ParseTarget(path, known)
		if err == nil && got.Shape == NoShape {
			t.Errorf("%q: no shape and no error", path)
		}
	})
}
