package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// TestSourceNew holds every block that the command writes to be a valid
// configuration.
func TestSourceNew(t *testing.T) {
	t.Setenv("X_1_KEY", "k")
	for _, v := range []string{"X_1_SECRET", "X_1_DSN", "X_1_TOKEN"} {
		t.Setenv(v, "reader:x@tcp(h:1)/his")
	}
	for kind := range sourceBlocks {
		file := filepath.Join(t.TempDir(), "hub.yaml")
		if err := os.WriteFile(file, []byte("portOffset: 1\nsources: []  # none yet\nzone: Asia/Shanghai\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		run := func() error {
			cmd := sourceNewCmd()
			cmd.SetArgs([]string{"--kind", kind, "--name", "x-1", "--config", file})
			cmd.SetOut(&strings.Builder{})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			return cmd.Execute()
		}
		if err := run(); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		b, _ := os.ReadFile(file)
		text := strings.NewReplacer(`user: ""`, `user: u`, `keyFile: ""`, `keyFile: k`).Replace(string(b))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := LoadConfig(file)
		if err != nil || len(cfg.Sources) != 1 || cfg.Sources[0].Name != "x-1" || cfg.PortOffset != 1 || cfg.Zone == "" {
			t.Errorf("%s: %v\n%s", kind, err, text)
		}
		if err := run(); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s twice: %v", kind, err)
		}
	}
}

// TestSourcesExample holds the shipped example to the keys the code knows.
func TestSourcesExample(t *testing.T) {
	for _, v := range []string{"HIS_DSN", "S3_KEY", "S3_SECRET", "CITY_TOKEN", "SFTP_PASSWORD"} {
		t.Setenv(v, "x@tcp(h:1)/y")
	}
	cfg, err := LoadConfig(filepath.Join("..", "..", "configs", "sources.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, s := range cfg.Sources {
		kinds[s.Kind] = true
	}
	for _, k := range []string{"http", "soap", "mllp", "files", "sftp", "s3", "db", "fhir-pull", "fhir-push"} {
		if !kinds[k] {
			t.Errorf("configs/sources.yaml has no %s", k)
		}
	}
}

func TestSources_bad(t *testing.T) {
	for name, text := range map[string]string{
		"kind":     "sources: [{name: a, kind: fax}]",
		"no name":  "sources: [{kind: http}]",
		"twice":    "sources: [{name: a, kind: http}, {name: a, kind: http}]",
		"no dir":   "sources: [{name: a, kind: files}]",
		"key":      "sources: [{name: a, kind: files, files: {folder: x, intervall: 5s}}]",
		"hours":    "sources: [{name: a, kind: http, hours: [night]}]",
		"variable": "sources: [{name: a, kind: http, http: {token: \"${QIHUANG_NO_SUCH}\"}}]",
	} {
		p := filepath.Join(t.TempDir(), "hub.yaml")
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(p); err == nil {
			t.Errorf("%s: accepted %q", name, text)
		}
	}
}
