//runtime:with operate.Backup

package operate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

var backupTask = task{
	name: "backup", names: "FILE|DIRECTORY", least: 1, most: 1,
	about: "Writes the log of a running server into a file, or into a new one of a directory, whole and checked.",
	define: func(flags *flag.FlagSet) func(context.Context, taskCall) error {
		follow := flags.Bool("follow", false, "afterwards, keep the file up to date until interrupted: a restore loses at most the last second")
		return func(ctx context.Context, call taskCall) error { return backup(ctx, call, *follow) }
	},
}

// backupLine is a backup as it is printed.
type backupLine struct {
	Backup string            `json:"backup"`
	Events int64             `json:"events"`
	First  eventlog.Position `json:"first"`
	Last   eventlog.Position `json:"last"`
	Bytes  int64             `json:"bytes"`
}

func backup(ctx context.Context, call taskCall, follow bool) error {
	log, err := openFile(ctx, call.url)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	file := call.names[0]
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		file = filepath.Join(file, strings.TrimSuffix(filepath.Base(pathOf(call.url)), ".db")+"-"+time.Now().UTC().Format("20060102T150405.000Z")+".db")
	}
	url, err := fileURL(file) // before it takes long
	if err != nil {
		return err
	}
	if !follow || !exists(file) {
		if err := writeBackup(ctx, log, file); err != nil {
			return err
		}
	}
	line, err := describeBackup(ctx, file, url)
	if err == nil {
		err = call.print(line)
	}
	if err != nil || !follow {
		return err
	}
	return log.FollowBackup(ctx, file, func(last eventlog.Position) {
		_ = call.print(struct {
			Backup string            `json:"backup"`
			Last   eventlog.Position `json:"last"`
		}{file, last})
	})
}

// writeBackup makes a backup, and shows on a terminal how much of it is written.
func writeBackup(ctx context.Context, log eventlog.FileLog, file string) error {
	stats, err := log.Stats(ctx)
	if err != nil {
		return err
	}
	progress := newProgress(os.Stderr, "written", stats.Bytes>>20)
	if progress.out == nil {
		return log.Backup(ctx, file)
	}
	progress.unit = "MB"
	defer progress.end()
	ended := make(chan error, 1)
	go func() { ended <- log.Backup(ctx, file) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-time.After(100 * time.Millisecond):
			progress.show(written(file) >> 20)
		}
	}
}

// written returns how many bytes of a backup are written, into the newest of the files
// that may get its name.
func written(file string) (bytes int64) {
	entries, _ := os.ReadDir(filepath.Dir(file))
	var newest time.Time
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && strings.HasPrefix(entry.Name(), filepath.Base(file)+".part-") && !info.ModTime().Before(newest) {
			newest, bytes = info.ModTime(), info.Size()
		}
	}
	return bytes
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// pathOf returns the path of a URL.
func pathOf(url string) string {
	path, _, _ := strings.Cut(url, "?")
	_, path, _ = strings.Cut(path, ":")
	return path
}

// fileURL returns the URL of a log in a file, unless it is a URL already.
func fileURL(name string) (string, error) {
	if scheme, _, found := strings.Cut(name, ":"); found && len(scheme) > 1 { // C:\events.db
		return name, nil
	}
	if strings.Contains(name, "?") { // after which a URL has parameters
		return "", fmt.Errorf("%s: the name of a log's file can't have a question mark: choose another name", name)
	}
	return "sqlite:" + name, nil
}

// openFile opens a log in a file for reading.
func openFile(ctx context.Context, url string) (eventlog.FileLog, error) {
	log, err := eventlog.OpenReader(ctx, url)
	if err != nil {
		return nil, err
	}
	if file, ok := log.(eventlog.FileLog); ok {
		return file, nil
	}
	scheme, _, _ := strings.Cut(url, ":") // the rest may be secret
	return nil, errors.Join(fmt.Errorf("a log of %s:… is not a file: make a backup of it by events copy --to sqlite:FILE", scheme), log.Close())
}

func describeBackup(ctx context.Context, file, url string) (backupLine, error) {
	log, err := openFile(ctx, url)
	if err != nil {
		return backupLine{}, err
	}
	stats, err := log.Stats(ctx)
	return backupLine{file, stats.Events, stats.First, stats.Last, stats.Bytes}, errors.Join(err, log.Close())
}

var restoreTask = task{
	name: "restore", names: "BACKUP", least: 1, most: 1,
	about: "Puts a backup in the place of the log of a server that is stopped, all of it or nothing, and keeps what was there.",
	define: func(*flag.FlagSet) func(context.Context, taskCall) error {
		return func(ctx context.Context, call taskCall) error {
			before, err := eventlog.Restore(ctx, call.url, call.names[0])
			if err != nil {
				return err
			}
			return call.print(struct {
				Restored string `json:"restored"`
				Before   string `json:"before,omitempty"`
			}{call.names[0], before})
		}
	},
}
