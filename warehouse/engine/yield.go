package engine

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// niceness of the engine beside the hub: analysts wait, the clinic does not. It
// is not more than this, since the rows of new visits go through the engine too.
const niceness = 5

// yieldVariable marks a process that has yielded already.
const yieldVariable = "QIHUANG_ENGINE_NICE"

// Yield gives the process a lower priority than the hub's. Niceness belongs to
// threads and is inherited by those they start, so that the process begins anew
// from a thread that has it; its pid and standard input stay.
func Yield() error {
	if os.Getenv(yieldVariable) != "" {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), niceness); err != nil {
		return fmt.Errorf("lower the engine's priority: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), yieldVariable+"="+strconv.Itoa(niceness)))
}
