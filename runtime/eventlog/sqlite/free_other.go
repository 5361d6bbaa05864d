//go:build !linux && !darwin && !freebsd

package sqlite

func statFree(string) (bytes int64, ok bool) { return 0, false }
