package server

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"
)

// send writes a whole body, compressed where that is wanted and worth it.
func (s *Server) send(c *gin.Context, status int, body []byte) {
	h := c.Writer.Header()
	if len(body) >= s.cfg.GzipMin {
		h["Vary"] = append(h["Vary"], "Accept-Encoding")
		if acceptsGzip(c.Request) {
			h["Content-Encoding"] = []string{"gzip"}
			c.Status(status)
			z := zipper(c.Writer)
			_, _ = z.Write(body) // the client went away: nobody is left to tell
			z.close()
			return
		}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.Status(status)
	if c.Request.Method == http.MethodHead {
		c.Writer.WriteHeaderNow()
		return
	}
	_, _ = c.Writer.Write(body)
}

// stream writes a reply piece by piece. The status goes out with the first full
// buffer, so an error before that still becomes an OperationOutcome.
func (s *Server) stream(c *gin.Context, rep *Reply) error {
	c.Status(rep.status())
	var w io.Writer = c.Writer
	z := zipper(c.Writer)
	h := c.Writer.Header()
	h["Vary"] = append(h["Vary"], "Accept-Encoding")
	if acceptsGzip(c.Request) {
		h["Content-Encoding"] = []string{"gzip"}
		w = z
	}
	// A stream holds a state of the repository: a client that stops reading may
	// not hold it longer than an interaction lasts. An error leaves the deadline
	// to refuse, which cuts the connection with it.
	rc := http.NewResponseController(c.Writer)
	_ = rc.SetWriteDeadline(time.Now().Add(s.cfg.Timeout)) // unsupported by test recorders
	buf := bufio.NewWriterSize(w, 32<<10)
	if err := rep.Stream(buf); err != nil {
		z.drop()
		delete(h, "Content-Encoding")
		if !c.Writer.Written() {
			_ = rc.SetWriteDeadline(time.Time{})
		}
		return err
	}
	_ = buf.Flush() // the client went away: nobody is left to tell
	z.close()
	_ = rc.SetWriteDeadline(time.Time{}) // the next request on the connection has its own
	return nil
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3): gzip named, or * without
// it, and neither with q=0.
func acceptsGzip(r *http.Request) bool {
	accepts := false
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, q, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(part), " ", ""), ";q=")
		if weight, err := strconv.ParseFloat(q, 64); coding == "gzip" {
			return err != nil || weight > 0
		} else if coding == "*" {
			accepts = err != nil || weight > 0
		}
	}
	return accepts
}

// zipped is a pooled gzip writer that writes nothing unless something was
// written to it.
type zipped struct {
	w  io.Writer
	gz *gzip.Writer
}

var zippers = sync.Pool{New: func() any { return newGzip() }}

// newGzip compresses at the speed level: on a LAN more costs more time than it saves.
func newGzip() *gzip.Writer {
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is valid
	return z
}

func zipper(w io.Writer) *zipped { return &zipped{w: w} }

// Write compresses p.
func (z *zipped) Write(p []byte) (int, error) {
	if z.gz == nil {
		z.gz = zippers.Get().(*gzip.Writer)
		z.gz.Reset(z.w)
	}
	return z.gz.Write(p)
}

// drop throws away what was not yet sent.
func (z *zipped) drop() {
	if z.gz != nil {
		z.gz.Reset(io.Discard)
		z.close()
	}
}

func (z *zipped) close() {
	if z.gz != nil {
		_ = z.gz.Close()
		zippers.Put(z.gz)
		z.gz = nil
	}
}
