package engine

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// decode undoes the Content-Encoding of a request body, then ClickHouse's own
// block framing if framed (decompress=1).
func decode(body io.Reader, encoding string, framed bool) (io.Reader, error) {
	var err error
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
	case "gzip", "x-gzip":
		body, err = gzip.NewReader(body)
	case "deflate":
		body, err = zlib.NewReader(body)
	case "br":
		body = brotli.NewReader(body)
	case "lz4":
		body = lz4.NewReader(body)
	case "zstd":
		body, err = zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
	default:
		return nil, &Exception{Code: 89, Message: "Unknown compression method: " + encoding + ". (UNKNOWN_COMPRESSION_METHOD)"}
	}
	if err != nil {
		return nil, &Exception{Code: codeDecompress, Message: "Cannot decompress the request: " + err.Error() + ". (CANNOT_DECOMPRESS)"}
	}
	if framed {
		body = blocks{compress.NewReader(body)}
	}
	return body, nil
}

// blocks reads ClickHouse's compressed blocks to their clean end.
type blocks struct{ r *compress.Reader }

// Read tells the end in the way io expects.
func (b blocks) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.EOF
	}
	return n, err
}

// encodings are the Content-Encodings we can answer with, in ClickHouse's
// order of preference.
var encodings = [...]string{"br", "lz4", "gzip", "deflate", "zstd"}

// acceptable returns the encoding of the answer, "" = none.
func acceptable(r *http.Request) string {
	accepted := strings.ToLower(r.Header.Get("Accept-Encoding"))
	for _, name := range encodings {
		for part := range strings.SplitSeq(accepted, ",") {
			coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
			if coding == name && strings.ReplaceAll(weight, " ", "") != "q=0" {
				return name
			}
		}
	}
	return ""
}

// encode wraps w; closing the result ends the encoding but not w.
func encode(w io.Writer, encoding string, framing compress.Method) (io.WriteCloser, error) {
	var out io.WriteCloser = nopCloser{w}
	switch encoding {
	case "br":
		out = brotli.NewWriterLevel(w, 3)
	case "lz4":
		out = lz4.NewWriter(w)
	case "gzip":
		z, err := gzip.NewWriterLevel(w, 3)
		if err != nil {
			return nil, err
		}
		out = z
	case "deflate":
		z, err := zlib.NewWriterLevel(w, 3)
		if err != nil {
			return nil, err
		}
		out = z
	case "zstd":
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			return nil, err
		}
		out = z
	}
	if framing != compress.None {
		out = &framer{out: out, method: compress.NewWriter(compress.LevelZero, framing)}
	}
	return out, nil
}

type nopCloser struct{ io.Writer }

// Close does nothing.
func (nopCloser) Close() error { return nil }

// framer cuts its input into ClickHouse's compressed blocks (compress=1).
type framer struct {
	out    io.WriteCloser
	method *compress.Writer
	buf    []byte
}

// frameSize is the raw size of a block, as ClickHouse's default.
const frameSize = 1 << 20

// Write buffers p and writes every full block.
func (f *framer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		room := min(frameSize-len(f.buf), len(p))
		f.buf, p = append(f.buf, p[:room]...), p[room:]
		if len(f.buf) == frameSize {
			if err := f.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (f *framer) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	if err := f.method.Compress(f.buf); err != nil {
		return err
	}
	f.buf = f.buf[:0]
	_, err := f.out.Write(f.method.Data)
	return err
}

// Close writes the last block.
func (f *framer) Close() error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.out.Close()
}
