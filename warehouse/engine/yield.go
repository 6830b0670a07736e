package engine

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// niceness of the engine's process beside the hub, and of its statements: the
// rows of new visits are as eager as the hub, everything else waits. Without
// patience ten heavy queries made a clinic's request wait a hundred times as
// long; with more of it a query starves on a machine that has other work.
//
// A thread takes on its statement's niceness only where the process has
// CAP_SYS_NICE; elsewhere all keep the process's own.
const (
	niceness = 5
	patience = 10
	urgency  = 0
)

// Urgent is the header of requests that carry the rows of new visits. It is for
// the hub alone: a door for others takes it away.
const Urgent = "X-Qihuang-Urgent"

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
