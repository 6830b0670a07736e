package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/internal/fetch"
)

// scripts are the page scripts, pinned by hash; pages work without them.
var scripts = []struct {
	pkg  fetch.Package
	file string
}{
	{fetch.Package{Name: "htmx.org", Version: "4.0.1", Integrity: "sha512-oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg=="}, "dist/htmx.min.js"},
	{fetch.Package{Name: "echarts", Version: "6.1.0", Integrity: "sha512-q0yaFPggC9FUdsWH4blavRWFmxdrIodbkoKNAjJudAI6CA9gNPxHtV2RcZNEepZVlk4yvBYkOkbk6HIVpIyHZA=="}, "dist/echarts.common.min.js"},
}

func setupCmd() *cobra.Command {
	var web string
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "下载运行所需的引擎库（约 160 MB，按哈希校验，同一台机器只下载一次）",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.ErrOrStderr()
			if path, ok := fetch.LibraryPath(""); ok {
				fmt.Fprintln(out, "ClickHouse 引擎库已就绪：", path)
			} else {
				fmt.Fprintln(out, "下载 ClickHouse 引擎库（npm 包 @chdb/lib-linux-x64-gnu，约 160 MB，解开后 530 MB）…")
				path, err := fetch.Library(cmd.Context(), "", progress(out))
				if err != nil {
					return err
				}
				fmt.Fprintln(out, "ClickHouse 引擎库：", path)
			}
			if web == "" {
				return nil
			}
			for _, s := range scripts {
				if _, err := os.Stat(filepath.Join(web, filepath.Base(s.file))); err == nil {
					continue
				}
				fmt.Fprintf(out, "下载网页脚本 %s %s …\n", s.pkg.Name, s.pkg.Version)
				if err := fetch.Unpack(cmd.Context(), s.pkg, web, []string{s.file}, progress(out)); err != nil {
					fmt.Fprintln(out, "取不到网页脚本，页面仍可用，只是没有图表和自动刷新：", err)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&web, "web", "", "网页脚本放到哪个目录（编译前用）")
	return cmd
}

// progress shows a bar on a terminal and a line every few seconds elsewhere.
func progress(out io.Writer) fetch.Progress {
	if f, ok := out.(*os.File); !ok || !terminal(f) {
		var last time.Time
		return func(step string, done, total int64) {
			if time.Since(last) > 3*time.Second || done == total {
				last = time.Now()
				if total > 0 {
					fmt.Fprintf(out, "  %s %d%%\n", step, 100*done/total)
				}
			}
		}
	}
	var bar *progressbar.ProgressBar
	var current string
	return func(step string, done, total int64) {
		if bar == nil || step != current {
			current = step
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(step),
				progressbar.OptionShowBytes(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionOnCompletion(func() { fmt.Fprintln(out) }))
		}
		_ = bar.Set64(done)
	}
}

// terminal reports whether f is a character device.
func terminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
