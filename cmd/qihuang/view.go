package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// viewCmd runs and tests ViewDefinitions of SQL on FHIR.
func viewCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "view",
		Short: "运行或测试 SQL on FHIR 的 ViewDefinition",
	}
	cmd.AddCommand(viewRunCmd(), viewTestCmd())
	return cmd
}

func viewRunCmd() *cobra.Command {
	var format string
	var header bool
	cmd := &cobra.Command{
		Use:   "run VIEW.json INPUT…",
		Short: "把资源变成行，写到标准输出",
		Long: "对每个输入（NDJSON、JSON 资源或 Bundle，- 为标准输入）运行视图。\n" +
			"列按视图中的顺序；CSV 中空字段表示空值，空字符串写作 \"\"。",
		Example: "  qihuang view run patient.view.json Patient.ndjson --format csv",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			definition, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			eng, err := newEngine()
			if err != nil {
				return err
			}
			view, err := views.Compile(definition, eng)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, w := range view.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "警告：", w)
			}
			return viewRun(view, args[1:], format, header, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&format, "format", "csv", "csv、ndjson、json 或 parquet")
	cmd.Flags().BoolVar(&header, "header", true, "CSV 的表头行")
	return cmd
}

func newEngine() (*fhirpath.Engine, error) {
	model, err := definitions.Load()
	if err != nil {
		return nil, err
	}
	return fhirpath.NewEngine(model), nil
}

func viewRun(view *views.View, inputs []string, format string, header bool, stdout io.Writer) error {
	out := bufio.NewWriterSize(stdout, 1<<18)
	w, err := views.NewWriter(out, format, view.Columns(), header)
	if err != nil {
		return err
	}
	for _, path := range inputs {
		if err := viewInput(view, path, w); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Flush()
}

func viewInput(view *views.View, path string, w views.Writer) error {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	return views.Resources(in, func(res fhir.Node) error { return view.Rows(res, w.Write) })
}

func viewTestCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "test FILES…",
		Short:   "运行官方测试文件，输出官方格式的报告",
		Example: "  qihuang view test tests/*.json > test_report.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			eng, err := newEngine()
			if err != nil {
				return err
			}
			report, passed, total := views.Report{}, 0, 0
			for _, path := range args {
				src, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				r, err := views.Test(src, eng)
				if err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				for _, c := range r.Tests {
					total++
					if c.Result.Passed {
						passed++
					}
				}
				report[filepath.Base(path)] = r
			}
			out := json.NewEncoder(cmd.OutOrStdout())
			out.SetIndent("", "  ")
			if err := out.Encode(report); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "通过 %d / %d\n", passed, total)
			if passed < total {
				return exitCode(1)
			}
			return nil
		},
	}
}
