//runtime:with command.From

//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package command

import (
	"errors"
	"os"
	"syscall"
)

// isLocked locks a file until it is closed, and reports whether another process has. A
// file system without locks counts as one where nobody has.
func isLocked(file *os.File) bool {
	return errors.Is(syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
