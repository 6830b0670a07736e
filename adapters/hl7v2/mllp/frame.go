package mllp

import (
	"bufio"
	"bytes"
	"errors"
)

// The bytes of a frame.
const (
	vt byte = 0x0b
	fs byte = 0x1c
	cr byte = 0x0d
)

// What can be wrong with a frame. The bytes come with the error.
var (
	errNoise    = errors.New("bytes outside a frame")
	errPartial  = errors.New("message not finished")
	errOversize = errors.New("message too large")
)

// frames reads frames from a stream.
type frames struct {
	r    *bufio.Reader
	max  int
	kept int
	open bool // the VT of the next frame has been read already
}

// begun waits for the first byte of the next frame; io.EOF when there is none.
// Bytes outside a frame other than line ends come back with errNoise.
func (f *frames) begun() ([]byte, error) {
	if f.open {
		return nil, nil
	}
	var noise []byte
	for {
		b, err := f.r.ReadByte()
		switch {
		case err != nil:
			if len(noise) > 0 {
				return noise, errNoise
			}
			return nil, err
		case b == vt:
			f.open = true
			if len(noise) > 0 {
				return noise, errNoise
			}
			return nil, nil
		case b == fs:
			if len(noise) > 0 {
				return noise, errNoise
			}
		case len(noise) == 0 && (b == cr || b == '\n' || b == ' '):
		case len(noise) < f.kept:
			noise = append(noise, b)
		}
	}
}

// message reads the rest of a frame. A new VT inside it means that the sender
// started over: the first part comes back with errPartial. The CR behind FS is
// not waited for: some senders leave it out.
func (f *frames) message() ([]byte, error) {
	f.open = false
	var out []byte
	size := 0
	for {
		if _, err := f.r.Peek(1); err != nil {
			return out[:min(len(out), f.kept)], errPartial
		}
		chunk, _ := f.r.Peek(f.r.Buffered())
		end := bytes.IndexByte(chunk, fs)
		if end >= 0 {
			chunk = chunk[:end]
		}
		again := bytes.IndexByte(chunk, vt)
		if again >= 0 {
			chunk = chunk[:again]
		}
		if size += len(chunk); size <= f.max {
			out = append(out, chunk...)
		} else {
			out = append(out, chunk[:max(0, min(len(chunk), f.kept-len(out)))]...)
		}
		skip := len(chunk)
		if again >= 0 || end >= 0 {
			skip++
		}
		_, _ = f.r.Discard(skip)
		switch {
		case again >= 0:
			f.open = true
			return out[:min(len(out), f.kept)], errPartial
		case end >= 0 && size > f.max:
			return out[:min(len(out), f.kept)], errOversize
		case end >= 0:
			return out, nil
		}
	}
}

// wrap puts a message into a frame.
func wrap(message []byte) []byte {
	out := make([]byte, 0, len(message)+3)
	out = append(out, vt)
	out = append(out, message...)
	return append(out, fs, cr)
}
