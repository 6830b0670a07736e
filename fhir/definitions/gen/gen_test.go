package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestReproducible makes the file anew and compares it with the one committed.
func TestReproducible(t *testing.T) {
	for _, p := range packages {
		if _, ok := p.Cached(); !ok {
			t.Skipf("npm package %s absent: run go generate ./fhir/definitions", p.Name)
		}
	}
	out := filepath.Join(t.TempDir(), "r4.bin")
	if err := run(out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../r4.bin")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("r4.bin (%d bytes) is not what the generator writes (%d bytes): run go generate ./fhir/definitions", len(want), len(got))
	}
}
