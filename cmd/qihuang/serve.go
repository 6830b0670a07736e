package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	oteltrace "go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/qihuang-health/qihuang/fhir/bulk"
	"github.com/qihuang-health/qihuang/fhir/patch"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store/checked"
	"github.com/qihuang-health/qihuang/fhir/validate"
	"github.com/qihuang-health/qihuang/internal/fault"
)

func serveCmd() *cobra.Command {
	var file, data string
	var offset int
	var demo bool
	var profile string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "启动数据中心（没有配置文件时全部内置，只监听本机）",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := LoadConfig(file)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("data") {
				cfg.Data = data
			}
			if cmd.Flags().Changed("port-offset") {
				cfg.PortOffset = offset
			}
			if err := cfg.Validate(); err != nil {
				return err
			}
			end, err := profileTo(profile)
			if err != nil {
				return err
			}
			return errors.Join(serve(cmd.Context(), cfg, demo, cmd.OutOrStdout()), end())
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "配置文件（YAML，见 configs/hub.yaml）")
	cmd.Flags().StringVar(&data, "data", Default().Data, "数据目录")
	cmd.Flags().IntVar(&offset, "port-offset", 0, "所有端口整体平移 N")
	cmd.Flags().BoolVar(&demo, "demo", false, "首次启动装入演示数据，之后持续产生少量就诊")
	cmd.Flags().StringVar(&profile, "profile", "", "运行期间的 CPU 剖析，停止时写入此文件（go tool pprof）")
	return cmd
}

// profileTo records the process's CPU profile in file until end is called;
// nothing without a file.
func profileTo(file string) (end func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "剖析文件 %s 不能写：%w", file, err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// logger logs to standard error, as text or JSON.
func logger(cfg LogConfig) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		return nil, fault.New(fault.Invalid, "配置 log.level 应为 debug、info、warn 或 error")
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.JSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
}

// serve runs the hub until ctx ends; every port is free again when it returns.
func serve(ctx context.Context, cfg Config, demo bool, out io.Writer) error {
	log, err := logger(cfg.Log)
	if err != nil {
		return err
	}
	begin := time.Now()
	listener, err := bind(ctx, cfg.addr(cfg.Ports.HTTP))
	if err != nil {
		return err
	}
	defer listener.Close()
	h, err := open(ctx, cfg, log)
	if err != nil {
		return err
	}
	handler, err := h.handler()
	if err != nil {
		return errors.Join(err, h.close())
	}
	group, ctx := errgroup.WithContext(ctx)
	h.run(ctx, group)
	group.Go(func() error { return listen(ctx, listener, handler) })
	group.Go(func() error {
		for !h.ready() {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(20 * time.Millisecond):
			}
		}
		fmt.Fprintf(out, "岐黄已就绪（%.1f 秒）\n%s\n按 Ctrl+C 停止\n", time.Since(begin).Seconds(), cfg)
		if demo {
			return h.demo(ctx, out)
		}
		return nil
	})
	err = group.Wait()
	log.Info("stopping")
	return errors.Join(err, h.close())
}

// listen serves HTTP until ctx ends, then gives open requests five seconds.
func listen(ctx context.Context, l net.Listener, handler http.Handler) error {
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		_ = srv.Close()
	}
	<-done
	return nil
}

// handler mounts every door on one router.
func (h *hub) handler() (http.Handler, error) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	tracing, err := h.openTracing()
	if err != nil {
		return nil, err
	}
	r.Use(tracing.Middleware(), gin.Recovery())
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics, err := server.NewMetrics(reg)
	if err != nil {
		return nil, err
	}
	r.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "alive\n") })
	r.GET("/readyz", func(c *gin.Context) {
		if !h.ready() {
			c.String(http.StatusServiceUnavailable, "catching up\n")
			return
		}
		c.String(http.StatusOK, "ready\n")
	})
	reg.MustRegister(gauges{h})
	r.GET("/metrics", gin.WrapH(promhttp.HandlerFor(reg, promhttp.HandlerOpts{})))
	if err := h.mountFHIR(r, metrics, tracing.Tracer()); err != nil {
		return nil, err
	}
	if err := h.mountDoors(r); err != nil {
		return nil, err
	}
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ContentTypes([]string{"text/html", "text/css", "text/javascript", "application/json", "image/svg+xml", "text/plain"}))
	if err != nil {
		return nil, err
	}
	return compress(answerHead(r)), nil
}

func (h *hub) mountFHIR(r *gin.Engine, metrics *server.Metrics, tracer oteltrace.Tracer) error {
	cfg := server.Default()
	cfg.PublicBase, cfg.Version = h.cfg.PublicBase, version
	cfg.Rate, cfg.Burst, cfg.MaxBody = h.cfg.FHIR.Rate, h.cfg.FHIR.Burst, h.cfg.FHIR.MaxBodyMB<<20
	key, err := h.secret("page.key")
	if err != nil {
		return err
	}
	cfg.PageKey = key
	validator, err := newValidator(h.knowledge, validate.WithResources(canonicals{h.store, h.search}))
	if err != nil {
		return err
	}
	h.validator = validator
	if err := h.learn(validator); err != nil {
		return err
	}
	ops, err := h.operations(validator)
	if err != nil {
		return err
	}
	s, err := server.New(cfg, server.Parts{Store: h.store, Model: h.model, Search: h.search, XML: xmlCodec{h.model}, Operations: ops, Extensions: h.subscriptions.Extensions,
		Validator: h.subscriptions.Checker(viewPolicy{h.policy(""), h.sink}), Patcher: patch.New(h.paths),
		Clock: h.clock, Log: h.log, Metrics: metrics, Tracer: tracer})
	if err != nil {
		return err
	}
	h.onClose(func() error { s.Close(); return nil })
	h.jobs = s.Jobs()
	h.keepParameters(h.jobs)
	if err := bulk.Resume(context.Background(), s, h.exports(), h.importFile); err != nil {
		h.log.Warn("exports or imports of an earlier run cannot go on", "error", err)
	}
	s.Mount(r)
	answerUnknown(r, s)
	r.GET("/openapi.json", openAPI(s))
	return nil
}

// policy says how strictly a source's writes are checked ("" = REST clients);
// nil = not at all. The levels were checked with the configuration.
func (h *hub) policy(source string) checked.Checker {
	name := h.cfg.FHIR.Validation
	if own, ok := h.cfg.FHIR.Sources[source]; ok {
		name = own
	}
	level, _ := validate.ParseLevel(name)
	if level == validate.Off {
		return nil
	}
	return validate.Policy{Validator: h.validator, Options: validate.Options{Level: level}}
}
