package publisher

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// smallDisk returns a folder on a disk of a size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskIsAnErrorAndLosesNothing(t *testing.T) {
	s := newService(t)
	s.server.Stop()
	dir := smallDisk(t, "4m")
	p := open(t, dir, s, rpcs["single"])
	filler := strings.Repeat("x", 1000)
	publish := func(n int) error {
		message := newMessage("", "a", n)
		message.Metadata["filler"] = filler
		_, err := p.Publish(t.Context(), message)
		return err
	}
	published := 0
	var err error
	for err == nil {
		if err = publish(published); err == nil {
			published++
		}
	}
	t.Logf("after %d events: %v", published, err)
	if published < 100 || !strings.Contains(err.Error(), "not published") {
		t.Errorf("%d were published: %v", published, err)
	}
	if stats := p.Stats(); stats.Pending != int64(published) {
		t.Errorf("%d were published: %+v", published, stats)
	}

	// Neither is lost if the process dies now, and there is room again when it has sent them.
	p.crash()
	p = open(t, dir, s, rpcs["single"])
	s.start()
	flush(t, p)
	s.checkOrder(map[string]int{"a": published})
	for n := published; n < published+100; n++ {
		if err := publish(n); err != nil {
			t.Fatalf("there is no room again: %v", err)
		}
	}
	flush(t, p)
	s.checkOrder(map[string]int{"a": published + 100})
}

func TestARefusedEventIsNotDecidedBeforeItsFileHasIt(t *testing.T) {
	s := newService(t)
	s.fail = func([]string) error { return status.Error(codes.InvalidArgument, "it is bad") }
	s.server.Stop()
	dir := smallDisk(t, "4m")
	p := open(t, dir, s, rpcs["single"])
	if _, err := p.Publish(t.Context(), newMessage("", "", 0)); err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 512))
	}
	s.start()
	for called := false; !called; time.Sleep(10 * time.Millisecond) {
		s.set(func() { called = s.calls > 0 })
	}
	time.Sleep(50 * time.Millisecond)
	if stats := p.Stats(); stats.Refused != 0 || stats.Pending != 1 {
		t.Errorf("with a full disk: %+v", stats)
	}
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	if stats := p.Stats(); stats.Refused != 1 || stats.Pending != 0 {
		t.Errorf("with room: %+v", stats)
	}
	if n, err := p.Redrive(t.Context()); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
