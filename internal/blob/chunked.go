package blob

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// unchunk undoes AWS's own chunked body encoding, with signed or unsigned
// chunks and trailers, so that the store behind sees a plain body. The chunks'
// own signatures are not checked: the body's length and, for objects, the
// client's checksum are.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
func unchunk(r *http.Request) error {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		if r.ContentLength >= 0 {
			r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		}
		return nil
	}
	size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return errors.New("X-Amz-Decoded-Content-Length is missing")
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{&chunks{in: bufio.NewReaderSize(r.Body, 64<<10), size: size}, r.Body}
	r.ContentLength = size
	r.Header.Set("Content-Length", strconv.FormatInt(size, 10))
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	r.Header.Del("X-Amz-Decoded-Content-Length")
	if rest := strings.Trim(strings.Replace(r.Header.Get("Content-Encoding"), "aws-chunked", "", 1), ", "); rest == "" {
		r.Header.Del("Content-Encoding")
	} else {
		r.Header.Set("Content-Encoding", rest)
	}
	return nil
}

// chunks reads "<hex size>[;extensions]\r\n<data>\r\n" … up to the chunk of
// size 0; what follows is the trailer.
type chunks struct {
	in   *bufio.Reader
	left int64 // of the current chunk
	size int64 // promised in all, counted down
	done bool
}

var errChunk = errors.New("damaged chunk")

// Read reads the data of the chunks.
func (c *chunks) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.done {
			return 0, io.EOF
		}
		if err := c.begin(); err != nil {
			return 0, err
		}
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if c.left == 0 && err == nil {
		err = c.lineEnd()
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *chunks) begin() error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return errors.Join(io.ErrUnexpectedEOF, err)
	}
	hex, _, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), ";")
	n, err := strconv.ParseInt(hex, 16, 64)
	if err != nil || n < 0 || n > c.size {
		return errChunk
	}
	c.left, c.size = n, c.size-n
	if n == 0 {
		c.done = true
		if c.size != 0 {
			return io.ErrUnexpectedEOF
		}
		_, err = io.Copy(io.Discard, c.in) // trailer
	}
	return err
}

func (c *chunks) lineEnd() error {
	var end [2]byte
	if _, err := io.ReadFull(c.in, end[:]); err != nil || string(end[:]) != "\r\n" {
		return errors.Join(errChunk, err)
	}
	return nil
}
