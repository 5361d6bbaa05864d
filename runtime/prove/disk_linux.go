package prove

import (
	"os/signal"
	"syscall"
)

// canFill reports whether the disk of the server can be filled.
const canFill = true

// fillDisk has each write of this process to a file fail, as on a full disk, or no longer.
func fillDisk(full bool) error {
	signal.Ignore(syscall.SIGXFSZ) // which would end the process
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if limit.Cur = limit.Max; full {
		limit.Cur = 1
	}
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}
