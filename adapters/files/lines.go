package files

import (
	"bufio"
	"errors"
	"io"
)

// lines reads lines of at most max bytes; what is longer is passed over.
type lines struct {
	r    *bufio.Reader
	max  int
	line []byte
	long bool
	err  error
}

func newLines(in io.Reader, max int) *lines {
	return &lines{r: bufio.NewReaderSize(in, 256<<10), max: max}
}

// next reads the next line into line; false at the end or after err.
func (l *lines) next() bool {
	l.line, l.long = l.line[:0], false
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.line)+len(part) > l.max {
			l.long = true
		} else {
			l.line = append(l.line, part...)
		}
		switch {
		case err == nil:
			return true
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return len(l.line) > 0 || l.long
		default:
			l.err = err
			return false
		}
	}
}
