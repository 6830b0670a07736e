package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// wire is one keep-alive HTTP/1.1 connection of the load generator. It does as
// little as it can: generator and hub share the processors, and the hub is what
// is to be measured. For one goroutine.
type wire struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
	out     []byte
	body    []byte
}

// call sends a request and returns the status and the body, which is valid until
// the next call.
func (w *wire) call(method, path, contentType string, body []byte) (int, []byte, error) {
	if w.conn == nil {
		conn, err := net.DialTimeout("tcp", w.address, 10*time.Second)
		if err != nil {
			return 0, nil, err
		}
		w.conn, w.in = conn, bufio.NewReaderSize(conn, 16<<10)
	}
	b := append(append(append(append(w.out[:0], method...), ' '), path...), " HTTP/1.1\r\nHost: "...)
	b = append(b, w.address...)
	if contentType != "" {
		b = append(append(b, "\r\nContent-Type: "...), contentType...)
	}
	if body != nil {
		b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(body)), 10)
	}
	b = append(append(b, "\r\n\r\n"...), body...)
	w.out = b
	_ = w.conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := w.conn.Write(b); err != nil {
		return 0, nil, w.drop(err)
	}
	return w.answer()
}

func (w *wire) answer() (status int, body []byte, err error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return 0, nil, w.drop(err)
	}
	status, err = strconv.Atoi(string(line[9:12]))
	length, chunked := 0, false
	for err == nil {
		if line, err = w.in.ReadSlice('\n'); len(line) <= 2 {
			break
		}
		name, value, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(value))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	switch {
	case err != nil:
	case chunked:
		err = w.chunks()
	default:
		err = w.read(w.body[:0], length)
	}
	if err != nil {
		return 0, nil, w.drop(err)
	}
	return status, w.body, nil
}

// read appends n bytes to dst, which becomes the body.
func (w *wire) read(dst []byte, n int) error {
	at := len(dst)
	if cap(dst) < at+n {
		dst = append(make([]byte, 0, 2*(at+n)), dst...)
	}
	w.body = dst[:at+n]
	_, err := io.ReadFull(w.in, w.body[at:])
	return err
}

func (w *wire) chunks() error {
	w.body = w.body[:0]
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		at := len(w.body)
		if err := w.read(w.body, int(n)+2); err != nil { // with the line's end
			return err
		}
		if w.body = w.body[:at+int(n)]; n == 0 {
			return nil
		}
	}
}

// drop closes the connection; the next call opens another.
func (w *wire) drop(err error) error {
	_ = w.conn.Close()
	w.conn = nil
	if err == nil {
		err = fault.New(fault.Unavailable, "the hub's answer is no HTTP")
	}
	return err
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
	}
}
