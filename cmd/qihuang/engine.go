package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/warehouse/engine"
)

// engineCmd is the body of the hub's child process; operators do not call it.
func engineCmd() *cobra.Command {
	cfg := engine.Default()
	cmd := &cobra.Command{
		Use:    "engine",
		Short:  "内置 ClickHouse 引擎（由 serve 作为子进程启动）",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.Validate(); err != nil {
				return err
			}
			if err := engine.Yield(); err != nil {
				return err
			}
			log, err := logger(LogConfig{Level: "info"})
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			engine.ExitWithParent(os.Stdin, cancel)
			return engine.Run(ctx, cfg, log.With("part", "engine"))
		},
	}
	cmd.Flags().StringVar(&cfg.Data, "data", "", "引擎的数据目录")
	cmd.Flags().StringVar(&cfg.Listen, "listen", cfg.Listen, "HTTP 接口地址")
	cmd.Flags().StringVar(&cfg.Library, "lib", "", "libchdb.so 的位置")
	cmd.Flags().Int64Var(&cfg.Memory, "memory-limit", cfg.Memory, "内存上限（字节）")
	return cmd
}
