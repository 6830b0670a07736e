package operation_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestFHIRKit lets an independent client, fhir-kit-client of npm, use the server.
func TestFHIRKit(t *testing.T) {
	dir := filepath.Join("..", "..", "conformance", "clients")
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is absent")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "fhir-kit-client")); err != nil {
		t.Skip("fhir-kit-client is absent: run npm ci in conformance/clients")
	}
	cmd := exec.CommandContext(t.Context(), node, "fhirkit.mjs", start(t))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
