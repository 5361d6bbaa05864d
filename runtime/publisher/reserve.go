package publisher

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// reserve is a file that takes room on the disk, for when there is no other. A log on a
// full disk can be neither opened nor made smaller without some.
type reserve struct{ path string }

// reserveBytes is how large it is.
const reserveBytes = 1 << 20

func newReserve(dir string) reserve { return reserve{filepath.Join(dir, "reserve")} }

// keep makes the file, if it is missing and there is room.
func (r reserve) keep() {
	if r.path == "" {
		return
	}
	if _, err := os.Stat(r.path); err == nil {
		return
	}
	file, err := os.OpenFile(r.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, err = file.Write(make([]byte, reserveBytes))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		_ = os.Remove(r.path)
	}
}

// with calls a function. If the disk is full, it removes the file and calls it again.
func (r reserve) with(call func() error) error {
	err := call()
	if r.path == "" || !isFull(err) || os.Remove(r.path) != nil {
		return err
	}
	return call()
}

// isFull reports whether the error of a log, or of SQLite, says that its disk is full.
func isFull(err error) bool {
	const sqliteFull = 13
	var coded interface {
		error
		Code() int
	}
	return errors.Is(err, eventlog.ErrFull) || errors.As(err, &coded) && coded.Code()&0xff == sqliteFull
}
