package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func runConvert(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	cmd := convertCmd()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	err = cmd.Execute()
	return o.String(), e.String(), err
}

func TestConvertCommand(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "xml")
	for name, text := range map[string]string{"a.json": `{"resourceType":"Patient","id":"a"}`, "b.json": "{\"resourceType\":\"Patient\",\n\"nme\":1}", "c.txt": "not taken"} {
		if err := os.WriteFile(filepath.Join(in, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, stderr, err := runConvert(t, "", "--to", "xml", "--out", out, in, filepath.Join(in, "none.json"))
	var code exitCode
	if !errors.As(err, &code) || code != 1 {
		t.Errorf("exit: %v", err)
	}
	if !strings.Contains(stderr, "b.json:2:1: Patient: Patient 没有元素 nme") || !strings.Contains(stderr, "none.json") || !strings.Contains(stderr, "已转换 1 个文件，2 个失败") {
		t.Error(stderr)
	}
	got, err := os.ReadFile(filepath.Join(out, "a.xml"))
	if err != nil || !strings.HasSuffix(string(got), `<Patient xmlns="http://hl7.org/fhir"><id value="a"/></Patient>`) {
		t.Errorf("%s %v", got, err)
	}
	stdout, _, err := runConvert(t, string(got), "--to", "json", "-")
	if err != nil || stdout != "{\"resourceType\":\"Patient\",\"id\":\"a\"}\n" {
		t.Errorf("%q %v", stdout, err)
	}
	if _, _, err := runConvert(t, "", "--to", "ttl", "x"); err == nil {
		t.Error("format ttl accepted")
	}
}
