package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// convertCmd converts resources between XML and JSON.
func convertCmd() *cobra.Command {
	c := &converter{}
	cmd := &cobra.Command{
		Use:   "convert --to xml|json --out DIR FILES…",
		Short: "在 FHIR XML 与 JSON 之间转换资源",
		Long: `在 FHIR XML 与 JSON 之间无损转换 R4 资源。FILES 可以是文件或文件夹（其中的 .json 与 .xml），- 表示标准输入。
结果写入 --out 文件夹，文件名不变、扩展名换为目标格式；不给 --out 时写到标准输出。
有文件不能转换时，把位置与原因写到标准错误，继续处理其余文件，最后以 1 退出。`,
		Example: "  qihuang convert --to xml --out xml/ examples/*.json\n  qihuang convert --to json --pretty patient.xml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.out, c.err, c.in = cmd.OutOrStdout(), cmd.ErrOrStderr(), cmd.InOrStdin()
			return c.run(args)
		},
	}
	cmd.Flags().StringVar(&c.to, "to", "", "目标格式：xml 或 json")
	cmd.Flags().StringVar(&c.dir, "out", "", "写入结果的文件夹；不给则写到标准输出")
	cmd.Flags().BoolVar(&c.pretty, "pretty", false, "缩进排版")
	_ = cmd.MarkFlagRequired("to") // the flag exists
	return cmd
}

type converter struct {
	to, dir  string
	pretty   bool
	in       io.Reader
	out, err io.Writer
	model    *definitions.Model
	written  map[string]string // output → input
}

func (c *converter) run(args []string) error {
	if c.to != string(xml.FormatJSON) && c.to != string(xml.FormatXML) {
		return fault.New(fault.Invalid, "--to 应为 xml 或 json，不是 %q", c.to)
	}
	files, err := expand(args)
	if err != nil {
		return err
	}
	if c.model, err = definitions.Load(); err != nil {
		return err
	}
	if c.dir != "" {
		if err := os.MkdirAll(c.dir, 0o755); err != nil {
			return err
		}
	}
	c.written = map[string]string{}
	failed := 0
	for _, f := range files {
		if err := c.file(f); err != nil {
			failed++
			complain(c.err, f, err)
		}
	}
	if c.dir != "" {
		fmt.Fprintf(c.err, "已转换 %d 个文件，%d 个失败\n", len(files)-failed, failed)
	}
	if failed > 0 {
		return exitCode(1)
	}
	return nil
}

// expand replaces folders by the resources in them.
func expand(args []string) ([]string, error) {
	var files []string
	for _, a := range args {
		st, err := os.Stat(a)
		if a == "-" || err != nil || !st.IsDir() { // what is not there is told file by file
			files = append(files, a)
			continue
		}
		err = filepath.WalkDir(a, func(path string, d fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && !d.IsDir() && (ext == ".json" || ext == ".xml") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (c *converter) file(path string) error {
	data, err := c.read(path)
	if err != nil {
		return err
	}
	data, err = xml.Convert(c.model, data, xml.Format(c.to), c.pretty)
	if err != nil {
		return err
	}
	if c.dir == "" {
		if !strings.HasSuffix(string(data[max(0, len(data)-1):]), "\n") {
			data = append(slices.Clip(data), '\n')
		}
		_, err = c.out.Write(data)
		return err
	}
	base := filepath.Base(path)
	if path == "-" {
		base = "stdin"
	}
	target := filepath.Join(c.dir, strings.TrimSuffix(base, filepath.Ext(base))+"."+c.to)
	if other, ok := c.written[target]; ok {
		return fault.New(fault.Conflict, "与 %s 的结果同名（%s）", other, target)
	}
	c.written[target] = path
	return os.WriteFile(target, data, 0o644)
}

func (c *converter) read(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(c.in)
	}
	return os.ReadFile(path)
}

// complain writes what is wrong with a file: FILE:LINE:COLUMN: place: words.
func complain(w io.Writer, file string, err error) {
	issues := fault.IssuesOf(err)
	if len(issues) == 0 {
		fmt.Fprintf(w, "%s: %v\n", file, err)
	}
	for _, is := range issues {
		where := file
		if is.Line > 0 {
			where = fmt.Sprintf("%s:%d:%d", file, is.Line, is.Col)
		}
		if is.Expression != "" {
			where += ": " + is.Expression
		}
		if is.Hint != "" {
			is.Text += "（" + is.Hint + "）"
		}
		fmt.Fprintf(w, "%s: %s\n", where, is.Text)
	}
}
