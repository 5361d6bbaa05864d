package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// A write-ahead log names neither its database nor the state of it that it
// continues: SQLite replays it over whatever file is beside it. If a process was
// killed, and a backup was then put in place of the file, that makes a mixture of
// both. So a log keeps a note beside its file, of how the header of the file was when
// the present generation of the write-ahead log began. As long as the two belong
// together, the header is that one or a later one, which is in the write-ahead log:
// nothing but a checkpoint writes into the file. Where there is no note, because the
// file is older than notes or the note was lost, nothing is concluded.

// The format of a write-ahead log: a header, and then frames, each a header and a
// page (https://sqlite.org/fileformat2.html#the_write_ahead_log).
const (
	walHeaderSize   = 32
	frameHeaderSize = 24
	walMagic        = 0x377f0682 // or one more
)

// buffers has room for headers, which are read after each commit.
var buffers = sync.Pool{New: func() any { return new([walHeaderSize]byte) }}

// generation identifies what is in a write-ahead log since SQLite began at its
// start again.
type generation struct {
	salts    [8]byte
	pageSize int64
}

// readGeneration returns the generation of a write-ahead log. ok is false if it has
// no header: it is empty, or was truncated. The error is that of a disk that fails,
// from which nothing follows about what is on it.
func readGeneration(wal io.ReaderAt) (g generation, ok bool, err error) {
	header := buffers.Get().(*[walHeaderSize]byte)
	defer buffers.Put(header)
	whole, err := readWhole(wal, header[:], 0)
	if err != nil || !whole || binary.BigEndian.Uint32(header[:])&^1 != walMagic {
		return generation{}, false, err
	}
	g.pageSize = int64(binary.BigEndian.Uint32(header[8:]))
	copy(g.salts[:], header[16:])
	return g, true, nil
}

// frame returns which page the nth frame has. ok is false if that frame is not one of
// the generation. The error is that of a disk that fails.
func (g generation) frame(wal io.ReaderAt, n int64) (page uint32, ok bool, err error) {
	header := buffers.Get().(*[walHeaderSize]byte)
	defer buffers.Put(header)
	whole, err := readWhole(wal, header[:frameHeaderSize], g.offset(n))
	if err != nil || !whole {
		return 0, false, err
	}
	return binary.BigEndian.Uint32(header[:]), bytes.Equal(header[8:16], g.salts[:]), nil
}

// readWhole fills a buffer from an offset of a file. whole is false if the file ends
// before.
func readWhole(file io.ReaderAt, into []byte, offset int64) (whole bool, err error) {
	switch _, err := file.ReadAt(into, offset); err {
	case nil:
		return true, nil
	case io.EOF:
		return false, nil
	default:
		return false, err
	}
}

// offset returns where the nth frame begins.
func (g generation) offset(n int64) int64 { return walHeaderSize + n*(frameHeaderSize+g.pageSize) }

// has reports whether a header of the file is in a frame of the generation.
func (g generation) has(wal io.ReaderAt, header fileHeader) (bool, error) {
	for n := int64(0); ; n++ {
		page, ok, err := g.frame(wal, n)
		if err != nil || !ok {
			return false, err
		}
		if page != 1 {
			continue
		}
		var found fileHeader
		if whole, err := readWhole(wal, found[:], g.offset(n)+frameHeaderSize); err != nil || whole && found == header {
			return err == nil, err
		}
	}
}

// fileHeader is the header of a database: the beginning of its first page.
type fileHeader [100]byte

// readFileHeader reads the header of a file as it is on the disk, whatever its
// write-ahead log has. Only SQLite may open the file (see [creating]).
func readFileHeader(ctx context.Context, path string) (header fileHeader, err error) {
	pool := newPool(path, "mode=ro", "immutable=1")
	defer func() { _ = pool.Close() }()
	var page []byte
	if err := pool.QueryRowContext(ctx, "SELECT data FROM sqlite_dbpage WHERE pgno = 1").Scan(&page); err != nil {
		return header, err
	}
	copy(header[:], page)
	return header, nil
}

// A note is the salts of a generation, the header that the file had when it began,
// and a checksum.
const noteSize = len(generation{}.salts) + len(fileHeader{}) + crc32.Size

// noteFile returns the file that has the note of a log.
func noteFile(path string) string { return path + "-base" }

// writeNote writes a note. It is not synced: a note that is lost or damaged is one
// of another generation.
func writeNote(path string, g generation, header fileHeader) error {
	note := slices.Concat(g.salts[:], header[:])
	note = binary.BigEndian.AppendUint32(note, crc32.ChecksumIEEE(note))
	file, err := os.OpenFile(noteFile(path), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(note, 0)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// readNote returns the header that a file had when a generation of its write-ahead
// log began. ok is false if that was not noted.
func readNote(path string, g generation) (header fileHeader, ok bool) {
	note, err := os.ReadFile(noteFile(path))
	if err != nil || len(note) != noteSize {
		return header, false
	}
	content, checksum := note[:noteSize-crc32.Size], note[noteSize-crc32.Size:]
	if crc32.ChecksumIEEE(content) != binary.BigEndian.Uint32(checksum) || !bytes.Equal(content[:len(g.salts)], g.salts[:]) {
		return header, false
	}
	copy(header[:], content[len(g.salts):])
	return header, true
}

// isForeign reports whether a file is not the one that a write-ahead log continues.
// base returns what the header of that one was when a generation began, if it is
// known. Other processes may be writing both.
func isForeign(ctx context.Context, path string, wal io.ReaderAt, base func(generation) (fileHeader, bool)) bool {
	for range 5 {
		g, ok, err := readGeneration(wal)
		if err != nil || !ok {
			return false
		}
		original, known := base(g)
		header, err := readFileHeader(ctx, path)
		if err != nil {
			return known && isNoDatabase(err) // which the file was when it was noted
		}
		if !known || header == original {
			return false
		}
		if has, err := g.has(wal, header); err != nil || has {
			return false
		}
		// Unless another process has just changed one of them.
		again, err := readFileHeader(ctx, path)
		if now, ok, failed := readGeneration(wal); err == nil && again == header && failed == nil && ok && now == g {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// hasForeignWAL reports whether the write-ahead log that is beside a file belongs to
// another one.
func hasForeignWAL(ctx context.Context, path string) bool {
	wal, err := os.Open(path + "-wal")
	if err != nil {
		return false
	}
	defer func() { _ = wal.Close() }()
	if _, ok, err := readGeneration(wal); err != nil || !ok {
		return false
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 { // SQLite would delete it
		return err == nil
	}
	return isForeign(ctx, path, wal, func(g generation) (fileHeader, bool) { return readNote(path, g) })
}

// setAsideForeignWAL renames a write-ahead log that belongs to another file than the
// one beside it, so that SQLite doesn't replay it, and returns an error if the file
// is not whole without it.
func setAsideForeignWAL(ctx context.Context, path string) error {
	if !hasForeignWAL(ctx, path) {
		return nil
	}
	aside := path + "-wal.stale-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := os.Rename(path+"-wal", aside); err != nil {
		return fmt.Errorf("%s: the -wal beside it belongs to another file, which was here before; move it away (%w)", path, err)
	}
	slog.WarnContext(ctx, "the write-ahead log beside the event log belongs to another file, which was here before, and was set aside: delete it if a backup was restored", "log", path, "renamed", aside)
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return err
	}
	pool := newPool(path, "mode=ro", "immutable=1")
	defer func() { _ = pool.Close() }()
	var verdict string
	if err := pool.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return openError(path, err)
	}
	if verdict != "ok" {
		return plainErrorf("%s: the database is damaged; restore a sound backup (%s)", path, verdict)
	}
	return nil
}
