package main

import (
	"context"
	"errors"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store/checked"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/sink"
)

// viewPolicy refuses ViewDefinitions that cannot become a table, beside what
// the source's own policy refuses.
type viewPolicy struct {
	checked.Checker // nil = no other checks
	sink            *sink.Sink
}

// Check implements checked.Checker.
func (p viewPolicy) Check(ctx context.Context, res fhir.Node) []fault.Issue {
	var found []fault.Issue
	if p.Checker != nil {
		found = p.Checker.Check(ctx, res)
	}
	if res.ResourceType() != "ViewDefinition" {
		return found
	}
	if err := p.sink.Check(res.Raw()); err != nil {
		text := err.Error()
		var f *fault.Error
		if errors.As(err, &f) && f.Kind == fault.Internal {
			text = "视图不能编译"
		}
		found = append(found, fault.Issue{Severity: "error", Code: "business-rule", Key: "view", Expression: "ViewDefinition", Text: "视图不能成为数据表：" + text, TextEN: "the view cannot become a table: " + text})
	}
	return found
}
