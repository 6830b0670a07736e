package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// sourceBlocks are the settings a partner of each kind needs to fill in; the
// rest has defaults. %[1]s is the source's name.
var sourceBlocks = map[string]string{
	"http":      "http: {check: true, token: \"\"}        # POST /ingest/%[1]s：JSON、XML、FHIR；token 非空时须带 Authorization: Bearer",
	"soap":      "soap: {check: true, token: \"\"}        # /soap/%[1]s?wsdl，SOAP 1.1/1.2，RPC 与文档，MTOM",
	"his-soap":  "soap: {check: true}                   # /soap/%[1]s；township HIS 的 TCM_HIS_01… 用现成的 /services/TCM_HIS_01",
	"mllp":      "mllp: {address: \"0.0.0.0:2576\", cert: \"\", key: \"\", clientCA: \"\"}   # 有 cert 与 key 即为 TLS",
	"csv":       "files: {folder: ./drop/%[1]s, interval: 5s}   # 文件名以表名开头：MS_CF01_20261125.csv",
	"files":     "files: {folder: ./drop/%[1]s, interval: 5s}   # CSV、XLSX、DBF、XML、JSON、NDJSON；下设 done/ 与 failed/",
	"sftp":      "sftp: {address: \"host:22\", user: \"\", keyFile: \"\", hostKey: \"SHA256:…\", folder: /upload, interval: 30s}",
	"s3":        "s3: {endpoint: \"host:9000\", bucket: upload, folder: %[1]s, accessKey: \"${%[2]s_KEY}\", secretKey: \"${%[2]s_SECRET}\", secure: true}",
	"db":        "db:\n      driver: mysql            # mysql | postgres | sqlserver | oracle\n      dsn: \"${%[2]s_DSN}\"      # 只读账号，例如 reader:口令@tcp(host:3306)/his\n      interval: 1m\n      tables:\n        - {name: MS_BRDA, key: [BRID], watermark: XGSJ, overlap: 10m}\n        - {name: MS_CF01, key: [CFSB], watermark: KFRQ, overlap: 24h}",
	"fhir-pull": "fhir-pull: {base: \"https://host/fhir\", types: [Patient, Encounter], interval: 5m, bulk: false, auth: {token: \"${%[2]s_TOKEN}\"}}",
	"fhir-push": "fhir-push: {base: \"https://host/fhir\", types: [Patient, Encounter], by: id, from: beginning, auth: {token: \"${%[2]s_TOKEN}\"}}   # 主机须列入 outbound.allow",
}

// aliases are kinds of partners that are another kind of source.
var aliases = map[string]string{"csv": "files", "his-soap": "soap"}

func sourceCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "source", Short: "接入新的来源（合作方系统）"}
	cmd.AddCommand(sourceNewCmd())
	return cmd
}

func sourceNewCmd() *cobra.Command {
	var kind, name, file string
	kinds := make([]string, 0, len(sourceBlocks))
	for k := range sourceBlocks {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	cmd := &cobra.Command{
		Use:     "new --kind KIND [--name NAME] [--config FILE]",
		Short:   "生成一个来源的配置，并给出对方的自测网址",
		Long:    "打印一段可放进配置文件 sources 下的设置；给出 --config 时直接写进文件。种类：" + strings.Join(kinds, "、"),
		Example: "  qihuang source new --kind csv --name zhangzhuang --config hub.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			block, ok := sourceBlocks[kind]
			if !ok {
				return fault.New(fault.Invalid, "种类 %q 应为 %s 之一", kind, strings.Join(kinds, "、"))
			}
			if name == "" {
				name = kind + "-1"
			}
			real := kind
			if a := aliases[kind]; a != "" {
				real = a
			}
			text := sourceBlock(name, real, block)
			if file == "" {
				fmt.Fprint(cmd.OutOrStdout(), "sources:\n"+text)
			} else if err := addSource(file, name, text); err != nil {
				return err
			}
			base := "http://" + Default().addr(Default().Ports.HTTP)
			fmt.Fprintf(cmd.OutOrStdout(), "\n# 填好上面的设置并重启后，把自测网址发给对方：%s/onboarding/%s\n# 说明：docs/guides/source-%s.md\n", base, name, real)
			return nil
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "", "种类")
	cmd.Flags().StringVar(&name, "name", "", "来源名称，英文小写；默认为种类加 -1")
	cmd.Flags().StringVar(&file, "config", "", "写进这个配置文件")
	_ = cmd.MarkFlagRequired("kind")
	return cmd
}

// sourceBlock is one item of the list sources.
func sourceBlock(name, kind, block string) string {
	env := strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == '.' {
			return '_'
		}
		return r
	}, name))
	body := strings.ReplaceAll(strings.ReplaceAll(block, "%[1]s", name), "%[2]s", env)
	return "  - name: " + name + "\n    kind: " + kind + "\n    silence: 24h               # 一天没有消息就告警\n    " + body + "\n"
}

// addSource puts a block under sources of a configuration file, which keeps its
// comments and order; a missing file is made.
func addSource(file, name, block string) error {
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Invalid, "读不到配置文件：%w", err)
	}
	var have struct {
		Sources []struct{ Name string }
	}
	if err := yaml.Unmarshal(b, &have); err != nil {
		return fault.New(fault.Invalid, "配置文件 %s 有误：%w", file, err)
	}
	for _, s := range have.Sources {
		if s.Name == name {
			return fault.New(fault.Conflict, "配置里已有来源 %s", name)
		}
	}
	lines := strings.SplitAfter(string(b), "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "sources:") })
	switch {
	case at < 0:
		if len(b) > 0 && !strings.HasSuffix(string(b), "\n") {
			lines = append(lines, "\n")
		}
		lines = append(lines, "sources:\n", block)
	default:
		head := "sources:\n"
		if rest := strings.TrimSpace(strings.TrimPrefix(strings.SplitN(lines[at], "#", 2)[0], "sources:")); rest != "" && rest != "[]" {
			return fault.New(fault.Unsupported, "配置里的 sources 写在一行里，请改成多行的列表再试")
		}
		lines[at] = head
		lines = slices.Insert(lines, at+1, block)
	}
	return os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600)
}
