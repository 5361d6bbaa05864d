//go:build linux || darwin || freebsd

package sqlite

import "syscall"

func statFree(dir string) (bytes int64, ok bool) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, false
	}
	return max(0, int64(stat.Bavail)) * int64(stat.Bsize), true //nolint:unconvert // it has another type in other systems
}
