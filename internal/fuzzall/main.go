// Command fuzzall runs every fuzz target of the module for a while each, since
// `go test -fuzz` takes one target of one package at a time. Each package is
// compiled once, and all its targets run from that binary.
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
	"slices"
	"strings"
	"time"
)

var target = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

func main() {
	budget := flag.Duration("time", 10*time.Second, "how long each target runs")
	flag.Parse()
	if err := run(*budget); err != nil {
		fmt.Fprintln(os.Stderr, "fuzzing failed:", err)
		os.Exit(1)
	}
}

// run fuzzes every target below the current folder and reports how many failed.
func run(budget time.Duration) error {
	start := time.Now()
	targets, err := find()
	if err != nil {
		return err
	}
	f, err := newFuzzer(budget)
	if err != nil {
		return err
	}
	bin, err := os.MkdirTemp("", "fuzzall")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	var dirs []string
	for dir := range targets {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	count, failed := 0, 0
	for i, dir := range dirs {
		binary := filepath.Join(bin, fmt.Sprint(i, ".test"))
		if out, err := exec.Command("go", "test", "-c", "-fuzz", "Fuzz", "-o", binary, "./"+dir).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", dir, err, out)
		}
		for _, name := range targets[dir] {
			count++
			if !f.fuzz(binary, dir, name) {
				failed++
			}
		}
		os.Remove(binary)
	}
	fmt.Printf("%d targets in %d packages, %d failed, %.0f s\n", count, len(dirs), failed, time.Since(start).Seconds())
	if failed > 0 {
		return fmt.Errorf("%d of %d targets", failed, count)
	}
	return nil
}

// find returns the fuzz targets by folder.
func find() (map[string][]string, error) {
	targets := map[string][]string{}
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
		for _, m := range target.FindAllSubmatch(src, -1) {
			targets[filepath.Dir(path)] = append(targets[filepath.Dir(path)], string(m[1]))
		}
		return err
	})
	return targets, err
}

// fuzzer runs targets from compiled test binaries.
type fuzzer struct {
	budget time.Duration
	corpus string // where `go test` keeps the module's interesting inputs
}

func newFuzzer(budget time.Duration) (*fuzzer, error) {
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return nil, err
	}
	module, err := exec.Command("go", "list", "-m").Output()
	if err != nil {
		return nil, err
	}
	return &fuzzer{budget, filepath.Join(string(bytes.TrimSpace(cache)), "fuzz", string(bytes.TrimSpace(module)))}, nil
}

// fuzz runs one target in its package's folder, where failing inputs are kept,
// and reports whether it held. Minimising is off: it can take the whole budget.
func (f *fuzzer) fuzz(binary, dir, name string) bool {
	cmd := exec.Command(binary, "-test.run", "^$", "-test.fuzz", "^"+name+"$", "-test.fuzztime", f.budget.String(),
		"-test.fuzzminimizetime", "1x", "-test.fuzzcachedir", filepath.Join(f.corpus, dir))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil && bytes.Contains(out, []byte("    context deadline exceeded\n")) && !bytes.Contains(out, []byte("Failing input")) {
		err = nil // the time ran out between two inputs (golang.org/issue/75804)
		out = bytes.ReplaceAll(out, []byte("FAIL\n"), nil)
	}
	last := bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(out), []byte("PASS")))
	if i := bytes.LastIndexByte(last, '\n'); i >= 0 && err == nil {
		last = last[i+1:]
	}
	fmt.Printf("./%s %s: %s\n", dir, name, last)
	return err == nil
}
