package key

import "encoding/hex"

const (
	idUUID = 1 // sixteen bytes follow
	idText = 2 // the characters follow
)

// AppendID appends a resource id: a UUID in its usual lower-case form takes 17
// bytes, any other id its length and one. The order of ids so written is the
// order of results that were not sorted otherwise.
func AppendID(dst []byte, id string) []byte {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return append(append(dst, idText), id...)
	}
	start := len(dst)
	dst = append(dst, idUUID)
	for i := 0; i < 36; {
		if id[i] == '-' && (i == 8 || i == 13 || i == 18 || i == 23) {
			i++
			continue
		}
		hi, lo := nibble(id[i]), nibble(id[i+1])
		if hi|lo > 15 {
			return append(append(dst[:start], idText), id...)
		}
		dst = append(dst, hi<<4|lo)
		i += 2
	}
	return dst
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// IDLen returns the length of the id at the beginning of b, where more may
// follow it only behind a UUID; 0 if b begins with none.
func IDLen(b []byte) int {
	switch {
	case len(b) >= 17 && b[0] == idUUID:
		return 17
	case len(b) >= 2 && b[0] == idText:
		return len(b)
	}
	return 0
}

// ID turns an appended id back into its characters, "" if b is none.
func ID(b []byte) string {
	switch {
	case len(b) == 17 && b[0] == idUUID:
		var buf [36]byte
		hex.Encode(buf[0:8], b[1:5])
		hex.Encode(buf[9:13], b[5:7])
		hex.Encode(buf[14:18], b[7:9])
		hex.Encode(buf[19:23], b[9:11])
		hex.Encode(buf[24:36], b[11:17])
		buf[8], buf[13], buf[18], buf[23] = '-', '-', '-', '-'
		return string(buf[:])
	case len(b) >= 2 && b[0] == idText:
		return string(b[1:])
	}
	return ""
}
