package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func init() { childTasks["pace"] = appendAtAPace }

// pace is how many appends a second a child makes that appends at a pace.
const pace = 50

// appendAtAPace appends an event of 20 KB fifty times a second, each in a commit of its
// own, and prints its position and id.
func appendAtAPace(ctx context.Context, log eventlog.Log) {
	ticker := time.NewTicker(time.Second / pace)
	for i := 0; ; i++ {
		one := event(fmt.Sprint("paced-", i))
		one.Data = make([]byte, 20<<10)
		receipts, err := log.Append(ctx, one)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Printf("%d %s\n", receipts[0].Position, one.ID)
		<-ticker.C
	}
}

// backupSize is how many megabytes the log has of which a backup is made under load: few,
// or as many as the environment says.
func backupSize(t *testing.T) int {
	t.Helper()
	text := os.Getenv("EVENTLOG_BACKUP_MB")
	if text == "" {
		return 16
	}
	megabytes, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("EVENTLOG_BACKUP_MB: %v", err)
	}
	return megabytes
}

// fill appends events with random data until a log has so many megabytes of them.
func fill(t *testing.T, log *fileLog, megabytes int) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	for n := range megabytes {
		events := make([]eventlog.Event, 64)
		for i := range events {
			events[i] = event(fmt.Sprintf("%d-%d", n, i))
			events[i].Data = make([]byte, 16<<10)
			_, _ = random.Read(events[i].Data)
		}
		mustAppend(t, log, events...)
	}
}

// firstRecords returns the events of a log up to a position.
func firstRecords(t *testing.T, url string, last eventlog.Position) (records []eventlog.Record) {
	t.Helper()
	log, err := eventlog.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, log)
	if err := log.(eventlog.FileLog).Verify(t.Context()); err != nil {
		t.Error(err)
	}
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		if record.Position > last {
			break
		}
		records = append(records, record)
	}
	return records
}

// TestABackupUnderLoadIsRestoredOverACrash makes a backup of a log to which another
// process appends fifty times a second, kills that, and restores the backup over what it
// left, with its write-ahead log in place.
func TestABackupUnderLoadIsRestoredOverACrash(t *testing.T) {
	url := newURL(t)
	path := strings.TrimPrefix(url, "sqlite:")
	log := mustOpen(t, url)
	fill(t, log, backupSize(t))
	mustClose(t, log)

	child := startChild(t, url, "pace")
	killed := make(chan map[string]eventlog.Position, 1)
	stop := make(chan struct{})
	go func() {
		<-stop
		_ = child.Process.Kill()
	}()
	go func() { killed <- child.workUntilKilled(t, time.Hour) }()
	reader, err := eventlog.OpenReader(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	before, err := reader.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for record, err := range reader.Tail(t.Context(), eventlog.After(before.Last)) { // the load is there
		if err != nil || record.ID == "" {
			t.Fatal(record, err)
		}
		break
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	began := time.Now()
	if err := reader.(eventlog.FileLog).Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	after, err := reader.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, reader)
	close(stop)
	acknowledged := <-killed
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		t.Fatalf("the crash left no -wal: %v", err)
	}
	lastOf := func(url string) eventlog.Position {
		records := firstRecords(t, url, 1<<62)
		return records[len(records)-1].Position
	}
	last := lastOf("sqlite:" + backup)
	original := firstRecords(t, "sqlite:"+image(t, path), last)
	info, err := os.Stat(backup)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a backup of %d MB took %v, beside which %d events were appended", info.Size()>>20, took.Round(time.Millisecond), after.Last-before.Last)

	kept, err := eventlog.Restore(t.Context(), url, backup)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Error("the -wal of the crash is still there")
	}
	restored := firstRecords(t, url, 1<<62)
	if !slices.EqualFunc(restored, original, sameRecord) {
		t.Errorf("%d events were restored, want the first %d of the log", len(restored), len(original))
	}
	log = mustOpen(t, url)
	checkIntegrity(t, log)
	if receipts := mustAppend(t, log, event("later")); receipts[0].Position != last+1 {
		t.Errorf("position %d, want %d", receipts[0].Position, last+1)
	}
	if names := stale(t, path); len(names) > 0 {
		t.Errorf("set aside: %v", names)
	}
	all := map[string]eventlog.Position{}
	for _, record := range firstRecords(t, "sqlite:"+kept, 1<<62) {
		all[record.ID] = record.Position
	}
	for id, position := range acknowledged {
		if all[id] != position {
			t.Fatalf("%s is at position %d of what was kept, and was acknowledged at %d", id, all[id], position)
		}
	}
}

func sameRecord(a, b eventlog.Record) bool {
	return a.Position == b.Position && a.Recorded.Equal(b.Recorded) && a.Time.Equal(b.Time) && a.Source == b.Source && a.ID == b.ID && a.Same(&b.Event) && a.Version == b.Version && a.Erased == b.Erased
}

// TestWhatRestoreIsKilledAt checks that a log is whole after each step of a restore over
// a crash: it is the one before, until it is the backup.
func TestWhatRestoreIsKilledAt(t *testing.T) {
	log := mustOpen(t, newURL(t))
	appendNumbered(t, log, "in the file", 3, 1000)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := log.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	appendNumbered(t, log, "in the write-ahead log", 200, 1000)
	path := image(t, log.path)
	release, err := settle(t.Context(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	release() // as the end of the process does
	for _, suffix := range []string{"-wal", "-shm", "-base"} {
		if _, err := os.Stat(path + suffix); err == nil {
			t.Errorf("%s is still there", suffix)
		}
	}
	if records := firstRecords(t, "sqlite:"+image(t, path), 1<<62); len(records) != 203 {
		t.Errorf("%d events, want those of before", len(records))
	}
	kept, err := eventlog.Restore(t.Context(), "sqlite:"+path, backup)
	if err != nil {
		t.Fatal(err)
	}
	if records := firstRecords(t, "sqlite:"+path, 1<<62); len(records) != 3 {
		t.Errorf("%d events, want those of the backup", len(records))
	}
	if records := firstRecords(t, "sqlite:"+kept, 1<<62); len(records) != 203 {
		t.Errorf("%d events were kept, want those of before", len(records))
	}
	names, err := filepath.Glob(path + "*")
	if err != nil || !slices.Equal(names, []string{path, kept}) {
		t.Errorf("the directory has %v", names)
	}
}

// TestWithoutLinksThereIsAlwaysALog: on a file system that has none, the log of before is
// copied to where it is kept, and stays until the backup takes its name.
func TestWithoutLinksThereIsAlwaysALog(t *testing.T) {
	before := link
	link = func(string, string) error { return errors.ErrUnsupported }
	defer func() { link = before }()
	log := mustOpen(t, newURL(t))
	appendNumbered(t, log, "saved", 3, 1000)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := log.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	appendNumbered(t, log, "later", 200, 1000)
	path := image(t, log.path)
	missing := filepath.Join(t.TempDir(), "missing.db") // so it ends where it could be killed
	if err := replace(t.Context(), missing, path, path+".kept", ""); err == nil {
		t.Error("a file that is missing replaced the log")
	}
	for _, name := range []string{path, path + ".kept"} {
		if records := firstRecords(t, "sqlite:"+name, 1<<62); len(records) != 203 {
			t.Errorf("%s has %d events, want those of before", name, len(records))
		}
	}
	kept, err := eventlog.Restore(t.Context(), "sqlite:"+path, backup)
	if err != nil {
		t.Fatal(err)
	}
	if records := firstRecords(t, "sqlite:"+path, 1<<62); len(records) != 3 {
		t.Errorf("%d events, want those of the backup", len(records))
	}
	if records := firstRecords(t, "sqlite:"+kept, 1<<62); len(records) != 203 {
		t.Errorf("%d events were kept, want those of before", len(records))
	}
	if left, err := filepath.Glob(path + "*.part-*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestRestoreOverDamage checks that a log that can't be opened does not keep a backup out, and that
// its write-ahead log does nothing to the backup.
func TestRestoreOverDamage(t *testing.T) {
	log := mustOpen(t, newURL(t))
	appendNumbered(t, log, "saved", 3, 1000)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := log.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	appendNumbered(t, log, "lost", 200, 1000)
	for name, damage := range map[string]func(path string) error{
		"no file":          os.Remove,
		"an empty file":    func(path string) error { return os.Truncate(path, 0) },
		"half of the file": func(path string) error { return os.Truncate(path, 8192) },
		"another's -wal": func(path string) error {
			older := mustOpen(t, newURL(t))
			appendNumbered(t, older, "other", 50, 3000)
			mustClose(t, older)
			copyFile(t, older.path, path)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := image(t, log.path)
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			if _, err := eventlog.Restore(t.Context(), "sqlite:"+path, backup); err != nil {
				t.Fatal(err)
			}
			restored := mustOpen(t, "sqlite:"+path)
			checkIntegrity(t, restored)
			if got := ids(mustRead(t, restored, 0)); len(got) != 3 {
				t.Errorf("%v, want what the backup has", got)
			}
		})
	}
}

func TestRefusedBackupsAndRestores(t *testing.T) {
	url := newURL(t)
	log := mustOpen(t, url)
	mustAppend(t, log, event("1"))
	dir := t.TempDir()
	backup, foreign := filepath.Join(dir, "backup.db"), filepath.Join(dir, "foreign.db")
	if err := log.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if err := createPrivate(foreign); err != nil {
		t.Fatal(err)
	}
	onDatabase(t, foreign, "CREATE TABLE orders (id)")
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	restoreInto := func(url, from string) error {
		_, err := eventlog.Restore(t.Context(), url, from)
		return err
	}
	closed := mustOpen(t, newURL(t))
	mustClose(t, closed)
	read, older, nothing := filepath.Join(dir, "read.db"), filepath.Join(dir, "older.db"), filepath.Join(dir, "nothing.db")
	for _, name := range []string{read, older} {
		if err := log.Backup(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, "sqlite:"+read)
	onDatabase(t, older, "PRAGMA user_version = 6")
	if err := createPrivate(nothing); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{restoreInto(url, backup), "the log is in use: stop the server"},
		{restoreInto(url, log.path), "the file of the log itself"},
		{restoreInto("sqlite:"+closed.path, filepath.Join(dir, "missing.db")), "there is no backup here"},
		{restoreInto("sqlite:"+closed.path, foreign), "the database of another application"},
		{restoreInto("sqlite:"+closed.path, text), "not a SQLite database"},
		{restoreInto("memory:orders", backup), "events copy --from sqlite:"},
		{log.Backup(t.Context(), log.path), "the file of the log itself"},
		{log.Backup(t.Context(), foreign), "the database of another application"},
		{log.Backup(t.Context(), text), "not a SQLite database"},
		{log.Backup(t.Context(), filepath.Join(dir, "missing", "backup.db")), "choose a path"},
		{closed.Backup(t.Context(), backup), "closed"},
		{log.Backup(t.Context(), read), "something has this backup open, perhaps events backup --follow: end that"},
		{closed.FollowBackup(t.Context(), foreign, nil), "the database of another application"},
		{log.FollowBackup(t.Context(), older, nil), "made by another version of this program: delete it"},
		{log.FollowBackup(t.Context(), nothing, nil), "there is no event log in this file"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%v, want %q", c.err, c.want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.part-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	mustAppend(t, log, event("2")) // the log was not touched
}

// TestNobodyOpensALogThatIsBeingRestored checks that a server that is started meanwhile
// does not go on with the file of before.
func TestNobodyOpensALogThatIsBeingRestored(t *testing.T) {
	log := mustOpen(t, newURL(t))
	mustClose(t, log)
	lease, holder, err := takeLease(t.Context(), restoreFile(log.path))
	if err != nil || holder != "" {
		t.Fatal(holder, err)
	}
	_, err = eventlog.Open(t.Context(), "sqlite:"+log.path)
	if err == nil || !strings.Contains(err.Error(), "is restoring this log") {
		t.Errorf("%v, want that it is being restored", err)
	}
	if err := lease.close(); err != nil { // as when that process was killed
		t.Fatal(err)
	}
	mustOpen(t, "sqlite:"+log.path)
}

// TestAFollowedBackupIsTheLog checks that what happens in a log happens in a backup that
// follows it: appends, deletions, consumers, dead letters, schemas.
func TestAFollowedBackupIsTheLog(t *testing.T) {
	log := mustOpen(t, newURL(t))
	appendNumbered(t, log, "before", 3, 10)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := log.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	synced, ended := make(chan eventlog.Position, 100), make(chan error, 1)
	go func() {
		ended <- log.FollowBackup(ctx, backup, func(last eventlog.Position) { synced <- last })
	}()
	if last := <-synced; last != 3 {
		t.Fatalf("synced up to %d, want 3", last)
	}
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	letter := eventlog.DeadLetter{Record: mustRead(t, log, 0)[0], Tries: 1, Reason: "no", GaveUp: time.Now()}
	if err := hold.PutDead(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	if err := hold.Commit(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	onDatabase(t, log.path, "DELETE FROM events WHERE position = 1")
	erased := event("erased")
	erased.Subject = "tom"
	mustAppend(t, log, erased)
	if last := <-synced; last != 4 {
		t.Fatalf("synced up to %d, want 4", last)
	}
	if _, err := log.Erase(t.Context(), erased.Source, "tom"); err != nil {
		t.Fatal(err)
	}
	appendNumbered(t, log, "after", 3, 10)
	for last := range synced {
		if last == 7 {
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	got, want := firstRecords(t, "sqlite:"+backup, 1<<62), mustRead(t, log, 0)
	if len(got) != 6 || !got[2].Erased || !slices.EqualFunc(got, want, sameRecord) {
		t.Errorf("the backup has %v, the log %v", ids(got), ids(want))
	}
	copied := mustOpen(t, "sqlite:"+backup)
	stats, err := copied.Stats(t.Context())
	if err != nil || len(stats.Consumers) != 1 || stats.Consumers[0].Position != 2 || stats.Consumers[0].Dead != 1 || stats.Erased != 1 {
		t.Errorf("the consumers of the backup: %+v, %v", stats.Consumers, err)
	}

	other := mustOpen(t, newURL(t))
	appendNumbered(t, other, "other", 9, 10)
	mustClose(t, copied)
	if err := other.FollowBackup(t.Context(), backup, nil); err == nil || !strings.Contains(err.Error(), "has other events than the log") {
		t.Errorf("%v, want that it is a backup of another log", err)
	}
}

// lines is a writer that passes on each line that is written.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// TestABackupThatIsReadIsReported: it can't follow the log meanwhile, and says so once.
func TestABackupThatIsReadIsReported(t *testing.T) {
	before, logged := slog.Default(), make(lines, 100)
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, nil)))
	defer slog.SetDefault(before)
	log := mustOpen(t, newURL(t))
	mustAppend(t, log, event("1"))
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := log.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, log, event("2"))
	db := newPool(backup, "mode=ro")
	defer func() { _ = db.Close() }()
	reader, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	if _, err := reader.ExecContext(t.Context(), "BEGIN; SELECT count(*) FROM events"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- log.FollowBackup(ctx, backup, func(last eventlog.Position) { logged <- fmt.Sprint("synced up to ", last) })
	}()
	if line := <-logged; !strings.Contains(line, "level=WARN") || !strings.Contains(line, backup) || !strings.Contains(line, "last=1 since=") {
		t.Errorf("reported: %s", line)
	}
	if _, err := reader.ExecContext(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if line := <-logged; !strings.Contains(line, "level=INFO") || !strings.Contains(line, "last=2") {
		t.Errorf("reported: %s", line)
	}
	if line := <-logged; line != "synced up to 2" {
		t.Error(line)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestAFollowedLogThatIsReplacedIsNoticed, and so is its backup: nothing goes on with a file
// that has no name any longer.
func TestAFollowedLogThatIsReplacedIsNoticed(t *testing.T) {
	for _, replaced := range []string{"log", "backup"} {
		log := mustOpen(t, newURL(t))
		mustAppend(t, log, event("1"))
		backup := filepath.Join(t.TempDir(), "backup.db")
		if err := log.Backup(t.Context(), backup); err != nil {
			t.Fatal(err)
		}
		path := map[string]string{"log": log.path, "backup": backup}[replaced]
		err := log.FollowBackup(t.Context(), backup, func(eventlog.Position) {
			if err := os.Rename(path, path+".away"); err != nil {
				t.Error(err)
			}
		})
		if err == nil || !strings.Contains(err.Error(), path+": the "+replaced+" was removed or replaced") {
			t.Errorf("%v, want that the %s was replaced", err, replaced)
		}
	}
}

// restoreVariable makes this program a child process that restores the second of two files
// as the log of the first, until it is killed.
const restoreVariable = "EVENTLOG_TEST_RESTORE"

func init() {
	files := strings.Fields(os.Getenv(restoreVariable))
	if len(files) != 2 {
		return
	}
	fmt.Println("restoring")
	for {
		before, err := eventlog.Restore(context.Background(), "sqlite:"+files[0], files[1])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		_ = os.Remove(before)
	}
}

// TestRestoreIsKilled kills restores at any time, and checks that the log is then the one
// of before or the backup, and whole: each has other events, and a crash has left a
// write-ahead log beside the first.
func TestRestoreIsKilled(t *testing.T) {
	log := mustOpen(t, newURL(t))
	appendNumbered(t, log, "both", 5, 1000)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := log.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	appendNumbered(t, log, "crashed", 100, 1000)
	for n := range rounds(t, 8) {
		path := image(t, log.path)
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), restoreVariable+"="+path+" "+backup)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("restoring\n"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(20 * time.Millisecond)) // at which moment it is killed
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(out)
		if _ = child.Wait(); len(said) > 0 {
			t.Fatalf("the restore failed: %s", said)
		}
		restored := mustOpen(t, "sqlite:"+path)
		checkIntegrity(t, restored)
		if events := len(mustRead(t, restored, 0)); events != 5 && events != 105 {
			t.Errorf("round %d: the log has %d events, want the 5 of the backup or the 105 of before", n, events)
		}
		if names := stale(t, path); len(names) > 0 {
			t.Errorf("set aside: %v", names)
		}
		mustClose(t, restored)
	}
}
