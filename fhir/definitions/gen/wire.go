package main

import "encoding/binary"

// writer builds the model part of the file; definitions.reader is its mirror.
type writer struct {
	b       []byte
	strings []string
	number  map[string]int
}

func newWriter() *writer {
	w := &writer{number: map[string]int{}}
	w.intern("")
	return w
}

func (w *writer) intern(s string) int {
	i, ok := w.number[s]
	if !ok {
		i = len(w.strings)
		w.number[s] = i
		w.strings = append(w.strings, s)
	}
	return i
}

func (w *writer) uint(v int) { w.b = binary.AppendUvarint(w.b, uint64(v)) }

func (w *writer) bool(v bool) {
	if v {
		w.uint(1)
	} else {
		w.uint(0)
	}
}

func (w *writer) str(ss ...string) {
	for _, s := range ss {
		w.uint(w.intern(s))
	}
}

func (w *writer) strs(ss []string) {
	w.uint(len(ss))
	w.str(ss...)
}

// bytes returns the string table followed by everything written.
func (w *writer) bytes() []byte {
	out := binary.AppendUvarint(nil, uint64(len(w.strings)))
	for _, s := range w.strings {
		out = binary.AppendUvarint(out, uint64(len(s)))
	}
	for _, s := range w.strings {
		out = append(out, s...)
	}
	return append(out, w.b...)
}
