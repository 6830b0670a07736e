package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/fhir/bulk"
)

func loadCmd() *cobra.Command {
	cfg := bulk.DefaultLoad()
	var asJSON bool
	var errorsTo string
	cmd := &cobra.Command{
		Use:   "load 文件|目录|网址…",
		Short: "把 FHIR 资源装入服务器：事务包、单个资源、NDJSON（可 .gz）、批量导出清单的网址，可断点续传",
		Example: "  qihuang load synthea/output/fhir\n" +
			"  qihuang load --url http://127.0.0.1:8080/fhir --state load.state Patient.ndjson.gz",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			transport := http.DefaultTransport.(*http.Transport).Clone()
			transport.MaxIdleConnsPerHost = cfg.Workers
			l, err := bulk.NewLoader(cfg, &http.Client{Transport: transport})
			if err != nil {
				return err
			}
			done, err := reportErrors(l, errorsTo)
			if err != nil {
				return err
			}
			total, err := bulk.Size(args)
			if err != nil {
				return err
			}
			l.OnProgress = loadProgress(cmd.ErrOrStderr(), total)
			sum, err := l.Load(cmd.Context(), args)
			done()
			printSummary(cmd.OutOrStdout(), cmd.ErrOrStderr(), sum, asJSON)
			if err == nil && sum.Failed > 0 {
				return exitCode(3) // the server refused rows
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Base, "url", cfg.Base, "FHIR 服务地址")
	f.StringVar(&cfg.Token, "token", "", "访问令牌（Bearer）")
	f.IntVar(&cfg.Workers, "workers", cfg.Workers, "同时发送的请求数")
	f.IntVar(&cfg.Chunk, "chunk", cfg.Chunk, "NDJSON 每个请求的资源数")
	f.StringVar(&cfg.State, "state", "", "进度文件：中断后用同一文件再运行即可续传")
	f.StringVar(&errorsTo, "errors", "", "把每一行错误写入此文件（NDJSON）")
	f.BoolVar(&asJSON, "json", false, "以 JSON 输出结果")
	return cmd
}

// reportErrors writes each refused row to a file; the returned function closes it.
func reportErrors(l *bulk.Loader, path string) (done func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	enc := json.NewEncoder(f)
	l.OnError = func(e bulk.RowError) { _ = enc.Encode(e) }
	return func() { _ = f.Close() }, nil
}

// loadProgress shows a bar on a terminal and a line every few seconds elsewhere.
func loadProgress(out io.Writer, total int64) func(bulk.Summary) {
	if f, ok := out.(*os.File); ok && terminal(f) {
		bar := progressbar.NewOptions64(max(total, 1), progressbar.OptionSetWriter(out), progressbar.OptionShowBytes(true),
			progressbar.OptionSetDescription("装入"), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		return func(s bulk.Summary) {
			bar.Describe(fmt.Sprintf("装入 %d 个资源", s.Resources))
			_ = bar.Set64(min(s.Bytes, total))
		}
	}
	var last time.Time
	return func(s bulk.Summary) {
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			fmt.Fprintf(out, "已装入 %d 个资源，%d 个出错\n", s.Resources, s.Failed)
		}
	}
}

// printSummary prints the result for people, with the first errors, or as JSON.
func printSummary(out, errs io.Writer, s bulk.Summary, asJSON bool) {
	if asJSON {
		_ = json.NewEncoder(out).Encode(s)
		return
	}
	for i, e := range s.Errors {
		if i == 10 {
			fmt.Fprintf(errs, "… 另有 %d 个错误\n", s.Failed-i)
			break
		}
		fmt.Fprintf(errs, "%s:%d: %d %s\n", e.File, e.Row, e.Status, e.Message)
	}
	fmt.Fprintf(out, "%d 个文件，%d 个请求，装入 %d 个资源，%d 个出错，跳过 %d 个请求；%.1f 秒，每秒 %.0f 个资源\n",
		s.Files, s.Requests, s.Resources, s.Failed, s.Skipped, s.Seconds, s.PerSecond)
}
