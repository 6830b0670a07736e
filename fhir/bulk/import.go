package bulk

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// importChunk is how many resources of an $import are one transaction.
const importChunk = 500

// Opener opens a file that an $import names: s3://bucket/key or a URL.
type Opener func(ctx context.Context, address string) (io.ReadCloser, error)

// ImportOperation is POST $import: each line of NDJSON is put under its own id,
// so that doing it again changes nothing. The lines are the body, or with a
// Parameters body those of the files its input.url name (.gz too). The answer is
// an OperationOutcome that names the rows that were refused; the others are
// stored. With Prefer: respond-async it runs as a job, whose record in files
// lets it go on after a restart. open may be nil.
func ImportOperation(files Files, open Opener) server.Operation {
	return server.Operation{Name: "import", Definition: "https://qihuang.health/fhir/OperationDefinition/import", System: true, Changes: true, Async: true,
		Run: func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			im := &importing{s: s, r: r, open: open, at: &importState{English: r.English}}
			if r.MediaType != mimeLines {
				var err error
				if im.at.Inputs, err = inputs(r.Body); err != nil {
					return nil, err
				}
				if open == nil || len(im.at.Inputs) == 0 {
					return nil, notLines()
				}
			}
			if r.Prefer.Async {
				return startImport(ctx, im, files, r)
			}
			if im.at.Inputs != nil {
				return im.reply(im.inputs(ctx))
			}
			return im.reply(im.lines(ctx, bytes.NewReader(r.Body)))
		}}
}

func notLines() error {
	return fault.New(fault.Unsupported, "$import takes NDJSON").With(fault.Issue{Severity: "error", Code: "not-supported", Key: outcome.KeyMediaType,
		Text: "$import 的内容应为 NDJSON，或列出 input.url 的 Parameters", TextEN: "$import takes NDJSON, or Parameters with input.url", Hint: "Content-Type: " + mimeLines})
}

// importState is how far an $import is.
type importState struct {
	English bool          `json:"english,omitempty"`
	Inputs  []string      `json:"inputs,omitempty"` // addresses of the files; nil = the body
	File    int           `json:"file"`             // index of the one being read
	Row     int           `json:"row"`              // its rows that are done
	Stored  int           `json:"stored"`
	Issues  []fault.Issue `json:"issues,omitempty"`
}

// importing is one $import.
type importing struct {
	s      *server.Server
	r      *server.Request
	open   Opener
	at     *importState
	ops    []store.Op
	seen   map[string]bool // Type/id in ops
	offset int64

	key  func() string               // Idempotency-Key of the next transaction; nil = none
	keep func(context.Context) error // writes the state down after a transaction; nil = it is not kept
}

// maxImportIssues bounds the issues of one answer.
const maxImportIssues = 200

func (im *importing) refuse(row int, err error) {
	issues := fault.IssuesOf(err)
	if len(issues) == 0 {
		issues = []fault.Issue{{Severity: "error", Code: "processing", Text: "不能导入", TextEN: err.Error()}}
	}
	for _, is := range issues {
		if len(im.at.Issues) == maxImportIssues {
			return
		}
		if is.Line <= 1 {
			is.Line = row // a line of the file is a resource
		}
		if im.at.Inputs != nil {
			file := path.Base(im.at.Inputs[im.at.File])
			is.Text, is.TextEN = file+"："+is.Text, file+": "+is.TextEN
		}
		im.at.Issues = append(im.at.Issues, is)
	}
}

func (im *importing) add(ctx context.Context, row int, line []byte) error {
	tree, err := fhir.Parse(line)
	if err != nil {
		im.refuse(row, err)
		return nil
	}
	res := tree.Root()
	typ, id := res.ResourceType(), res.Get("id").Str()
	if !im.s.Model().IsResource(typ) || !fhir.IsID(id) {
		im.refuse(row, fault.New(fault.Invalid, "no type or id").With(fault.Issue{Severity: "error", Code: "required", Key: "import-id",
			Text: "导入的资源须有 resourceType 和 id", TextEN: "an imported resource needs resourceType and id"}))
		return nil
	}
	if err := im.s.Check(ctx, res, typ); err != nil {
		im.refuse(row, err)
		return nil
	}
	key := typ + "/" + id
	if im.seen[key] || len(im.ops) == importChunk { // a transaction writes a resource once
		if err := im.flush(ctx, row-1); err != nil {
			return err
		}
	}
	if im.seen == nil {
		im.seen = map[string]bool{}
	}
	im.seen[key] = true
	im.ops = append(im.ops, store.Op{Method: store.Update, Type: typ, ID: id, SkipSame: true, Resource: line})
	return nil
}

// mostLine bounds one line, which is one resource.
const mostLine = 50 << 20

// lines imports what r gives behind the rows that are done, row by row.
func (im *importing) lines(ctx context.Context, r io.Reader) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, mostLine)
	row := 0
	for sc.Scan() {
		row++
		line := bytes.TrimSpace(sc.Bytes())
		if len(line) == 0 || row <= im.at.Row {
			continue
		}
		if err := im.add(ctx, row, bytes.Clone(line)); err != nil {
			return err
		}
	}
	if ctx.Err() != nil { // it is not the file that ended
		return ctx.Err()
	}
	if err := sc.Err(); err != nil {
		im.refuse(row+1, fault.New(fault.Invalid, "the file ends early").With(fault.Issue{Severity: "error", Code: "structure", Key: "import-read",
			Text: "文件从这一行起读不下去", TextEN: "the file cannot be read from this line on"}))
	}
	return im.flush(ctx, row)
}

// inputs are the addresses of a Parameters body.
func inputs(body []byte) (out []string, err error) {
	if len(body) == 0 {
		return nil, nil
	}
	tree, err := fhir.Parse(body)
	if err != nil {
		return nil, err
	}
	for p := range tree.Root().Get("parameter").Each() {
		if p.Get("name").Str() != "input" {
			continue
		}
		for q := range p.Get("part").Each() {
			if q.Get("name").Str() != "url" {
				continue
			}
			for v := range q.Children() {
				if strings.HasPrefix(v.Key(), "value") {
					out = append(out, v.Str())
				}
			}
		}
	}
	return out, nil
}

// inputs imports the files not done yet, one after the other; one that cannot be
// opened is an issue, the others are imported.
func (im *importing) inputs(ctx context.Context) error {
	for ; im.at.File < len(im.at.Inputs); im.at.File, im.at.Row = im.at.File+1, 0 {
		if err := im.one(ctx, im.at.Inputs[im.at.File]); err != nil {
			return err
		}
	}
	return nil
}

func (im *importing) one(ctx context.Context, address string) error {
	f, err := im.open(ctx, address)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		var msg *fault.Error
		text := "打不开"
		if errors.As(err, &msg) {
			text = msg.Msg
		}
		im.refuse(1, fault.New(fault.Invalid, "cannot open").With(fault.Issue{Severity: "error", Code: "not-found", Key: "import-open", Text: text, TextEN: "the file cannot be opened"}))
		return nil
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(address, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			im.refuse(1, fault.New(fault.Invalid, "no gzip").With(fault.Issue{Severity: "error", Code: "structure", Key: "import-gzip", Text: "不是 gzip 文件", TextEN: "no gzip file"}))
			return nil
		}
		r = z
	}
	return im.lines(ctx, r)
}

// flush commits what was read; the rows up to row are done with it.
func (im *importing) flush(ctx context.Context, row int) error {
	if len(im.ops) == 0 {
		return nil
	}
	sub := *im.r
	sub.Header = nil // the client's Idempotency-Key is for one transaction, these are several
	if im.key != nil {
		sub.Header = http.Header{"Idempotency-Key": {im.key()}}
	}
	res, err := im.s.CommitAll(ctx, &sub, im.ops)
	if err != nil {
		return err
	}
	im.offset, im.at.Row = res.Offset, row
	im.at.Stored += len(im.ops)
	im.ops, im.seen = nil, nil
	if im.keep == nil {
		return nil
	}
	return im.keep(ctx)
}

// outcome tells what was imported and what was refused.
func (im *importing) outcome() []byte {
	n := strconv.Itoa(im.at.Stored)
	first := fault.Issue{Severity: "information", Code: "informational", Key: "imported", Text: "已导入 " + n + " 个资源", TextEN: "imported " + n + " resources"}
	return outcome.Issues(append([]fault.Issue{first}, im.at.Issues...), outcome.Options{English: im.at.English, RequestID: im.r.ID})
}

func (im *importing) reply(err error) (*server.Reply, error) {
	if err != nil {
		return nil, err
	}
	return &server.Reply{Body: im.outcome(), Offset: im.offset}, nil
}
