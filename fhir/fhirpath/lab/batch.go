package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxLine bounds one line of a batch; maxFiles the files kept parsed.
const (
	maxLine  = 256 << 20
	maxFiles = 64
)

// Batch reads lines
//
//	{"resource": PATH | XML or JSON text | object, "expr": "…", "context": "…", "variables": {name: json}, "strict": bool}
//
// of which only expr is needed, and writes for each, in order,
//
//	{"result":[{"type":"string","value":…}]}   or   {"error":"…"}
//
// Paths are of local files: Batch is for the command line only. It fails when
// reading or writing does, never because of a line.
func (l *Lab) Batch(ctx context.Context, r io.Reader, w io.Writer) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxLine)
	out := bufio.NewWriterSize(w, 64<<10)
	b := batch{lab: l, files: map[string]fhir.Node{}}
	for in.Scan() {
		line := bytes.TrimSpace(in.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return errors.Join(err, out.Flush())
		}
		if _, err := out.Write(append(b.line(ctx, bytes.Clone(line)), '\n')); err != nil {
			return err
		}
	}
	return errors.Join(in.Err(), out.Flush())
}

type batch struct {
	lab   *Lab
	files map[string]fhir.Node
}

func (b *batch) line(ctx context.Context, src []byte) []byte {
	out, err := b.run(ctx, src)
	if err != nil {
		text, _ := json.Marshal(message(err)) // a string always marshals
		return append(append([]byte(`{"error":`), text...), '}')
	}
	return out
}

func (b *batch) run(ctx context.Context, src []byte) ([]byte, error) {
	tree, err := fhir.Parse(src)
	if err != nil {
		return nil, err
	}
	line := tree.Root()
	expr := line.Get("expr")
	if expr.Kind() != fhir.String {
		return nil, fault.New(fault.Invalid, "the line has no expr")
	}
	job := Job{Expr: expr.Str(), Context: line.Get("context").Str()}
	job.Strict, _ = line.Get("strict").Bool()
	if job.Resource, err = b.resource(line.Get("resource")); err != nil {
		return nil, err
	}
	for v := range line.Get("variables").Children() {
		if job.Variables == nil {
			job.Variables = map[string]fhirpath.Collection{}
		}
		job.Variables[v.Key()] = b.lab.Variable(v)
	}
	groups, _, err := b.lab.Run(ctx, job)
	if err != nil {
		return nil, err
	}
	out := []byte(`{"result":[`)
	for _, g := range groups {
		for _, it := range g.Items {
			if out[len(out)-1] != '[' {
				out = append(out, ',')
			}
			out = AppendItem(out, it)
		}
	}
	return append(out, `]}`...), nil
}

// AppendItem appends an item as {"type":…,"value":…}.
func AppendItem(dst []byte, it item) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, typeName(it)...)
	dst = append(dst, `","value":`...)
	mark := len(dst)
	dst = it.AppendJSON(dst)
	if bytes.ContainsAny(dst[mark:], "\r\n") { // one line, whatever the source looked like
		var flat bytes.Buffer
		if json.Compact(&flat, dst[mark:]) == nil {
			dst = append(dst[:mark], flat.Bytes()...)
		}
	}
	return append(dst, '}')
}

// resource reads the resource of a line: an object, text, or a file's path.
func (b *batch) resource(n fhir.Node) (fhir.Node, error) {
	switch n.Kind() {
	case fhir.None, fhir.Null:
		return fhir.Node{}, nil
	case fhir.Object:
		return n, nil
	case fhir.String:
	default:
		return fhir.Node{}, fault.New(fault.Invalid, "resource must be an object, JSON or XML text, or a path")
	}
	text := []byte(n.Str())
	if t := bytes.TrimLeft(text, " \t\r\n\ufeff"); len(t) > 0 && (t[0] == '{' || t[0] == '<') {
		return b.lab.Read(text)
	}
	path := n.Str()
	if res, ok := b.files[path]; ok {
		return res, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fhir.Node{}, fault.New(fault.NotFound, "read the resource: %w", err)
	}
	res, err := b.lab.Read(data)
	if err == nil && len(b.files) < maxFiles {
		b.files[path] = res
	}
	return res, err
}
