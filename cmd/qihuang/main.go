// Command qihuang is the one binary of the data center: it serves, loads,
// queries, validates, simulates and measures. `qihuang --help` explains each
// command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker (`make build`).
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := rootCmd().ExecuteContext(ctx)
	stop()
	if err != nil {
		var code exitCode
		if errors.As(err, &code) {
			os.Exit(int(code))
		}
		fmt.Fprintln(os.Stderr, "错误：", err)
		os.Exit(1)
	}
}

// exitCode is an error that only carries the process's exit code: what was
// wrong has been said already.
type exitCode int

// Error names the code.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func rootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:           "qihuang",
		Short:         "岐黄：省级中医馆数据中心（HL7 FHIR R4 / IHE）",
		Long:          "岐黄是一个程序的省级中医药数据中心：接收各中医馆的就诊数据，转换为 FHIR 资源，实时写入 ClickHouse 供分析。",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(commands()...)
	speakChinese(root)
	return root
}
