package bulk

import (
	"bytes"
	"context"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// importChunk is how many resources of an $import are one transaction.
const importChunk = 500

// ImportOperation is POST $import with NDJSON in the body: each line is put
// under its own id. The answer is an OperationOutcome that names the rows that
// were refused; the others are stored. With Prefer: respond-async it runs as a
// job.
func ImportOperation() server.Operation {
	return server.Operation{Name: "import", Definition: "https://qihuang.health/fhir/OperationDefinition/import", System: true, Changes: true,
		Run: func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			if r.MediaType != mimeLines {
				return nil, fault.New(fault.Unsupported, "$import takes NDJSON").With(fault.Issue{Severity: "error", Code: "not-supported",
					Key: outcome.KeyMediaType, Text: "$import 的内容应为 NDJSON", TextEN: "$import takes NDJSON", Hint: "Content-Type: " + mimeLines})
			}
			im := &importing{s: s, r: r}
			row := 0
			for line := range bytes.Lines(r.Body) {
				row++
				if line = bytes.TrimSpace(line); len(line) == 0 {
					continue
				}
				if err := im.add(ctx, row, line); err != nil {
					return nil, err
				}
			}
			if err := im.flush(ctx); err != nil {
				return nil, err
			}
			return im.reply(), nil
		}}
}

// importing is one $import.
type importing struct {
	s      *server.Server
	r      *server.Request
	ops    []store.Op
	seen   map[string]bool // Type/id in ops
	stored int
	issues []fault.Issue
	offset int64
}

// maxImportIssues bounds the issues of one answer.
const maxImportIssues = 200

func (im *importing) refuse(row int, err error) {
	issues := fault.IssuesOf(err)
	if len(issues) == 0 {
		issues = []fault.Issue{{Severity: "error", Code: "processing", Text: "不能导入", TextEN: err.Error()}}
	}
	for _, is := range issues {
		if len(im.issues) == maxImportIssues {
			return
		}
		if is.Line <= 1 {
			is.Line = row // a line of the file is a resource
		}
		im.issues = append(im.issues, is)
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
		if err := im.flush(ctx); err != nil {
			return err
		}
	}
	if im.seen == nil {
		im.seen = map[string]bool{}
	}
	im.seen[key] = true
	im.ops = append(im.ops, store.Op{Method: store.Update, Type: typ, ID: id, Resource: line})
	return nil
}

func (im *importing) flush(ctx context.Context) error {
	if len(im.ops) == 0 {
		return nil
	}
	sub := *im.r
	sub.Header = nil // an Idempotency-Key is for one transaction, these are several
	res, err := im.s.CommitAll(ctx, &sub, im.ops)
	if err != nil {
		return err
	}
	im.offset = res.Offset
	im.stored += len(im.ops)
	im.ops, im.seen = nil, nil
	return nil
}

func (im *importing) reply() *server.Reply {
	o := outcome.Options{English: im.r.English, RequestID: im.r.ID}
	n := fault.Issue{Severity: "information", Code: "informational", Key: "imported", Text: "已导入 " + strconv.Itoa(im.stored) + " 个资源", TextEN: "imported " + strconv.Itoa(im.stored) + " resources"}
	return &server.Reply{Body: outcome.Issues(append([]fault.Issue{n}, im.issues...), o), Offset: im.offset}
}
