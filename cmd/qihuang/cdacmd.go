package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/adapters/cda"
	cdabundle "github.com/qihuang-health/qihuang/adapters/cda/bundle"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// cdaCmd groups the commands of national shared documents.
func cdaCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "cda", Short: "国家电子病历共享文档（WS/T 500，CDA R2）：校验、与 FHIR 互转"}
	cmd.AddCommand(cdaValidateCmd(), cdaConvertCmd(), cdaTemplatesCmd())
	return cmd
}

func cdaValidateCmd() *cobra.Command {
	var asJSON, english bool
	cmd := &cobra.Command{
		Use:   "validate [--json] FILES…",
		Short: "按模板、数据元与值域规则校验共享文档",
		Long: `逐条列出问题：级别、规则号、位置（XPath、行列）、说明与依据。编码按 XML 声明识别（UTF-8、GBK、GB18030）。
不带 --json 时有错误则退出码为 1；--json 时每个文件输出一行 {"file": 路径, "outcome": OperationOutcome}。`,
		Example: "  qihuang cda validate C0002.xml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			d, err := loadDocuments(time.Local)
			if err != nil {
				return err
			}
			bad := 0
			out := &checker{json: asJSON, english: english}
			for _, f := range files {
				issues := d.validate(f)
				out.write(cmd.OutOrStdout(), f, issues)
				if broken(issues) {
					bad++
				}
			}
			if !asJSON {
				fmt.Fprintf(cmd.OutOrStdout(), "共 %d 个文件，%d 个有错误\n", len(files), bad)
				if bad > 0 {
					return exitCode(1)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "每个文件输出一行 JSON")
	cmd.Flags().BoolVar(&english, "english", false, "用英文说明问题")
	return cmd
}

func broken(issues []fault.Issue) bool {
	for _, is := range issues {
		if is.Severity == "error" || is.Severity == "fatal" {
			return true
		}
	}
	return false
}

// validate reads and judges one document; whatever is wrong becomes an issue.
func (d *documents) validate(file string) []fault.Issue {
	data, err := os.ReadFile(file)
	if err != nil {
		return []fault.Issue{{Severity: "fatal", Code: "not-found", Key: "file-unreadable", Text: "文件无法读取：" + err.Error(), TextEN: err.Error()}}
	}
	doc, issues, err := cda.Read(data, "")
	if err != nil {
		return issuesOf(err)
	}
	return append(issues, d.checker.Check(doc)...)
}

func cdaConvertCmd() *cobra.Command {
	var opt cdabundle.Options
	var out string
	cmd := &cobra.Command{
		Use:   "convert [--template C0002] [--out FILE] FILE",
		Short: "共享文档 ↔ FHIR Bundle（按内容识别方向）",
		Long: `FILE 是共享文档（XML）时写出 FHIR document Bundle；是 FHIR Bundle（JSON）时写出共享文档，- 表示标准输入。
没有位置、未能转换的内容逐条写到标准错误。`,
		Example: "  qihuang cda convert C0002.xml > bundle.json\n  qihuang cda convert --template C0005 --prescription C880001 bundle.json > C0005.xml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := loadDocuments(time.Local)
			if err != nil {
				return err
			}
			data, err := readInput(args[0])
			if err != nil {
				return err
			}
			result, issues, err := d.convert(data, opt)
			(&checker{}).write(cmd.ErrOrStderr(), args[0], append(issues, fault.IssuesOf(err)...))
			if err != nil {
				return fault.New(fault.KindOf(err), "%s 不能转换", args[0])
			}
			if out != "" {
				return os.WriteFile(filepath.Clean(out), result, 0o600)
			}
			_, err = cmd.OutOrStdout().Write(result)
			return err
		},
	}
	cmd.Flags().StringVar(&opt.Template, "template", "", "生成哪一种共享文档：C0001…C0053")
	cmd.Flags().StringVar(&opt.Prescription, "prescription", "", "处方号（C0004、C0005）")
	cmd.Flags().StringVar(&out, "out", "", "写入文件（默认标准输出）")
	return cmd
}

// convert tells the direction by the first character.
func (d *documents) convert(data []byte, opt cdabundle.Options) ([]byte, []fault.Issue, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(data, "\ufeff \t\r\n"), []byte("{")) {
		r, err := d.mapper.FromCDA(data, "")
		if err != nil {
			return nil, nil, err
		}
		b, err := d.mapper.Document(r, tcm.Base, time.Now())
		return b, r.Issues, err
	}
	tree, err := fhir.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	return d.mapper.ToCDA(tree.Root(), opt)
}

func cdaTemplatesCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "templates [--json]",
		Short: "列出 53 种共享文档的代码、模板号与数据元数",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := cda.Load()
			if err != nil {
				return err
			}
			for i := range c.Templates {
				t := &c.Templates[i]
				n := 0
				for range t.Elements() {
					n++
				}
				if asJSON {
					fmt.Fprintf(cmd.OutOrStdout(), "{\"code\":%q,\"title\":%q,\"template\":%q,\"sections\":%d,\"elements\":%d}\n", t.Code, t.Title, t.OID, len(t.Sections), n)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %-26s 章节 %2d  数据元 %2d  %s\n", t.Code, t.OID, len(t.Sections), n, t.Title)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "每种一行 JSON")
	return cmd
}
