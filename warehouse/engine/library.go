package engine

import (
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// library is libchdb.so bound without cgo. Only the child process loads it: a
// crash in it must never reach the hub.
type library struct {
	connect      func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn    func(conn unsafe.Pointer)
	query        func(conn uintptr, q unsafe.Pointer, qn uintptr, f unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) uintptr
	destroy      func(result uintptr)
	buffer       func(result uintptr) unsafe.Pointer
	length       func(result uintptr) uintptr
	resultError  func(result uintptr) unsafe.Pointer
	rowsRead     func(result uintptr) uint64 // rows of the result
	storageRows  func(result uintptr) uint64 // rows read from tables
	storageBytes func(result uintptr) uint64
	rowsWritten  func(result uintptr) uint64
	bytesWritten func(result uintptr) uint64
	setHandlers  func(enabled int32)
	signals      signals
}

// loadLibrary opens path and binds what we call. The library resets the
// process's signal handlers at this call and at every connect; Go's own are put
// back each time, else the first nil check or preemption would kill the process.
func loadLibrary(path string) (*library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "load %s: %w", path, err)
	}
	l := &library{}
	for name, fn := range map[string]any{
		"chdb_connect": &l.connect, "chdb_close_conn": &l.closeConn,
		"chdb_query_with_params_n":  &l.query,
		"chdb_destroy_query_result": &l.destroy,
		"chdb_result_buffer":        &l.buffer, "chdb_result_length": &l.length, "chdb_result_error": &l.resultError,
		"chdb_result_rows_read": &l.rowsRead, "chdb_result_storage_rows_read": &l.storageRows,
		"chdb_result_storage_bytes_read": &l.storageBytes,
		"chdb_result_rows_written":       &l.rowsWritten, "chdb_result_bytes_written": &l.bytesWritten,
		"chdb_set_signal_handlers_enabled": &l.setHandlers,
	} {
		address, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fault.New(fault.Unavailable, "%s has no %s: %w", path, name, err)
		}
		purego.RegisterFunc(fn, address)
	}
	if err := l.signals.bind(); err != nil {
		return nil, err
	}
	l.signals.keep(func() { l.setHandlers(0) })
	return l, nil
}

// connection is one session of the engine: settings made with SET live as long
// as it does. Not for concurrent use.
type connection struct {
	lib    *library
	handle unsafe.Pointer // chdb_connection *
}

// open makes a connection; every connection of a process must give the same
// arguments, since the engine behind them is one.
func (l *library) open(args []string) (*connection, error) {
	argv := make([]*byte, 0, len(args)+1)
	for _, a := range args {
		argv = append(argv, unsafe.SliceData(append([]byte(a), 0)))
	}
	argv = append(argv, nil)
	var handle unsafe.Pointer
	l.signals.keep(func() { handle = l.connect(int32(len(args)), unsafe.Pointer(&argv[0])) })
	runtime.KeepAlive(argv)
	if handle == nil || *(*uintptr)(handle) == 0 {
		return nil, fault.New(fault.Unavailable, "the engine refused a connection")
	}
	return &connection{lib: l, handle: handle}, nil
}

func (c *connection) conn() uintptr { return *(*uintptr)(c.handle) }

func (c *connection) close() { c.lib.closeConn(c.handle) }

// params are query parameters as two parallel lists.
type params struct{ names, values []string }

// stats counts one query's work.
type stats struct {
	resultRows, readRows, readBytes, writtenRows, writtenBytes uint64
}

// call hands the query and its parameters over as pointers and lengths, so that
// no byte of them is special.
func (c *connection) call(query, format string, p params) uintptr {
	n := len(p.names)
	var pins runtime.Pinner
	defer pins.Unpin()
	names, values := make([]unsafe.Pointer, n+1), make([]unsafe.Pointer, n+1)
	nameLens, valueLens := make([]uintptr, n+1), make([]uintptr, n+1)
	pin := func(s string) unsafe.Pointer {
		b := unsafe.StringData(s + "\x00")
		pins.Pin(b)
		return unsafe.Pointer(b)
	}
	for i := range n {
		names[i], nameLens[i] = pin(p.names[i]), uintptr(len(p.names[i]))
		values[i], valueLens[i] = pin(p.values[i]), uintptr(len(p.values[i]))
	}
	r := c.lib.query(c.conn(), pin(query), uintptr(len(query)), pin(format), uintptr(len(format)),
		unsafe.Pointer(&names[0]), unsafe.Pointer(&nameLens[0]), unsafe.Pointer(&values[0]), unsafe.Pointer(&valueLens[0]), uintptr(n))
	runtime.KeepAlive(names)
	runtime.KeepAlive(values)
	return r
}

// exec runs one statement and hands its whole output to sink before freeing it.
func (c *connection) exec(query, format string, p params, sink func([]byte) error) (stats, error) {
	r := c.call(query, format, p)
	if r == 0 {
		return stats{}, &Exception{Code: codeUnknown, Message: "the engine returned no result"}
	}
	defer c.lib.destroy(r)
	if err := c.lib.errorOf(r); err != nil {
		return stats{}, err
	}
	st := c.lib.statsOf(r)
	if b := c.lib.bytesOf(r); len(b) > 0 && sink != nil {
		return st, sink(b)
	}
	return st, nil
}

func (l *library) bytesOf(r uintptr) []byte {
	if p := l.buffer(r); p != nil {
		return unsafe.Slice((*byte)(p), l.length(r))
	}
	return nil
}

func (l *library) statsOf(r uintptr) stats {
	return stats{resultRows: l.rowsRead(r), readRows: l.storageRows(r), readBytes: l.storageBytes(r),
		writtenRows: l.rowsWritten(r), writtenBytes: l.bytesWritten(r)}
}

// errorOf returns the engine's exception in r, or nil.
func (l *library) errorOf(r uintptr) error {
	p := l.resultError(r)
	if p == nil {
		return nil
	}
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return parseException(strings.Clone(unsafe.String((*byte)(p), n)))
}
