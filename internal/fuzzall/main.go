// Command fuzzall runs every fuzz target of the module for a while each, since
// `go test -fuzz` takes one target of one package at a time.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

var target = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

func main() {
	budget := flag.String("time", "10s", "how long each target runs")
	flag.Parse()
	failed := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range target.FindAllSubmatch(src, -1) {
			if !run("./"+filepath.Dir(path), string(m[1]), *budget) {
				failed++
			}
		}
		return nil
	})
	if err != nil || failed > 0 {
		fmt.Fprintln(os.Stderr, "fuzzing failed:", failed, err)
		os.Exit(1)
	}
}

// run fuzzes one target and reports whether it held.
func run(pkg, name, budget string) bool {
	out, err := exec.Command("go", "test", pkg, "-run", "^$", "-fuzz", "^"+name+"$", "-fuzztime", budget, "-fuzzminimizetime", "1x").CombinedOutput()
	last := bytes.TrimSpace(out)
	if i := bytes.LastIndexByte(last, '\n'); i >= 0 && err == nil {
		last = last[i+1:]
	}
	fmt.Printf("%s %s: %s\n", pkg, name, last)
	return err == nil
}
