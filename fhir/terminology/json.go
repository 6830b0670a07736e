package terminology

import (
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
)

// member appends `,"key":"value"` if value is not empty.
func member(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(append(append(dst, ',', '"'), key...), '"', ':')
	return fhir.AppendString(dst, value)
}

// out builds a Parameters resource.
type out struct {
	buf []byte
}

func (o *out) begin(name string) {
	switch n := len(o.buf); {
	case n == 0:
		o.buf = append(o.buf, `{"resourceType":"Parameters","parameter":[`...)
	case o.buf[n-1] != '[':
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, `{"name":`...)
	o.buf = fhir.AppendString(o.buf, name)
}

// text adds a parameter of a string-like type if value is not empty.
func (o *out) text(name, typ, value string) {
	if value == "" {
		return
	}
	o.begin(name)
	o.buf = append(member(o.buf, typ, value), '}')
}

func (o *out) boolean(name string, v bool) {
	o.begin(name)
	o.buf = append(strconv.AppendBool(append(o.buf, `,"valueBoolean":`...), v), '}')
}

// coding adds a Coding.
func (o *out) coding(name, system, version, code, display string) {
	o.begin(name)
	o.buf = append(appendCoding(append(o.buf, `,"valueCoding":`...), system, version, code, display), '}')
}

// raw adds a parameter whose member (valueX or resource) is JSON already.
func (o *out) raw(name, key string, value []byte) {
	o.begin(name)
	o.buf = append(append(append(o.buf, ',', '"'), key...), '"', ':')
	o.buf = append(append(o.buf, value...), '}')
}

// parts adds a parameter with parts, which fn writes.
func (o *out) parts(name string, fn func()) {
	o.begin(name)
	o.buf = append(o.buf, `,"part":[`...)
	fn()
	o.buf = append(o.buf, `]}`...)
}

func (o *out) done() []byte {
	if len(o.buf) == 0 {
		return []byte(`{"resourceType":"Parameters"}`)
	}
	return append(o.buf, `]}`...)
}

func appendCoding(dst []byte, system, version, code, display string) []byte {
	dst = append(dst, '{')
	at := len(dst)
	dst = member(dst, "system", system)
	dst = member(dst, "version", version)
	dst = member(dst, "code", code)
	dst = member(dst, "display", display)
	if len(dst) > at { // the first comma is one too many
		dst = append(dst[:at], dst[at+1:]...)
	}
	return append(dst, '}')
}
