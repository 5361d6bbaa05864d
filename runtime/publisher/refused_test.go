package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// refuseSome publishes events with some bytes each to a service that refuses them all.
func refuseSome(t *testing.T, count, bytes int, options ...Option) (s *service, p *Publisher, dir string) {
	t.Helper()
	s, dir = newService(t), t.TempDir()
	s.fail = func([]string) error { return status.Error(codes.InvalidArgument, "it is bad") }
	p = open(t, dir, s, rpcs["single"], options...)
	for n := range count {
		message := newMessage("", "", n)
		message.Metadata["filler"] = strings.Repeat("x", bytes)
		if _, err := p.Publish(t.Context(), message); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, p)
	return s, p, dir
}

func linesOf(t *testing.T, dir, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

func TestLargeEventsArePublishedAgain(t *testing.T) {
	s, p, _ := refuseSome(t, 40, 10_000, MaxBytes(100_000))
	s.set(func() { s.fail = nil })
	if n, err := p.Redrive(t.Context()); n != 40 || err != nil {
		t.Fatal(n, err)
	}
	flush(t, p)
	if s.stored() != 40 {
		t.Errorf("%d are stored", s.stored())
	}
}

// What Redrive has published, it does not publish again, and nothing is lost of the rest.
func TestARedriveThatIsInterruptedGoesOn(t *testing.T) {
	s, p, dir := refuseSome(t, 40, 10_000, MaxBytes(100_000))
	s.set(func() {
		s.fail = func([]string) error { return status.Error(codes.PermissionDenied, "the key is revoked") }
	})
	p.settings.whenFull = Refuse
	n, err := p.Redrive(t.Context())
	if n == 0 || !errors.Is(err, ErrFull) {
		t.Fatal(n, err)
	}
	if left := linesOf(t, dir, redrivingName); left != 40-n {
		t.Errorf("%d were published again, and %d are left", n, left)
	}
	p.crash()
	s.set(func() { s.fail = nil })
	p = open(t, dir, s, rpcs["single"], MaxBytes(100_000))
	if rest, err := p.Redrive(t.Context()); rest != 40-n || err != nil {
		t.Error(rest, err)
	}
	flush(t, p)
	if s.stored() != 40 || linesOf(t, dir, redrivingName) != 0 {
		t.Errorf("%d are stored", s.stored())
	}
}

func TestAFileThatCannotBeMovedKeepsItsLines(t *testing.T) {
	s, p, dir := refuseSome(t, 3, 0)
	if err := p.refused.moveTo(filepath.Join(dir, "missing", "again")); err == nil {
		t.Fatal("it was moved")
	}
	if lines := linesOf(t, dir, refusedName); lines != 3 {
		t.Errorf("%d lines", lines)
	}
	if _, err := p.Publish(t.Context(), newMessage("", "", 3)); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	s.set(func() { s.fail = nil })
	if n, err := p.Redrive(t.Context()); n != 4 || err != nil {
		t.Error(n, err)
	}
}

func TestOneRedriveAtATimeAndNoneAfterClose(t *testing.T) {
	s, p, _ := refuseSome(t, 500, 0)
	s.set(func() { s.fail = nil })
	var all sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 8 {
		all.Go(func() {
			n, err := p.Redrive(context.Background())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			total += n
			mu.Unlock()
		})
	}
	all.Wait()
	if total != 500 {
		t.Errorf("%d were published again", total)
	}
	flush(t, p)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Redrive(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestLinesThatCannotBeReadAreSetAside(t *testing.T) {
	s, p, dir := refuseSome(t, 2, 0)
	p.crash()
	path := filepath.Join(dir, refusedName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(path, fmt.Appendf(nil, "%s\n{\"id\"{}\n%s{\"id\":", first, rest), 0o600); err != nil {
		t.Fatal(err)
	}
	s.set(func() { s.fail = nil })
	p = open(t, dir, s, rpcs["single"])
	if n := linesOf(t, dir, unreadableName); n != 2 {
		t.Errorf("%d lines are set aside", n)
	}
	if n, err := p.Redrive(t.Context()); n != 2 || err != nil {
		t.Error(n, err)
	}
}

// Editors may leave the last line without a line feed.
func TestTheLastLineNeedsNoLineFeed(t *testing.T) {
	for _, name := range []string{refusedName, redrivingName} {
		s, p, dir := refuseSome(t, 2, 0)
		if err := p.Close(t.Context()); err != nil { // the spool has none of them
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, refusedName))
		if err == nil {
			err = errors.Join(os.Remove(filepath.Join(dir, refusedName)), os.WriteFile(filepath.Join(dir, name), bytes.TrimSpace(text), 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
		p = open(t, dir, s, rpcs["single"])
		refuseOne(t, p)
		s.set(func() { s.fail = nil })
		if n, err := p.Redrive(t.Context()); n != 3 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

// refuseOne publishes another event to a service that refuses it.
func refuseOne(t *testing.T, p *Publisher) {
	t.Helper()
	if _, err := p.Publish(t.Context(), newMessage("", "", 9)); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
}

// Who has looked at the events may remove the file, or edit it, while the publisher runs.
func TestWhatIsRefusedIsInTheFileThatHasTheName(t *testing.T) {
	s, p, dir := refuseSome(t, 1, 0)
	path := filepath.Join(dir, refusedName)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refuseOne(t, p)
	if n := linesOf(t, dir, refusedName); n != 1 {
		t.Errorf("%d lines in a file that was removed", n)
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = errors.Join(os.WriteFile(path+"~", bytes.TrimSpace(text), 0o600), os.Rename(path+"~", path))
	}
	if err != nil {
		t.Fatal(err)
	}
	refuseOne(t, p)
	if n := linesOf(t, dir, refusedName); n != 2 {
		t.Errorf("%d lines in a file that was edited", n)
	}
	s.set(func() { s.fail = nil })
	if n, err := p.Redrive(t.Context()); n != 2 || err != nil {
		t.Error(n, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Redrive(t.Context()); n != 0 || err != nil {
		t.Errorf("without the file: %d, %v", n, err)
	}
}

// A file that can't be written is not tried with each answer that comes for another event.
func TestAFileThatCannotBeWrittenIsLeftAlone(t *testing.T) {
	_, p, dir := refuseSome(t, 1, 0)
	p.crash()
	r, err := openRefused(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.close() }()
	p.refused = r
	writable := r.file
	if r.file, err = os.Open(filepath.Join(dir, refusedName)); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	p.refusing = []refusal{{&event{id: "x", message: "x", record: &record{}}, status.New(codes.InvalidArgument, "it is bad")}}
	p.refuseAll(now)
	_ = r.file.Close()
	r.file = writable
	p.refuseAll(now.Add(refuseAgain / 2))
	if len(p.refusing) != 1 || linesOf(t, dir, refusedName) != 1 {
		t.Error("it was tried again at once")
	}
	p.refuseAll(now.Add(refuseAgain))
	if len(p.refusing) != 0 || linesOf(t, dir, refusedName) != 2 {
		t.Error("it was not tried again")
	}
}

func TestTheFolderStaysWhereItIs(t *testing.T) {
	t.Chdir(t.TempDir())
	s := newService(t)
	s.fail = func([]string) error { return status.Error(codes.InvalidArgument, "it is bad") }
	p := open(t, "spool", s, rpcs["single"])
	t.Chdir(t.TempDir())
	refuseOne(t, p)
	s.set(func() { s.fail = nil })
	if n, err := p.Redrive(t.Context()); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// A file that could not be written to is as it was, as soon as that is possible.
func TestWhatIsTornIsCutOffBeforeMoreIsWritten(t *testing.T) {
	_, p, dir := refuseSome(t, 1, 0)
	p.crash()
	path := filepath.Join(dir, refusedName)
	r, err := openRefused(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	e := &event{id: "x", message: "x", record: &record{}}
	writable := r.file
	if r.file, err = os.Open(path); err != nil { // neither Write nor Truncate works
		t.Fatal(err)
	}
	if err := r.add([]refusal{{e, status.New(codes.Internal, "")}}); err == nil || !r.torn {
		t.Fatalf("it was written: %v", err)
	}
	if _, err := writable.WriteString(`{"id":"a part`); err != nil {
		t.Fatal(err)
	}
	_ = r.file.Close()
	r.file = writable
	if err := r.add([]refusal{{e, status.New(codes.Internal, "")}}); err != nil {
		t.Fatal(err)
	}
	_ = r.close()
	if r, err = openRefused(dir, ""); err != nil || r.unreadable != 0 || linesOf(t, dir, refusedName) != 2 {
		t.Errorf("%v, %+v", err, r)
	}
	_ = r.close()
}
