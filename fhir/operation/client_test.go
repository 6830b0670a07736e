package operation_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFHIRKit lets an independent client, fhir-kit-client of npm, use the server.
func TestFHIRKit(t *testing.T) { client(t, "fhir-kit-client", "fhirkit.mjs") }

// TestSMARTClient lets another, the SMART JS client fhirclient, do the same.
func TestSMARTClient(t *testing.T) { client(t, "fhirclient", "fhirclient.mjs") }

// client runs a script of an npm package against a server.
func client(t *testing.T, pkg, script string) {
	t.Helper()
	dir := filepath.Join("..", "..", "conformance", "clients")
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is absent")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", pkg)); err != nil {
		t.Skip(pkg + " is absent: run npm ci in conformance/clients")
	}
	cmd := exec.CommandContext(t.Context(), node, script, start(t))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
}
