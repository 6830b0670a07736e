package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/adapters/hl7v2/structure"
	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// mapFlags are what every map command needs to find the maps.
type mapFlags struct{ config, data, folder string }

// mapCmd works with maps without a running hub; a running one notices what
// changes.
func mapCmd() *cobra.Command {
	f := &mapFlags{}
	cmd := &cobra.Command{Use: "map", Short: "测试、试用、比较和回退消息映射"}
	p := cmd.PersistentFlags()
	p.StringVar(&f.config, "config", "", "配置文件")
	p.StringVar(&f.data, "data", "", "数据目录（保存的映射版本在其 maps/ 下）")
	p.StringVar(&f.folder, "folder", "", "本机构自己的映射所在目录")
	cmd.AddCommand(mapListCmd(f), mapTestCmd(f), mapTryCmd(f), mapDiffCmd(f), mapSaveCmd(f), mapRollbackCmd(f))
	return cmd
}

// book opens the maps as a hub with these flags would.
func (f *mapFlags) book() (*mapping.Book, error) {
	cfg, err := LoadConfig(f.config)
	if err != nil {
		return nil, err
	}
	if f.data != "" {
		cfg.Data = f.data
	}
	if f.folder != "" {
		cfg.Maps.Folder = f.folder
	}
	zone, err := cfg.zone()
	if err != nil {
		return nil, err
	}
	k, err := loadKnowledge(zone)
	if err != nil {
		return nil, err
	}
	return openBook(cfg.Maps, filepath.Join(cfg.Data, "maps"), k, conceptMaps{terms: k.terms}, zone, clock.System{}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

func mapListCmd(f *mapFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [NAME]",
		Short: "列出在用的映射；给出名字时列出它的历史版本",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := f.book()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return mapHistory(b, args[0], asJSON, cmd.OutOrStdout())
			}
			type row struct {
				Name, Version, Origin, Format, Title string
			}
			for _, m := range b.Maps() {
				r := row{m.Name, m.Version, b.Origin(m.Name), string(m.Format), m.Title}
				if asJSON {
					if err := json.NewEncoder(cmd.OutOrStdout()).Encode(r); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-20s %-9s %-8s %-6s %s\n", r.Name, r.Version, r.Origin, r.Format, r.Title)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "每行一个 JSON 对象")
	return cmd
}

func mapHistory(b *mapping.Book, name string, asJSON bool, w io.Writer) error {
	list, err := b.History(name)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		if _, err := b.Get(name); err != nil {
			return err
		}
	}
	for _, v := range list {
		if asJSON {
			if err := json.NewEncoder(w).Encode(v); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "%4d  %s  %s  %s  %s\n", v.Number, v.Version, v.Time.Format("2006-01-02 15:04:05Z"), v.Author, v.Comment)
	}
	return nil
}

func mapTestCmd(f *mapFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "test [FILES…]",
		Short:   "编译映射并运行其中的测试；不给文件时测试在用的全部映射",
		Example: "  qihuang map test my-lis.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := f.book()
			if err != nil {
				return err
			}
			list, bad := b.Maps(), 0
			if len(args) > 0 {
				list = nil
			}
			for _, path := range args {
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				m, err := b.Compile(mapNameOf(path), text)
				if err != nil {
					bad += mapProblems(cmd.OutOrStdout(), path, err)
					continue
				}
				list = append(list, m)
			}
			for _, m := range list {
				passed, failures := m.Test(cmd.Context())
				fmt.Fprintf(cmd.OutOrStdout(), "%-20s %s  通过 %d，未通过 %d\n", m.Name, m.Version, passed, len(failures))
				for _, x := range failures {
					fmt.Fprintf(cmd.OutOrStdout(), "  %s:%d  %s：%s\n", m.Name, x.Line, x.Test, x.Text)
				}
				bad += len(failures)
			}
			if bad > 0 {
				return exitCode(1)
			}
			return nil
		},
	}
}

func mapNameOf(path string) string { return strings.TrimSuffix(filepath.Base(path), ".yaml") }

// mapProblems prints what a compiler found, FILE:LINE:COL, and counts it.
func mapProblems(w io.Writer, path string, err error) int {
	list := fault.IssuesOf(err)
	if len(list) == 0 {
		fmt.Fprintf(w, "%s: %v\n", path, err)
		return 1
	}
	for _, is := range list {
		fmt.Fprintf(w, "%s:%d:%d: %s", path, is.Line, is.Col, is.Text)
		if is.Hint != "" {
			fmt.Fprintf(w, "（%s）", is.Hint)
		}
		fmt.Fprintln(w)
	}
	return len(list)
}

func mapTryCmd(f *mapFlags) *cobra.Command {
	var name, format, source string
	var trace bool
	cmd := &cobra.Command{
		Use:     "try MESSAGE",
		Short:   "用映射试做一条消息（文件，- 为标准输入），输出 FHIR Bundle，不写入任何数据",
		Example: "  qihuang map try adt.hl7\n  qihuang map try adt.hl7 --map my-adt.yaml --trace",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readInput(args[0])
			if err != nil {
				return err
			}
			b, err := f.book()
			if err != nil {
				return err
			}
			m, src, err := mapFor(cmd, b, name, format, source, text)
			if err != nil {
				mapProblems(cmd.ErrOrStderr(), args[0], err)
				return exitCode(1)
			}
			if err := mapStructure(cmd.ErrOrStderr(), m.Format, text); err != nil {
				return err
			}
			out, err := m.Trace(cmd.Context(), src)
			mapReport(cmd.ErrOrStderr(), m, out, trace)
			if err != nil {
				mapProblems(cmd.ErrOrStderr(), m.Name, err)
				return exitCode(1)
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, out.Bundle(), "", "  "); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), pretty.String())
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&name, "map", "", "映射的名字或文件；缺省按消息选择")
	fl.StringVar(&format, "format", "", "消息格式 hl7v2、json、xml、row；缺省按内容判断")
	fl.StringVar(&source, "source", "", "JSON 消息的名字或数据行的表名")
	fl.BoolVar(&trace, "trace", false, "列出每个值来自消息的何处")
	return cmd
}

// mapFor finds the map by name, file, or what the message says of itself.
func mapFor(cmd *cobra.Command, b *mapping.Book, name, format, source string, text []byte) (m *mapping.Map, src *mapping.Source, err error) {
	switch {
	case strings.HasSuffix(name, ".yaml"):
		var own []byte
		if own, err = os.ReadFile(name); err == nil {
			m, err = b.Compile(mapNameOf(name), own)
		}
	case name != "":
		m, err = b.Get(name)
	}
	if err != nil {
		return nil, nil, err
	}
	if format == "" {
		format = string(mapping.FormatOf(text))
		if m != nil && m.Format == mapping.FormatRow {
			format = string(mapping.FormatRow)
		}
	}
	if src, err = mapping.Read(mapping.Format(format), source, text); err != nil {
		return nil, nil, err
	}
	if m == nil {
		m, err = b.Find(cmd.Context(), src)
	}
	return m, src, err
}

// mapStructure tells where an HL7 v2 message is not as the standard has it.
func mapStructure(w io.Writer, f mapping.Format, text []byte) error {
	if f != mapping.FormatV2 {
		return nil
	}
	standard, err := structure.Standard()
	if err != nil {
		return err
	}
	msg, _, err := hl7v2.Decode(text)
	if err != nil {
		return err
	}
	for _, is := range standard.Check(msg) {
		if is.Severity != "information" {
			fmt.Fprintf(w, "结构 %s：%s\n", is.Expression, is.Text)
		}
	}
	return nil
}

func mapReport(w io.Writer, m *mapping.Map, out *mapping.Result, trace bool) {
	fmt.Fprintf(w, "映射 %s\n", m.ID())
	for _, is := range out.Findings {
		fmt.Fprintf(w, "提示 %s：%s（映射第 %d 行）\n", is.Expression, is.Text, is.Line)
	}
	for _, u := range out.Unmapped {
		fmt.Fprintf(w, "未对照 %s：表 %s 中没有 %s\n", u.Place, u.Table, u.Code)
	}
	if !trace {
		return
	}
	for _, s := range out.Trace {
		from := strings.Join(s.From, " ")
		if from == "" {
			from = "映射第 " + strconv.Itoa(s.Line) + " 行"
		}
		fmt.Fprintf(w, "%s  %s = %s  ← %s\n", s.Resource, s.Path, s.Value, from)
	}
}

func mapDiffCmd(f *mapFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "diff NAME FROM [TO]",
		Short: "比较两个版本；0 为最初的版本，缺省 TO 为在用的版本",
		Args:  cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := f.book()
			if err != nil {
				return err
			}
			var texts [2][]byte
			for i, arg := range args[1:] {
				n, err := strconv.Atoi(arg)
				if err != nil {
					return fault.New(fault.Invalid, "版本应为数字，现为 %q", arg)
				}
				if texts[i], err = b.Text(args[0], n); err != nil {
					return err
				}
			}
			if len(args) == 2 {
				m, err := b.Get(args[0])
				if err != nil {
					return err
				}
				texts[1] = m.Text
			}
			for _, l := range mapping.Diff(texts[0], texts[1]) {
				if l.Op != ' ' {
					fmt.Fprintf(cmd.OutOrStdout(), "%c%4d  %s\n", l.Op, max(l.Old, l.New), l.Text)
				}
			}
			return nil
		},
	}
}

func mapSaveCmd(f *mapFlags) *cobra.Command {
	var comment string
	cmd := &cobra.Command{
		Use:   "save FILE",
		Short: "把文件保存为映射的新版本并启用（须通过其中的测试）",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			b, err := f.book()
			if err != nil {
				return err
			}
			v, err := b.Save(cmd.Context(), mapNameOf(args[0]), text, os.Getenv("USER"), comment)
			if err != nil {
				mapProblems(cmd.ErrOrStderr(), args[0], err)
				return exitCode(1)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s 版本 %d（%s）已启用\n", mapNameOf(args[0]), v.Number, v.Version)
			return nil
		},
	}
	cmd.Flags().StringVarP(&comment, "message", "m", "", "这一版改了什么")
	return cmd
}

func mapRollbackCmd(f *mapFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "rollback NAME VERSION",
		Short: "重新启用早先的版本（作为新版本保存）；0 为最初的版本",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return fault.New(fault.Invalid, "版本应为数字，现为 %q", args[1])
			}
			b, err := f.book()
			if err != nil {
				return err
			}
			v, err := b.Rollback(cmd.Context(), args[0], n, os.Getenv("USER"))
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s 已回退，现为版本 %d（%s）\n", args[0], v.Number, v.Version)
			return nil
		},
	}
}
