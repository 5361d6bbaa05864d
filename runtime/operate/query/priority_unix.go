//go:build unix

package query

import (
	"runtime"
	"syscall"
)

// GiveWay makes queries of the calling goroutine, which needs a thread of its own from now
// on, give way to other work of the machine: a query takes a core for as long as it runs,
// and a server beside it needs that for its acknowledgements.
func GiveWay() {
	runtime.LockOSThread()
	// On Linux it is the priority of the thread, elsewhere that of the process.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19)
}
