package sqlrun

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// ClickHouse runs queries over the ClickHouse HTTP interface. It sends GET,
// which the server takes for read-only.
type ClickHouse struct {
	URL            string // http://127.0.0.1:8123
	User, Password string
	Client         *http.Client // nil = http.DefaultClient
}

// Query is [Querier.Query].
func (c *ClickHouse) Query(ctx context.Context, sql string, params map[string]string, format string, w io.Writer) error {
	q := url.Values{"query": {sql}, "default_format": {format}}
	for name, text := range params {
		q.Set("param_"+name, text)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+"/?"+q.Encode(), nil)
	if err != nil {
		return fault.New(fault.Internal, "warehouse address: %w", err)
	}
	if c.User != "" {
		req.Header.Set("X-ClickHouse-User", c.User)
		req.Header.Set("X-ClickHouse-Key", c.Password)
	}
	client := c.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return fault.New(fault.Unavailable, "the warehouse does not answer: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 2000))
		return refused(string(text))
	}
	_, err = io.Copy(w, res.Body)
	return err
}

// refused is an error of the SQL itself: the caller's to mend.
func refused(text string) error {
	text = strings.TrimSpace(text)
	return fault.New(fault.Invalid, "the warehouse refused the query").With(fault.Issue{Severity: "error", Code: "business-rule", Key: "sql",
		Text: "数据仓库拒绝了查询：" + text, TextEN: "the warehouse refused the query: " + text})
}
