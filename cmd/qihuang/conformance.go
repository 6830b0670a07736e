package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/adapters/cda/maturity"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// conformanceCmd groups the commands that judge this hub against standards.
func conformanceCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "conformance", Short: "标准符合性：互联互通测评自评报告"}
	cmd.AddCommand(reportCmd())
	return cmd
}

func reportCmd() *cobra.Command {
	var base, page string
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "report [--url http://127.0.0.1:8080] [--json] [--html FILE] [--all]",
		Short: "互联互通标准化成熟度自评：数据集、共享文档、服务逐项打分，并说明缺什么",
		Long: `按得到的标准数据逐项检查：
  数据集    WS 445 的 60 个数据集、2,385 个数据元，各有没有 FHIR 位置；带 --url 时抽样看实际数据
  共享文档  WS/T 500 的 53 种模板，各生成一份文档，校验并往返 CDA → FHIR → CDA
  服务      WS/T 790 各部分，按能力声明与 OpenAPI 核对（需要 --url）
评分办法为本项目自拟，见 docs/guides/conformance-report.md；不代表正式测评结果。`,
		Example: "  qihuang conformance report --url http://127.0.0.1:8080 --html report.html",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := report(cmd.Context(), base)
			if err != nil {
				return err
			}
			if page != "" {
				if err := writePage(r, page); err != nil {
					return err
				}
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetEscapeHTML(false)
				return enc.Encode(r)
			}
			return r.Text(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().StringVar(&base, "url", "", "运行中的数据中心地址；不给则只检查不需要它的项目")
	cmd.Flags().StringVar(&page, "html", "", "另写一份网页报告")
	cmd.Flags().BoolVar(&asJSON, "json", false, "输出 JSON")
	cmd.Flags().BoolVar(&all, "all", false, "列出全部项目与全部缺项")
	return cmd
}

func writePage(r *maturity.Report, file string) error {
	f, err := os.Create(filepath.Clean(file))
	if err != nil {
		return fault.New(fault.Invalid, "不能写 %s：%w", file, err)
	}
	if err := r.HTML(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// report checks this program, and the hub at base if it is not "".
func report(ctx context.Context, base string) (*maturity.Report, error) {
	d, err := loadDocuments(time.Local)
	if err != nil {
		return nil, err
	}
	k, err := loadKnowledge(time.Local)
	if err != nil {
		return nil, err
	}
	p := maturity.Parts{Catalogue: d.catalogue, Checker: d.checker, Mapper: d.mapper, Paths: &pathFinder{engine: k.paths}, Version: version, Now: time.Now}
	if base != "" {
		h := &remoteHub{base: strings.TrimSuffix(strings.TrimSuffix(base, "/"), "/fhir"), client: &http.Client{Timeout: 30 * time.Second}}
		if _, _, _, err := h.Get(ctx, "/healthz"); err != nil {
			return nil, fault.New(fault.Unavailable, "连接不上 %s：%w", base, err)
		}
		p.Hub = h
	}
	return maturity.Check(ctx, p)
}

// remoteHub reads a running hub over HTTP.
type remoteHub struct {
	base   string
	client *http.Client
}

// Base implements maturity.Hub.
func (h *remoteHub) Base() string { return h.base }

// Get implements maturity.Hub.
func (h *remoteHub) Get(ctx context.Context, path string) (int, []byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base+path, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Accept", "application/fhir+json, application/json;q=0.9, */*;q=0.1")
	res, err := h.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	return res.StatusCode, body, res.Header, err
}

// pathFinder evaluates FHIRPath, compiling each expression once.
type pathFinder struct {
	engine *fhirpath.Engine
	known  sync.Map // expression → *fhirpath.Expression
}

// Exists implements maturity.Paths.
func (p *pathFinder) Exists(expression string, n fhir.Node) (bool, error) {
	x, ok := p.known.Load(expression)
	if !ok {
		compiled, err := p.engine.Compile(expression)
		if err != nil {
			return false, err
		}
		x, _ = p.known.LoadOrStore(expression, compiled)
	}
	found, err := x.(*fhirpath.Expression).Eval(nil, n)
	return len(found) > 0, err
}
