package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/fhir/bulk"
)

func exportCmd() *cobra.Command {
	cfg := bulk.DownloadConfig{Poll: 500 * time.Millisecond}
	query := url.Values{}
	var asJSON bool
	values := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "export 目录",
		Short: "把服务器中的资源导出为 NDJSON（Bulk Data $export），中断后再运行即续传",
		Example: "  qihuang export backup/\n" +
			"  qihuang export --type Patient,Observation --since 2026-01-01T00:00:00Z backup/",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg.Dir = args[0]
			for name, v := range values {
				if *v != "" {
					query.Set(name, *v)
				}
			}
			cfg.Query = query.Encode()
			last := ""
			files, err := bulk.Download(cmd.Context(), cfg, http.DefaultClient, func(step string) {
				if step != "" && step != last {
					fmt.Fprintln(cmd.ErrOrStderr(), step)
					last = step
				}
			})
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(files)
			}
			count, size := 0, int64(0)
			for _, f := range files {
				count, size = count+f.Count, size+f.Bytes
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d 个文件，%d 个资源，%.1f MB\n", len(files), count, float64(size)/1e6)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Base, "url", "http://127.0.0.1:8080/fhir", "FHIR 服务地址")
	f.StringVar(&cfg.Path, "of", "", "只导出 Patient（所有患者的记录）或 Group/id（一组患者）")
	f.StringVar(&cfg.Token, "token", "", "访问令牌（Bearer）")
	for _, p := range [][3]string{{"type", "_type", "资源类型，逗号分隔"}, {"since", "_since", "只要此时刻之后更新的（同时列出其后删除的）"},
		{"until", "_until", "只要此时刻及之前更新的"}, {"filter", "_typeFilter", "类型?检索条件，逗号分隔"}, {"elements", "_elements", "只要这些元素"}} {
		values[p[1]] = f.String(p[0], "", p[2])
	}
	f.BoolVar(&asJSON, "json", false, "以 JSON 输出结果")
	return cmd
}
