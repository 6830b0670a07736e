package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/validate"
	"github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

func validateCmd() *cobra.Command {
	var c checker
	var level string
	cmd := &cobra.Command{
		Use:   "validate [--profile URL] [--json] FILES…",
		Short: "校验 FHIR 资源文件（JSON 或 XML，按内容识别）",
		Long: `校验 FHIR R4 资源：结构、基数、类型与格式、切片与 profile、扩展、值集绑定、不变式、引用、Bundle 规则和叙述文本。
已内置 R4 定义和岐黄中医实施指南。不带 --json 时逐条列出问题，有错误则退出码为 1；
--json 时每个文件输出一行 {"file": 路径, "outcome": OperationOutcome}，能读完全部文件即退出码 0。`,
		Example: "  qihuang validate patient.json\n  qihuang validate --profile https://qihuang.health/fhir/StructureDefinition/tcm-patient *.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			l, err := validate.ParseLevel(level)
			if err != nil {
				return err
			}
			c.options.Level = l
			k, err := loadKnowledge(time.Local)
			if err != nil {
				return err
			}
			if c.validator, err = newValidator(k); err != nil {
				return err
			}
			c.knowledge = k
			out := bufio.NewWriter(cmd.OutOrStdout())
			defer out.Flush()
			return c.run(cmd.Context(), files, out)
		},
	}
	cmd.Flags().StringArrayVar(&c.options.Profiles, "profile", nil, "还须符合的 profile（canonical URL，可多次）")
	cmd.Flags().BoolVar(&c.json, "json", false, "每个文件输出一行 JSON")
	cmd.Flags().BoolVar(&c.english, "english", false, "用英文说明问题")
	cmd.Flags().StringVar(&level, "level", "full", "校验程度：structure（只查结构）或 full")
	return cmd
}

// newValidator compiles the model and takes the profiles of the TCM guide in.
func newValidator(k knowledge, opts ...validate.Option) (*validate.Validator, error) {
	v := validate.New(k.model, k.paths, k.terms, opts...)
	var guide [][]byte
	for _, b := range conformance.Structures() {
		guide = append(guide, b)
	}
	if err := v.Include(guide...); err != nil {
		return nil, fmt.Errorf("load the profiles of the TCM guide: %w", err)
	}
	return v, nil
}

// checker validates files.
type checker struct {
	knowledge
	validator *validate.Validator
	options   validate.Options
	json      bool
	english   bool
}

// verdict is what was found in one file.
type verdict struct {
	issues []fault.Issue
	unread bool // the file could not be read
}

// run validates files side by side and writes the results in their order.
func (c *checker) run(ctx context.Context, files []string, out io.Writer) error {
	results := make([]chan verdict, len(files))
	for i := range results {
		results[i] = make(chan verdict, 1)
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
				results[i] <- c.check(ctx, files[i])
			}
		})
	}
	bad, unread := 0, 0
	for i, f := range files {
		v := <-results[i]
		if v.unread {
			unread++
		}
		if !validate.Valid(v.issues) {
			bad++
		}
		c.write(out, f, v.issues)
	}
	if !c.json {
		fmt.Fprintf(out, "共 %d 个文件，%d 个有错误\n", len(files), bad)
	}
	if unread > 0 || bad > 0 && !c.json {
		return exitCode(1)
	}
	return nil
}

// check validates one file; whatever is wrong with it becomes an issue.
func (c *checker) check(ctx context.Context, file string) verdict {
	data, err := os.ReadFile(file)
	if err != nil {
		return verdict{unread: true, issues: []fault.Issue{{Severity: "fatal", Code: "not-found", Key: "file-unreadable",
			Text: "文件无法读取：" + err.Error(), TextEN: "cannot read the file: " + err.Error()}}}
	}
	source := data
	xmlText := bytes.HasPrefix(bytes.TrimLeft(data, "\ufeff \t\r\n"), []byte("<"))
	if xmlText {
		if data, err = xml.ToJSON(c.model, data); err != nil {
			return verdict{issues: issuesOf(err)}
		}
	}
	tree, err := fhir.Parse(data)
	if err != nil {
		return verdict{issues: issuesOf(err)}
	}
	issues := c.validator.Validate(ctx, tree.Root(), c.options)
	if xmlText {
		place(issues, source)
	}
	return verdict{issues: issues}
}

// place gives findings on a resource that came as XML their lines and columns
// there: so far they count in the JSON made of it.
func place(issues []fault.Issue, source []byte) {
	doc, err := xmlread.Parse(source, xmlread.Default())
	for i := range issues {
		issues[i].Line, issues[i].Col = 0, 0
		if err == nil {
			issues[i].Line, issues[i].Col = xml.Locate(doc.Root, issues[i].Expression).Position()
		}
	}
}

func issuesOf(err error) []fault.Issue {
	if list := fault.IssuesOf(err); len(list) > 0 {
		return list
	}
	return []fault.Issue{{Severity: "fatal", Code: "structure", Key: "unreadable", Text: err.Error(), TextEN: err.Error()}}
}

func (c *checker) write(out io.Writer, file string, issues []fault.Issue) {
	if c.json {
		b := fhir.AppendString([]byte(`{"file":`), file)
		b = append(append(b, `,"outcome":`...), outcome.Issues(issues, outcome.Options{English: c.english})...)
		_, _ = out.Write(append(b, '}', '\n'))
		return
	}
	for _, is := range issues {
		place := file
		if is.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", file, is.Line, is.Col)
		}
		text := is.Text
		if c.english && is.TextEN != "" {
			text = is.TextEN
		}
		if is.Hint != "" {
			text += "（" + is.Hint + "）"
		}
		fmt.Fprintf(out, "%s: %s: %s: %s [%s]\n", place, severityName(is.Severity), is.Expression, text, is.Key)
	}
}

func severityName(s string) string {
	switch s {
	case "fatal":
		return "致命"
	case "error":
		return "错误"
	case "warning":
		return "警告"
	}
	return "提示"
}
