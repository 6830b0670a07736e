package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestValidateCommand checks the faces of `qihuang validate`: JSON and XML by
// content, one line a file in order, exit codes.
func TestValidateCommand(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := []string{
		write("ok.txt", `{"resourceType":"Patient","gender":"male"}`),
		write("code.json", `{"resourceType":"Patient","gender":"mail"}`),
		write("x.xml", `<Patient xmlns="http://hl7.org/fhir"><gender value="mail"/></Patient>`),
		write("broken.json", `{"resourceType":`),
		filepath.Join(dir, "none.json"),
	}
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := validateCmd()
		cmd.SetArgs(args)
		cmd.SetOut(&out)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.Execute()
		return out.String(), err
	}
	out, err := run(append([]string{"--json"}, files...)...)
	if code := exitCode(0); !errors.As(err, &code) || code != 1 {
		t.Errorf("a file that cannot be read must give exit code 1: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	want := []string{"", "Patient.gender", "Patient.gender", "fatal", "fatal"}
	if len(lines) != len(files) {
		t.Fatalf("%d lines for %d files: %s", len(lines), len(files), out)
	}
	for i, line := range lines {
		var r struct {
			File    string
			Outcome struct {
				ResourceType string
				Issue        []struct {
					Severity   string
					Expression []string
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.File != files[i] || r.Outcome.ResourceType != "OperationOutcome" {
			t.Fatalf("line %d: %v %s", i, err, line)
		}
		found := ""
		for _, is := range r.Outcome.Issue {
			if is.Severity == "fatal" {
				found = "fatal"
			} else if is.Severity == "error" {
				found = strings.Join(is.Expression, " ")
			}
		}
		if found != want[i] {
			t.Errorf("%s: %q, want %q: %s", files[i], found, want[i], line)
		}
	}
	if _, err := run("--json", files[0], files[1]); err != nil {
		t.Errorf("--json with readable files must end well: %v", err)
	}
	out, err = run(files[1])
	if err == nil || !strings.Contains(out, "code.json:1:27: 错误: Patient.gender: ") {
		t.Errorf("text: %v %s", err, out)
	}
}
