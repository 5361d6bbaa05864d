package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// copyFile copies a file, as a process other than SQLite does: the copied file must
// not be one that this process has open, since to close it ends SQLite's locks.
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(file, bytes.NewReader(content))
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// image copies the files of a log that nothing writes just now, as a process that is
// killed leaves them, and returns the path of the copy. The log must not be used
// afterwards.
func image(t testing.TB, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "events.db")
	for _, suffix := range []string{"", "-wal", "-shm", "-base"} {
		if _, err := os.Stat(path + suffix); err == nil {
			copyFile(t, path+suffix, to+suffix)
		}
	}
	return to
}

// stale returns the write-ahead logs that were set aside.
func stale(t testing.TB, path string) []string {
	t.Helper()
	names, err := filepath.Glob(path + "-wal.stale-*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func checkIntegrity(t testing.TB, log *fileLog) {
	t.Helper()
	var verdict string
	if err := log.changes.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity: %s, %v", verdict, err)
	}
}

// appendNumbered appends events one after the other, and returns their ids.
func appendNumbered(t testing.TB, log *fileLog, prefix string, count, bytes int) (ids []string) {
	t.Helper()
	for i := range count {
		one := event(fmt.Sprint(prefix, i))
		one.Data = []byte(strings.Repeat(prefix, bytes))
		mustAppend(t, log, one)
		ids = append(ids, one.ID)
	}
	return ids
}

// lookSoon makes the next commit look at the write-ahead log, as one does after a while.
func lookSoon(log *fileLog) {
	files := log.appender.writer.watch
	files.mu.Lock()
	defer files.mu.Unlock()
	files.followed, files.present, files.next = time.Time{}, time.Time{}, time.Time{}
}

// TestLostFilesAreNoticedAndSaved checks that a log whose -wal or -shm is gone takes
// nothing any longer, and that what it had acknowledged is in its file by then, even
// if the process is killed.
func TestLostFilesAreNoticedAndSaved(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"the -wal is removed": func(path string) error { return os.Remove(path + "-wal") },
		"the -shm is removed": func(path string) error { return os.Remove(path + "-shm") },
		"both are removed": func(path string) error {
			return errors.Join(os.Remove(path+"-wal"), os.Remove(path+"-shm"))
		},
		"the -wal is replaced": func(path string) error {
			other := path + "-other"
			return errors.Join(os.WriteFile(other, nil, 0o600), os.Rename(other, path+"-wal"))
		},
		"the -wal is moved away": func(path string) error { return os.Rename(path+"-wal", path+"-moved") },
	} {
		for when, notice := range map[string]func(*fileLog) error{
			"by an append": func(log *fileLog) error {
				_, err := log.Append(t.Context(), event("late"))
				if err == nil && name == "the -shm is removed" { // which loses nothing at once
					err = log.Check(t.Context())
				}
				return err
			},
			"by a change": func(log *fileLog) error {
				_, err := log.Hold(t.Context(), "mailer")
				if err == nil && name == "the -shm is removed" {
					err = log.Check(t.Context())
				}
				return err
			},
			"while nothing happens": func(log *fileLog) (err error) {
				await(t, "it is noticed", func() bool {
					err = log.Check(t.Context())
					return err != nil
				})
				return err
			},
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				log := mustOpen(t, newURL(t))
				want := appendNumbered(t, log, "a", 30, 100)
				if err := lose(log.path); err != nil {
					t.Fatal(err)
				}
				lookSoon(log)
				if err := notice(log); !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "was removed or replaced while it was open") {
					t.Errorf("got %v, want that a file is gone", err)
				}
				await(t, "it is saved", func() bool {
					err := log.Check(t.Context())
					return err != nil && strings.Contains(err.Error(), "what was acknowledged was saved; stop the server")
				})
				if _, err := log.Append(t.Context(), event("later")); !errors.Is(err, eventlog.ErrUnavailable) {
					t.Errorf("it takes another: %v", err)
				}
				again := mustOpen(t, "sqlite:"+image(t, log.path))
				if got := ids(mustRead(t, again, 0)); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
					t.Errorf("%d of %d events are left", len(got), len(want))
				}
				checkIntegrity(t, again)
			})
		}
	}
}

// TestATruncatedWALIsNoticed checks that nothing is acknowledged into a write-ahead log
// that has lost its beginning, and that it is not moved into the file.
func TestATruncatedWALIsNoticed(t *testing.T) {
	for name, size := range map[string]int64{"empty": 0, "half": -2, "a frame": walHeaderSize + frameHeaderSize + 4096} {
		t.Run(name, func(t *testing.T) {
			log := mustOpen(t, newURL(t))
			want := appendNumbered(t, log, "a", 20, 100)
			if _, err := log.changes.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
				t.Fatal(err)
			}
			appendNumbered(t, log, "b", 20, 100) // in the write-ahead log alone
			info, err := os.Stat(log.path + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			if size < 0 {
				size = info.Size() / -size
			}
			if err := log.Check(t.Context()); err != nil { // which looks at what was just written
				t.Fatal(err)
			}
			if err := os.Truncate(log.path+"-wal", size); err != nil {
				t.Fatal(err)
			}
			appended := 0
			await(t, "it is noticed", func() bool {
				_, err = log.Append(t.Context(), event(fmt.Sprint("c", appended)))
				appended++
				return err != nil
			})
			if appended > 100 || !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "its -wal was truncated or overwritten while it was open") {
				t.Errorf("after %d appends: %v, want that it was truncated", appended, err)
			}
			if err := log.Check(t.Context()); !errors.Is(err, eventlog.ErrUnavailable) {
				t.Errorf("check: %v", err)
			}
			mustClose(t, log)
			again := mustOpen(t, "sqlite:"+image(t, log.path))
			if got := ids(mustRead(t, again, 0)); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
				t.Errorf("%v are left, want those of before at least", got)
			}
			checkIntegrity(t, again)
		})
	}
}

// TestAFailingDiskIsNoLoss checks that nothing is concluded from files that can't be
// read for a while: the log works again by itself once they can be.
func TestAFailingDiskIsNoLoss(t *testing.T) {
	log := mustOpen(t, newURL(t))
	appendNumbered(t, log, "a", 20, 100)
	files := log.appender.writer.watch
	loop := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	for name, fail := range map[string]func() (repair func()){
		"the -wal can't be read": func() (repair func()) {
			open := files.walFile
			closed, err := os.Open(os.DevNull)
			if err := errors.Join(err, closed.Close()); err != nil {
				t.Fatal(err)
			}
			files.walFile = closed // reading it is an error, and not its end
			return func() { files.walFile = open }
		},
		"the files can't be found out about": func() (repair func()) {
			path := files.path
			files.path = filepath.Join(loop, "events.db")
			return func() { files.path = path }
		},
	} {
		t.Run(name, func(t *testing.T) {
			files.mu.Lock()
			repair := fail()
			files.followed = time.Time{}
			for _, committed := range []bool{true, false} {
				if loss := files.find(committed); loss != nil {
					t.Errorf("it is taken for a loss, committed %v: %s (%v)", committed, loss.what, loss.cause)
				}
			}
			if files.isForeign() {
				t.Error("the file is taken for another one")
			}
			repair()
			files.mu.Unlock()
			if err := errors.Join(log.Check(t.Context()), files.checkContent()); err != nil {
				t.Error(err)
			}
			appendNumbered(t, log, name, 5, 100)
		})
	}
}

// TestCheckpointsOfOthersAreNoLoss checks that what operators may do is not taken for
// damage.
func TestCheckpointsOfOthersAreNoLoss(t *testing.T) {
	log := mustOpen(t, newURL(t))
	want := 0
	for _, mode := range []string{"PASSIVE", "FULL", "RESTART", "TRUNCATE", "TRUNCATE"} {
		want += len(appendNumbered(t, log, mode+fmt.Sprint(want), 10, 10))
		onDatabase(t, log.path, "PRAGMA wal_checkpoint("+mode+")")
		if err := log.Check(t.Context()); err != nil {
			t.Errorf("after %s: %v", mode, err)
		}
	}
	onDatabase(t, log.path, "VACUUM")
	want += len(appendNumbered(t, log, "end", 10, 10))
	if err := errors.Join(log.Check(t.Context()), log.appender.writer.watch.checkContent()); err != nil {
		t.Error(err)
	}
	if got := len(mustRead(t, log, 0)); got != want {
		t.Errorf("%d events, want %d", got, want)
	}
}

// TestACommitWithoutAChangeIsNoLoss checks that an empty write-ahead log is not taken
// for one that lost something when a commit had nothing to write: after a backup was
// restored, whose first append or consumer is known already, and after a checkpoint.
func TestACommitWithoutAChangeIsNoLoss(t *testing.T) {
	commits := map[string]func(*fileLog) error{
		"of a consumer that is known": func(log *fileLog) error {
			hold, err := log.Hold(t.Context(), "mailer")
			if err != nil {
				return err
			}
			return hold.Release()
		},
		"of an event that is known": func(log *fileLog) error {
			receipts, err := log.Append(t.Context(), event("a"))
			if err == nil && !receipts[0].Duplicate {
				err = errors.New("it is stored again")
			}
			return err
		},
	}
	log := mustOpen(t, newURL(t))
	mustAppend(t, log, event("a"))
	if err := commits["of a consumer that is known"](log); err != nil {
		t.Fatal(err)
	}
	for name, commit := range commits {
		saved := filepath.Join(t.TempDir(), "backup.db")
		onDatabase(t, log.path, "VACUUM INTO '"+saved+"'")
		restored := mustOpen(t, "sqlite:"+saved)
		if err := errors.Join(commit(restored), restored.Check(t.Context())); err != nil {
			t.Errorf("%s, after a restore: %v", name, err)
		}
		onDatabase(t, log.path, "PRAGMA wal_checkpoint(TRUNCATE)")
		lookSoon(log)
		if err := errors.Join(commit(log), log.Check(t.Context())); err != nil {
			t.Errorf("%s, after a checkpoint: %v", name, err)
		}
	}
}

// TestAFileThatIsReplacedUnderLoadIsNoticed checks that a file which is overwritten or
// truncated between two commits is noticed by the second, and so before a checkpoint
// mixes what was there with what is now.
func TestAFileThatIsReplacedUnderLoadIsNoticed(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, path, backup string) error{
		"overwritten": func(t *testing.T, path, backup string) error { copyFile(t, backup, path); return nil },
		"truncated":   func(_ *testing.T, path, _ string) error { return os.Truncate(path, 8192) },
		"emptied":     func(_ *testing.T, path, _ string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			log := mustOpen(t, newURL(t))
			appendNumbered(t, log, "a", 200, 3000)
			saved := filepath.Join(t.TempDir(), "backup.db")
			onDatabase(t, log.path, "VACUUM INTO '"+saved+"'")
			appendNumbered(t, log, "b", 5, 100)
			if err := log.appender.writer.watch.checkContent(); err != nil {
				t.Fatal(err)
			}
			// Not by what looks at it from time to time.
			files := log.appender.writer.watch
			files.mu.Lock()
			files.followed = time.Time{}
			if loss := files.find(true); loss != nil {
				t.Fatalf("before that it finds %+v", loss)
			}
			if err := lose(t, log.path, saved); err != nil {
				t.Fatal(err)
			}
			files.followed, files.next = time.Time{}, time.Time{}
			loss := files.find(true)
			files.mu.Unlock()
			if loss == nil || loss.isIntact || !strings.Contains(loss.what, "its file was overwritten or truncated while it was open") {
				t.Errorf("the next commit finds %+v", loss)
			}
		})
	}
}

// TestAnOverwrittenFileIsNoticed checks that a log whose file was overwritten while it
// was open takes nothing any longer, and does not write into what is there now.
func TestAnOverwrittenFileIsNoticed(t *testing.T) {
	log := mustOpen(t, newURL(t))
	appendNumbered(t, log, "a", 5, 100)
	backup := filepath.Join(t.TempDir(), "backup.db")
	onDatabase(t, log.path, "VACUUM INTO '"+backup+"'")
	appendNumbered(t, log, "b", 50, 10_000)
	copyFile(t, backup, log.path)
	await(t, "it is noticed", func() bool { return log.Check(t.Context()) != nil })
	if _, err := log.Append(t.Context(), event("c")); !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "its file was overwritten or truncated while it was open") {
		t.Errorf("got %v, want that it was overwritten", err)
	}
	mustClose(t, log)
	want, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(log.path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("something was written into the backup (%v)", err)
	}
}

// backups are ways to make one of a log that is open.
var backups = map[string]func(t *testing.T, log *fileLog, to string){
	"VACUUM INTO": func(t *testing.T, log *fileLog, to string) { onDatabase(t, log.path, "VACUUM INTO '"+to+"'") },
	".backup": func(t *testing.T, log *fileLog, to string) {
		conn, err := log.readers.pool.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		err = conn.Raw(func(driver any) error {
			backup, err := driver.(interface {
				NewBackup(string) (*sqlite.Backup, error)
			}).NewBackup(to)
			if err != nil {
				return err
			}
			if _, err := backup.Step(-1); err != nil {
				return err
			}
			return backup.Finish()
		})
		if err != nil {
			t.Fatal(err)
		}
	},
}

// TestABackupIsWhatItWas checks that a backup that was put over a log whose process
// was killed is neither mixed with what that process has left, nor undone by it.
func TestABackupIsWhatItWas(t *testing.T) {
	for backup, make := range backups {
		for _, bytes := range []int{10, 3000, 100_000} {
			for _, restarted := range []bool{false, true} { // since the backup
				for _, restored := range []bool{false, true} { // from another backup, before
					t.Run(fmt.Sprintf("%s, %d bytes, restarted %v, restored %v", backup, bytes, restarted, restored), func(t *testing.T) {
						log := mustOpen(t, newURL(t))
						saved := filepath.Join(t.TempDir(), "backup.db")
						if restored {
							appendNumbered(t, log, "first", 3, 10)
							make(t, log, saved)
							mustClose(t, log)
							copyFile(t, saved, log.path)
							log = mustOpen(t, "sqlite:"+log.path)
							if err := os.Remove(saved); err != nil {
								t.Fatal(err)
							}
						}
						appendNumbered(t, log, "old", 5, 10)
						want := ids(mustRead(t, log, 0))
						make(t, log, saved)
						if restarted {
							mustClose(t, log)
							log = mustOpen(t, "sqlite:"+log.path)
						}
						appendNumbered(t, log, "new", 70, bytes)
						if err := log.Check(t.Context()); err != nil { // looks at the -wal now, and not some commits later
							t.Fatal(err)
						}
						killed := image(t, log.path)
						left, err := os.ReadFile(killed + "-wal")
						if err != nil {
							t.Fatal(err)
						}
						copyFile(t, saved, killed)

						if _, err := eventlog.OpenReader(t.Context(), "sqlite:"+killed); err == nil || !strings.Contains(err.Error(), killed+": the -wal beside it belongs to another file") {
							t.Errorf("reading: got %v, want that it does not fit", err)
						}
						again := mustOpen(t, "sqlite:"+killed)
						if got := ids(mustRead(t, again, 0)); !slices.Equal(got, want) {
							t.Errorf("%d events, want the %d of the backup", len(got), len(want))
						}
						checkIntegrity(t, again)
						if names := stale(t, killed); len(names) != 1 {
							t.Errorf("set aside: %v", names)
						} else if kept, err := os.ReadFile(names[0]); err != nil || string(kept) != string(left) {
							t.Errorf("what was set aside has %d bytes, %v; want %d", len(kept), err, len(left))
						}
						mustAppend(t, again, event("later"))
						mustClose(t, again)
						if got := ids(mustRead(t, mustOpen(t, "sqlite:"+killed), 0)); !slices.Equal(got, append(want, "later")) {
							t.Errorf("and then %v", got)
						}
					})
				}
			}
		}
	}
}

// TestAWALWithoutItsFileIsKept checks that SQLite does not delete a write-ahead log
// whose file is gone.
func TestAWALWithoutItsFileIsKept(t *testing.T) {
	log := mustOpen(t, newURL(t))
	appendNumbered(t, log, "a", 5, 10)
	killed := image(t, log.path)
	if err := os.Remove(killed); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, "sqlite:"+killed)
	mustAppend(t, again, event("b"))
	if names := stale(t, killed); len(names) != 1 {
		t.Errorf("set aside: %v", names)
	}
}

// TestAWALIsNotReplayedOverWhatIsNoDatabase checks that the pages of a write-ahead log
// don't make a database of half of them.
func TestAWALIsNotReplayedOverWhatIsNoDatabase(t *testing.T) {
	log := mustOpen(t, newURL(t))
	appendNumbered(t, log, "a", 5, 100)
	killed := image(t, log.path)
	if err := os.WriteFile(killed, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := eventlog.Open(t.Context(), "sqlite:"+killed); err == nil || !strings.Contains(err.Error(), "this file is not a SQLite database") {
		t.Errorf("got %v, want that it is none", err)
	}
	if names := stale(t, killed); len(names) != 1 {
		t.Errorf("set aside: %v", names)
	}
}

// TestWhatBelongsTogetherIsReplayed checks that nothing is set aside that a killed
// process has left, whatever was checkpointed, noted or damaged by then.
func TestWhatBelongsTogetherIsReplayed(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, log *fileLog){
		"nothing": func(*testing.T, *fileLog) {},
		"some is checkpointed": func(t *testing.T, log *fileLog) {
			onDatabase(t, log.path, "PRAGMA wal_checkpoint(PASSIVE)")
			appendNumbered(t, log, "c", 3, 10)
		},
		"all is checkpointed":    func(t *testing.T, log *fileLog) { onDatabase(t, log.path, "PRAGMA wal_checkpoint(FULL)") },
		"its log is begun again": func(t *testing.T, log *fileLog) { appendNumbered(t, log, "c", 300, 30_000) },
		"another program has written": func(t *testing.T, log *fileLog) {
			onDatabase(t, log.path, "PRAGMA wal_checkpoint(TRUNCATE); CREATE TABLE mine (n); INSERT INTO mine VALUES (1)")
		},
		"there is no note": func(t *testing.T, log *fileLog) { _ = os.Remove(noteFile(log.path)) },
		"the note is damaged": func(t *testing.T, log *fileLog) {
			note, err := os.ReadFile(noteFile(log.path))
			if err != nil {
				t.Fatal(err)
			}
			note[20] ^= 1
			if err := os.WriteFile(noteFile(log.path), note, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"the note is of another log": func(t *testing.T, log *fileLog) {
			other := mustOpen(t, newURL(t))
			mustAppend(t, other, event("a"))
			copyFile(t, noteFile(other.path), noteFile(log.path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := mustOpen(t, newURL(t))
			appendNumbered(t, log, "a", 20, 1000)
			mustClose(t, log)
			log = mustOpen(t, "sqlite:"+log.path)
			appendNumbered(t, log, "b", 20, 1000)
			change(t, log)
			want := ids(mustRead(t, log, 0))
			killed := image(t, log.path)
			again := mustOpen(t, "sqlite:"+killed)
			if got := ids(mustRead(t, again, 0)); !slices.Equal(got, want) {
				t.Errorf("%d events, want %d", len(got), len(want))
			}
			if names := stale(t, killed); len(names) > 0 {
				t.Errorf("set aside: %v", names)
			}
			checkIntegrity(t, again)
		})
	}
}
