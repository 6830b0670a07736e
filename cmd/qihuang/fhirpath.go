package main

import (
	"bufio"
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/fhirpath/lab"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// fhirpathCmd evaluates FHIRPath: one expression, or a batch of lines.
func fhirpathCmd() *cobra.Command {
	var resource, batch, within string
	var strict, asJSON bool
	cmd := &cobra.Command{
		Use:   "fhirpath [--resource FILE|-] EXPR",
		Short: "计算 FHIRPath 表达式",
		Long: "对一份 FHIR 资源（JSON 或 XML）计算 FHIRPath 表达式，每个结果一行。\n\n" +
			`--batch 逐行读取 {"resource":路径|文本|对象,"expr":"…","context":"…","variables":{…},"strict":布尔}，` +
			"\n" + `按同样顺序每行输出 {"result":[{"type":…,"value":…}]} 或 {"error":"…"}。`,
		Example: "  qihuang fhirpath --resource patient.json \"name.where(use = 'official').given\"\n" +
			"  qihuang fhirpath --batch cases.ndjson",
		Args: func(_ *cobra.Command, args []string) error {
			if (batch == "") != (len(args) == 1) || len(args) > 1 {
				return fault.New(fault.Invalid, "请给出一个表达式，或使用 --batch FILE")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			model, err := definitions.Load()
			if err != nil {
				return err
			}
			l := &lab.Lab{Engine: fhirpath.NewEngine(model), Name: "qihuang " + version}
			if batch != "" {
				return fhirpathBatch(cmd.Context(), l, batch, cmd.OutOrStdout())
			}
			job := lab.Job{Expr: args[0], Context: within, Strict: strict}
			if resource != "" {
				text, err := readInput(resource)
				if err != nil {
					return err
				}
				if job.Resource, err = l.Read(text); err != nil {
					return err
				}
			}
			return fhirpathPrint(cmd.Context(), l, job, asJSON, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&resource, "resource", "r", "", "资源文件，- 为标准输入")
	f.StringVar(&batch, "batch", "", "批量文件（NDJSON），- 为标准输入")
	f.StringVar(&within, "context", "", "先计算的上下文表达式，对其每个结果计算 EXPR")
	f.BoolVar(&strict, "strict", false, "按 R4 模型做静态类型检查")
	f.BoolVar(&asJSON, "json", false, `每行输出 {"type":…,"value":…}`)
	return cmd
}

func fhirpathBatch(ctx context.Context, l *lab.Lab, path string, w io.Writer) error {
	if path == "-" {
		return l.Batch(ctx, os.Stdin, w)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return l.Batch(ctx, f, w)
}

func fhirpathPrint(ctx context.Context, l *lab.Lab, job lab.Job, asJSON bool, w io.Writer) error {
	groups, _, err := l.Run(ctx, job)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	var line []byte
	for _, g := range groups {
		for _, it := range g.Items {
			line = append(line[:0], it.String()...)
			if asJSON {
				line = lab.AppendItem(line[:0], it)
			}
			if _, err := out.Write(append(line, '\n')); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// readInput reads a file, or standard input for "-".
func readInput(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}
