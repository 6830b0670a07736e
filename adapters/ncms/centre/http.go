package centre

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms/xnh"
	"github.com/qihuang-health/qihuang/adapters/ncms/yb"
	"github.com/qihuang-health/qihuang/internal/clock"
)

// answerLimit bounds one request at the centre itself.
const answerLimit = 30 * time.Second

// Handler serves both dialects at the paths of the hub, and the books as JSON at
// /books.
func (c *Centre) Handler(clk clock.Clock, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(xnh.Path, xnh.NewServer(c, answerLimit, log))
	mux.Handle(yb.Path, yb.NewServer(c, answerLimit, c.cfg.Zone, clk, log))
	mux.HandleFunc("GET /books", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(c.Books())
	})
	return mux
}
