package engine

import (
	"sync"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// owned are the signals whose Go handlers the library replaces or resets:
// those it calls deadly, and SIGURG, which preempts goroutines.
var owned = [...]syscall.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGILL, syscall.SIGBUS,
	syscall.SIGSYS, syscall.SIGFPE, syscall.SIGTSTP, syscall.SIGTRAP, syscall.SIGURG, syscall.SIGPIPE}

// signals saves and restores the handlers that the Go runtime owns.
type signals struct {
	mu        sync.Mutex
	sigaction func(sig int32, act, old unsafe.Pointer) int32
}

// action holds glibc's struct sigaction, 152 bytes on linux/amd64.
type action [32]uint64

// bind finds libc's sigaction: the kernel's own call would need a restorer.
func (s *signals) bind() error {
	handle, err := purego.Dlopen("libc.so.6", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fault.New(fault.Unavailable, "load libc: %w", err)
	}
	purego.RegisterLibFunc(&s.sigaction, handle, "sigaction")
	return nil
}

// keep runs fn and puts back every handler it changed.
func (s *signals) keep(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var saved [len(owned)]action
	for i, sig := range owned {
		s.sigaction(int32(sig), nil, unsafe.Pointer(&saved[i]))
	}
	fn()
	for i, sig := range owned {
		s.sigaction(int32(sig), unsafe.Pointer(&saved[i]), nil)
	}
}
