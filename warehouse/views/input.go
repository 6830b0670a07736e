package views

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxDocument bounds one line, or one JSON document.
const maxDocument = 1 << 30

// Resources reads FHIR resources from NDJSON, or from one JSON document over
// several lines, and calls fn for each; a Bundle gives its entries' resources.
// The node is valid until fn returns. Errors tell the line.
func Resources(r io.Reader, fn func(res fhir.Node) error) error {
	in := bufio.NewReaderSize(r, 1<<20)
	var p fhir.Parser
	for n := 1; ; n++ {
		line, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		last := err != nil
		if text := bytes.TrimSpace(line); len(text) > 0 {
			tree, err := p.Parse(text)
			if err != nil && n == 1 && !last {
				return document(&p, in, line, fn)
			}
			if err == nil {
				err = unwrap(tree.Root(), fn)
			}
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		if last {
			return nil
		}
	}
}

func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(long) > maxDocument {
			return nil, fault.New(fault.TooCostly, "a line of more than %d MB", maxDocument>>20)
		}
		line, err = in.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, err
}

// document reads all of the input as one value, whose first line is known.
func document(p *fhir.Parser, in io.Reader, begin []byte, fn func(fhir.Node) error) error {
	all := bytes.NewBuffer(bytes.Clone(begin))
	if _, err := io.Copy(all, io.LimitReader(in, maxDocument)); err != nil {
		return err
	}
	tree, err := p.Parse(all.Bytes())
	if err != nil {
		return err
	}
	return unwrap(tree.Root(), fn)
}

func unwrap(n fhir.Node, fn func(fhir.Node) error) error {
	switch {
	case n.Kind() == fhir.Array:
		for c := range n.Children() {
			if err := unwrap(c, fn); err != nil {
				return err
			}
		}
		return nil
	case n.Kind() != fhir.Object:
		return fault.New(fault.Invalid, "no FHIR resource")
	case n.ResourceType() == "Bundle":
		for e := range n.Get("entry").Each() {
			if res := e.Get("resource"); res.Exists() {
				if err := fn(res); err != nil {
					return err
				}
			}
		}
	}
	return fn(n)
}
