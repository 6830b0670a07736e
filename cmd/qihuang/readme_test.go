package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// example is a marked command of the README.
var example = regexp.MustCompile("(?s)<!-- doctest: (\\w+) -->\n```bash\n(.*?)```")

// TestReadme runs the marked commands of the README, ports shifted, and looks
// at what they print.
func TestReadme(t *testing.T) {
	needEngine(t)
	src, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	h := startHub(t)
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ports := strings.NewReplacer("bin/qihuang", bin, "/tmp/p.json", filepath.Join(t.TempDir(), "p.json"), "127.0.0.1:8080", fmt.Sprintf("127.0.0.1:%d", h.port(8080)), "127.0.0.1:8123", fmt.Sprintf("127.0.0.1:%d", h.port(8123)))
	want := map[string]func(out string) error{
		"push": func(out string) error { return contains(out, "accepted") },
		"sql": func(out string) error {
			return contains(out, "CF0001\t桂枝\t6\tg", "CF0001\t麻黄\t6\tg", "CF0001\t苦杏仁\t9\tg", "CF0001\t炙甘草\t3\tg")
		},
		"fhir": func(out string) error {
			var b struct {
				ResourceType string
				Entry        []struct{ Resource map[string]any }
			}
			if err := json.Unmarshal([]byte(out), &b); err != nil {
				return err
			}
			if b.ResourceType != "Bundle" || len(b.Entry) != 1 || b.Entry[0].Resource["resourceType"] != "MedicationRequest" {
				return fmt.Errorf("unexpected bundle")
			}
			return contains(out, "CF0001")
		},
		"halls":    func(out string) error { return contains(out, "370000001", "1") },
		"measure":  func(out string) error { return contains(out, "MeasureReport", `"count":1`) },
		"fhirpath": func(out string) error { return contains(out, "王五") },
		"validate": func(out string) error { return contains(out, "birthDay", "birthDate") },
	}
	for _, m := range example.FindAllSubmatch(src, -1) {
		name, command := string(m[1]), ports.Replace(string(m[2]))
		check := want[name]
		if check == nil {
			t.Errorf("README example %q has no expectation", name)
			continue
		}
		delete(want, name)
		var out []byte
		var last error
		for deadline := time.Now().Add(10 * time.Second); ; {
			out, err = exec.Command("bash", "-c", command).CombinedOutput()
			if last = err; last == nil || name == "validate" { // a wrong resource is exit code 1
				last = check(string(out))
			}
			if last == nil || time.Now().After(deadline) {
				break
			}
			<-time.After(200 * time.Millisecond)
		}
		if last != nil {
			t.Errorf("README example %q: %v\n%s", name, last, out)
		}
	}
	if len(want) > 0 {
		t.Errorf("README lost examples: %v", want)
	}
}

func contains(out string, parts ...string) error {
	for _, p := range parts {
		if !strings.Contains(out, p) {
			return fmt.Errorf("output lacks %q", p)
		}
	}
	return nil
}
