package sqlrun

import (
	"context"
	"net/http"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Operations are the operations for the REST server: $sql-run and $sql-export
// with their aliases.
func (s *Service) Operations() []server.Operation {
	const canonical = "http://hl7.org/fhir/uv/sql-on-fhir/OperationDefinition/"
	run := func(name string) server.Operation {
		return server.Operation{Name: name, Definition: canonical + "SqlRun", System: true, Types: []string{viewType, "Library"},
			Instances: []string{viewType, "Library"}, Formats: true, Run: s.serveRun}
	}
	export := func(name string) server.Operation {
		return server.Operation{Name: name, Definition: canonical + "SqlExport", System: true, Types: []string{viewType},
			Instances: []string{viewType}, Formats: true, Async: true, Run: s.serveExport}
	}
	return []server.Operation{run("sql-run"), run("viewdefinition-run"), run("sqlquery-run"), run("run"),
		export("sql-export"), export("viewdefinition-export"), export("sqlquery-export"), export("export-view")}
}

const viewType = "ViewDefinition"

// params reads the parameters of a request; the instance it is called on is
// the subject.
func (s *Service) params(r *server.Request) (*params, error) {
	body := r.Body
	if r.Method != http.MethodPost {
		body = nil
	}
	p, err := readParams(r.Params(), body)
	if err == nil && r.Target.ID != "" {
		p.text["subjectReference"] = []string{r.Type + "/" + r.Target.ID}
	}
	return p, err
}

func (s *Service) serveRun(ctx context.Context, _ *server.Server, r *server.Request) (*server.Reply, error) {
	p, err := s.params(r)
	if err != nil {
		return nil, err
	}
	f, err := negotiate(p, r.Header.Get("Accept"))
	if err != nil {
		return nil, err
	}
	rows, err := s.run(ctx, p, f, r.MinOffset)
	if err != nil {
		return nil, err
	}
	if f.binary {
		return &server.Reply{Body: wrapBinary(f.media(), rows)}, nil
	}
	if rows == nil {
		rows = []byte{}
	}
	return &server.Reply{Native: rows, ContentType: f.media()}, nil
}

// exportFormats are the formats that files may have.
func exportFormat(p *params) (format, error) {
	f, err := negotiate(p, "")
	if err == nil && f.name == "fhir" {
		err = invalid("parameter", "$sql-export 不支持 _format=fhir", "$sql-export does not take _format=fhir")
	}
	return f, err
}

func baseName(name string) (string, error) {
	if !isWord(strings.NewReplacer("-", "_", ".", "_").Replace(name)) {
		return "", fault.New(fault.Invalid, "%q is no name of an export", clip(name))
	}
	return name, nil
}
