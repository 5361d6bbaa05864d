//runtime:with operate.Backup eventlog.FileLog eventlog.Restore eventlog.ImportLog eventlog.EraseLog

package eventlog

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// FileLog is a [Log] in a file, of which backups can be made. The logs of eventlog/sqlite
// implement it.
type FileLog interface {
	Log

	// Backup writes the log of the moment at which it begins into a file: events, schemas,
	// consumers with their positions, and dead letters. The file has its name once it
	// is whole, checked and on the device, and replaces an earlier backup of that name.
	// Appends go on meanwhile.
	Backup(ctx context.Context, file string) error

	// FollowBackup keeps a backup up to date until ctx ends. About once a second it
	// applies what has changed, in one transaction. Then it calls synced with the last
	// position of the backup, if that is another one. It returns an error if the backup
	// is not one of this log.
	FollowBackup(ctx context.Context, file string, synced func(Position)) error

	// Verify returns an error if the file is damaged.
	Verify(ctx context.Context) error
}

// Restorer puts a backup in the place of the log that a URL names, all of it or nothing.
// It returns where the log that was there is kept, "" if there was none.
type Restorer func(ctx context.Context, url, backup string) (before string, err error)

var restorers = struct {
	sync.RWMutex
	byScheme map[string]Restorer
}{byScheme: map[string]Restorer{}}

// RegisterRestorer makes an engine's restorer available to [Restore] under the schemes
// of its URLs. Engines with a [FileLog] call it when they are imported.
func RegisterRestorer(restore Restorer, schemes ...string) {
	restorers.Lock()
	defer restorers.Unlock()
	for _, scheme := range schemes {
		restorers.byScheme[scheme] = restore
	}
}

// Restore puts a backup, as [FileLog] writes it, in the place of the log that a URL
// names. The log must not be open anywhere. Whenever the program is killed, the URL has
// the log as it was or the backup, and a write-ahead log that was left there becomes no
// part of it. Restore returns where the log that was there is kept, "" if there was none.
func Restore(ctx context.Context, url, backup string) (before string, err error) {
	scheme, _, _ := strings.Cut(url, ":")
	restorers.RLock()
	restore := restorers.byScheme[scheme]
	restorers.RUnlock()
	if restore == nil { // the rest of the URL may be secret
		return "", fmt.Errorf("a log of %s:… is not a file that a backup can be put in the place of: use events copy --from sqlite:%s", scheme, backup)
	}
	return restore(ctx, url, backup)
}
