package table

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
	"strings"
)

// memo reads the long texts beside a DBF. Three layouts exist: FoxPro's .FPT,
// dBASE IV's .DBT with a length before each text, dBASE III's that ends by 1A 1A.
type memo struct {
	in     io.ReaderAt
	block  int64
	layout byte // 'F', '4' or '3'
}

func openMemo(in io.ReaderAt, version byte) memo {
	m := memo{in: in, block: 512, layout: '3'}
	if in == nil {
		return m
	}
	var head [24]byte
	if n, _ := in.ReadAt(head[:], 0); n < len(head) {
		return m
	}
	switch version {
	case 0xf5, 0xfb, 0x30, 0x31, 0x32:
		m.layout = 'F'
		if size := int64(binary.BigEndian.Uint16(head[6:])); size > 0 {
			m.block = size
		}
	case 0x8b, 0x8e, 0xcb:
		m.layout = '4'
		if size := int64(binary.LittleEndian.Uint16(head[20:])); size > 0 {
			m.block = size
		}
	}
	return m
}

// memoText reads the text a field points to: a number of ten digits, or four
// bytes in Visual FoxPro.
func (d *dbfReader) memoText(raw []byte) (string, error) {
	var block int64
	if len(raw) == 4 {
		block = int64(binary.LittleEndian.Uint32(raw))
	} else {
		s := strings.Trim(string(raw), " \x00")
		if s == "" {
			return "", nil
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return "", errMemo
		}
		block = n
	}
	if block <= 0 {
		return "", nil
	}
	b, err := d.memo.read(block)
	if err != nil {
		return "", err
	}
	return text(bytes.Trim(b, " \x00"))
}

func (m memo) read(block int64) ([]byte, error) {
	if m.in == nil || block > 1<<40/m.block {
		return nil, errMemo
	}
	at := block * m.block
	if m.layout == '3' {
		return m.ended(at)
	}
	var head [8]byte
	if _, err := m.in.ReadAt(head[:], at); err != nil {
		return nil, errMemo
	}
	size := int64(binary.BigEndian.Uint32(head[4:]))
	if m.layout == '4' {
		if size = int64(binary.LittleEndian.Uint32(head[4:])) - 8; size < 0 {
			return nil, errMemo
		}
	}
	if size > maxCell {
		return nil, errMemo
	}
	// Read in steps: the length is the file's claim, not yet a fact.
	b, err := io.ReadAll(io.NewSectionReader(m.in, at+8, size))
	if err != nil || int64(len(b)) < size {
		return nil, errMemo
	}
	return b, nil
}

// ended reads blocks until the end mark.
func (m memo) ended(at int64) ([]byte, error) {
	var out []byte
	buf := make([]byte, 512)
	for len(out) <= maxCell {
		n, err := m.in.ReadAt(buf, at)
		if i := bytes.IndexByte(buf[:n], 0x1a); i >= 0 {
			return append(out, buf[:i]...), nil
		}
		out = append(out, buf[:n]...)
		at += int64(n)
		if err == io.EOF && n == 0 {
			return nil, errMemo
		}
		if err != nil && err != io.EOF {
			return nil, errMemo
		}
	}
	return nil, errMemo
}
