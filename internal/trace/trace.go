// Package trace tells an OpenTelemetry collector how long requests take and
// where (https://opentelemetry.io/docs/specs/otel/trace/). Spans carry names of
// interactions, routes and resource types, never ids, queries or health data.
// Without an endpoint nothing is measured and nothing is sent.
package trace

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config says where traces go.
type Config struct {
	Endpoint string  `yaml:"endpoint"` // OTLP over HTTP, e.g. http://collector:4318; "" = off
	Ratio    float64 `yaml:"ratio"`    // share of requests traced that did not come with a decision, 0–1
}

// Validate reports a setting that cannot work.
func (c Config) Validate() error {
	u, err := url.Parse(c.Endpoint)
	switch {
	case c.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https"):
		return fault.New(fault.Invalid, "配置 trace.endpoint 应为 http(s)://主机:端口，现为 %q", c.Endpoint)
	case c.Ratio < 0 || c.Ratio > 1:
		return fault.New(fault.Invalid, "配置 trace.ratio 应在 0 与 1 之间")
	}
	return nil
}

// Tracing makes spans. Make it with Open, and Close it at the end.
type Tracing struct {
	tracer trace.Tracer
	close  func(context.Context) error // nil when off
}

// Open starts an exporter to the endpoint. A collector that is away costs
// traces, never requests.
func Open(ctx context.Context, cfg Config, version string) (*Tracing, error) {
	if cfg.Endpoint == "" {
		return &Tracing{tracer: noop.Tracer{}}, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(cfg.Endpoint+"/v1/traces"))
	if err != nil {
		return nil, fault.New(fault.Invalid, "open the trace exporter: %w", err)
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(cfg.Ratio))),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "qihuang"), attribute.String("service.version", version))))
	return &Tracing{p.Tracer("github.com/qihuang-health/qihuang"), p.Shutdown}, nil
}

// Close sends what is left, until ctx ends.
func (t *Tracing) Close(ctx context.Context) error {
	if t.close == nil {
		return nil
	}
	return t.close(ctx)
}

// Tracer returns the tracer, for spans inside a request.
func (t *Tracing) Tracer() trace.Tracer { return t.tracer }

// Middleware makes a span for each request, below that of the caller if it sent
// a traceparent (https://www.w3.org/TR/trace-context/).
func (t *Tracing) Middleware() gin.HandlerFunc {
	if t.close == nil {
		return func(*gin.Context) {}
	}
	var context propagation.TraceContext
	return func(c *gin.Context) {
		ctx := context.Extract(c.Request.Context(), propagation.HeaderCarrier(c.Request.Header))
		route := c.FullPath()
		ctx, span := t.tracer.Start(ctx, c.Request.Method+" "+route, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", c.Request.Method), attribute.String("http.route", route)))
		defer span.End()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
		status := c.Writer.Status()
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
	}
}
