package rows

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/adapters/mapping"
)

func TestPutAndFind(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open("rows", fs)
	if err != nil {
		t.Fatal(err)
	}
	row := func(key, visit string) mapping.StagedRow {
		return mapping.StagedRow{Table: "T", Key: key, JSON: []byte(`{"K":"` + key + `"}`), Index: map[string]string{"V": visit}}
	}
	if err := s.Put("a", []mapping.StagedRow{row("1", "7"), row("2", "7"), row("3", "70"), row("1", "8")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Put("b", []mapping.StagedRow{row("1", "7")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open("rows", fs); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for visit, want := range map[string][]string{"7": {"2"}, "8": {"1"}, "70": {"3"}, "": nil, "9": nil} {
		found, err := s.Find("a", "T", "V", visit)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, r := range found {
			keys = append(keys, r.Key)
		}
		if !slices.Equal(keys, want) {
			t.Errorf("rows of %q: %v, want %v", visit, keys, want)
		}
	}
}
