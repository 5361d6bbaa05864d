package operate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func TestProgressSaysWhatIsLeft(t *testing.T) {
	for _, test := range []struct {
		events, total int64
		want          string
	}{
		{1000, 4000, "copied 1000 of 4000 events, 100 a second, 30s left"},
		{4000, 4000, "copied 4000 of 4000 events, 400 a second, 0s left"},
		{0, 4000, "copied 0 events, 0 a second"},
		{4001, 4000, "copied 4001 events, 400 a second"},
		{1000, 0, "copied 1000 events, 100 a second"},
	} {
		p := newProgress(nil, "copied", test.total)
		if got := p.text(test.events, 10*time.Second); got != test.want {
			t.Errorf("%d of %d: %q, want %q", test.events, test.total, got, test.want)
		}
	}
}

// onTerminal returns what a function prints about its progress on a terminal.
func onTerminal(t *testing.T, do func()) string {
	t.Helper()
	master, terminal, err := pty.Open()
	if err != nil {
		t.Skipf("there is no terminal: %v", err)
	}
	shown := make(chan []byte, 1)
	go func() {
		text, _ := io.ReadAll(master)
		shown <- text
	}()
	stderr := os.Stderr
	os.Stderr = terminal
	defer func() { os.Stderr = stderr }()
	do()
	_ = terminal.Close()
	text := <-shown
	_ = master.Close()
	return string(text)
}

func TestProgressIsShownOnATerminal(t *testing.T) {
	log, url := openLog(t)
	var events []eventlog.Event
	for i := range 600 {
		events = append(events, known(t, fmt.Sprint(i)))
	}
	mustAppend(t, log, events...)
	to := "memory:" + t.Name()
	shown := onTerminal(t, func() {
		if got := lines(t, url, "copy", "--to", to); len(got) != 1 || got[0]["copied"] != 600.0 {
			t.Errorf("copy printed %v", got)
		}
	})
	for _, want := range []string{"\rcopied 256 of 600 events, ", " left\x1b[K", "\rchecked 1 of 600 events, ", "\r\x1b[K"} {
		if !strings.Contains(shown, want) {
			t.Errorf("a copy shows %q, want %q", shown, want)
		}
	}
	name := t.TempDir() + "/events.ndjson"
	for verb, args := range map[string][]string{"read": {"export", "--to", name, "--after", "100"}, "\rread": {"verify"}} {
		shown := onTerminal(t, func() { lines(t, url, args...) })
		if !strings.Contains(shown, verb+" 1 of ") || !strings.HasSuffix(shown, "\r\x1b[K") {
			t.Errorf("%s shows %q", args, shown)
		}
	}
	shown = onTerminal(t, func() { lines(t, url, "export", "--to", name, "--after", "100") })
	if !strings.Contains(shown, "read 1 of 500 events") {
		t.Errorf("an export of some events shows %q", shown)
	}
}

// TestProgressIsNotShownElsewhere: what is not a terminal gets nothing.
func TestProgressIsNotShownElsewhere(t *testing.T) {
	log, url := openLog(t)
	mustAppend(t, log, known(t, "a"))
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = write
	defer func() { os.Stderr = stderr }()
	lines(t, url, "verify")
	_ = write.Close()
	if text, err := io.ReadAll(read); err != nil || len(text) > 0 {
		t.Errorf("it prints %q, %v", text, err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if isTerminal(null) || isTerminal(&bytes.Buffer{}) {
		t.Error("what nobody reads is taken for a terminal")
	}
}

// slowLog is a log of 4 MB whose backup goes on until it is released.
type slowLog struct {
	eventlog.FileLog
	released chan struct{}
}

func (slowLog) Stats(context.Context) (eventlog.Stats, error) {
	return eventlog.Stats{Bytes: 4 << 20}, nil
}

func (l slowLog) Backup(_ context.Context, file string) error {
	if err := os.WriteFile(file+".part-1", make([]byte, 2<<20), 0o600); err != nil {
		return err
	}
	<-l.released
	return errors.New("the disk is full")
}

func TestABackupShowsHowMuchIsWritten(t *testing.T) {
	log := slowLog{released: make(chan struct{})}
	master, terminal, err := pty.Open()
	if err != nil {
		t.Skipf("there is no terminal: %v", err)
	}
	defer func() { _ = errors.Join(master.Close(), terminal.Close()) }()
	stderr := os.Stderr
	os.Stderr = terminal
	defer func() { os.Stderr = stderr }()
	ended := make(chan error, 1)
	go func() { ended <- writeBackup(t.Context(), log, t.TempDir()+"/backup.db") }()
	shown := bufio.NewReader(master)
	for text := ""; !strings.Contains(text, "written 2 of 4 MB, "); {
		next, err := shown.ReadString('K') // which ends each
		if err != nil {
			t.Fatalf("it shows %q: %v", text, err)
		}
		text += next
	}
	close(log.released)
	if err := <-ended; err == nil || err.Error() != "the disk is full" {
		t.Errorf("the error is %v", err)
	}
}

// TestWrittenIsTheNewest: what a backup that was killed has left does not count.
func TestWrittenIsTheNewest(t *testing.T) {
	file := t.TempDir() + "/backup.db"
	if got := written(file); got != 0 {
		t.Errorf("%d bytes are written of none", got)
	}
	for i, name := range []string{".part-1", ".part-2", "-other"} {
		if err := os.WriteFile(file+name, make([]byte, 10*(i+1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file+".part-1", old, old); err != nil {
		t.Fatal(err)
	}
	if got := written(file); got != 20 {
		t.Errorf("%d bytes are written, want those of the newest", got)
	}
}
