//go:build darwin || freebsd

package watch

import "golang.org/x/sys/unix"

// remote returns the name of the file system that a folder is on, if changes there may
// cause no event; else "". Tests replace it.
var remote = func(folder string) string {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil || stat.Flags&unix.MNT_LOCAL != 0 {
		return ""
	}
	return unix.ByteSliceToString(stat.Fstypename[:])
}
