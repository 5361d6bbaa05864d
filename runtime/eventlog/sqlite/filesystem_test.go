package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func TestNetworkFileSystemsAreRefused(t *testing.T) {
	local := mustOpen(t, newURL(t))
	mustClose(t, local)
	defer func() { fileSystem = statFileSystem }()
	for name, want := range map[string]string{
		"nfs": "on a network file system (nfs)", "cifs": "(cifs)", "9p": "(9p)", "ceph": "(ceph)",
		"fuse": "(fuse, which may be on another machine)", "": "", "overlay": "", "zfs": "",
	} {
		t.Run(name, func(t *testing.T) {
			fileSystem = func(string) string { return name }
			path := filepath.Join(t.TempDir(), "events.db")
			log, err := eventlog.Open(t.Context(), "sqlite:"+path)
			_, reading := eventlog.OpenReader(t.Context(), "sqlite:"+local.path)
			if want == "" {
				if err != nil || reading != nil {
					t.Fatalf("got %v, %v", err, reading)
				}
				mustClose(t, log)
				return
			}
			for at, err := range map[string]error{path: err, local.path: reading} {
				if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), at+": ") || !strings.HasSuffix(err.Error(), "add filesystem=any to the URL: sqlite:"+at+"?filesystem=any") {
					t.Errorf("got %v, want %s", err, want)
				}
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("a file was made")
			}
			mustClose(t, mustOpen(t, "sqlite:"+path+"?filesystem=any"))
		})
	}
}

// A link from a local folder leads to another file system.
func TestLinksToNetworkFileSystemsAreRefused(t *testing.T) {
	local, mounted := t.TempDir(), t.TempDir()
	if mounted, err := filepath.EvalSymlinks(mounted); err != nil {
		t.Fatal(err)
	} else if err := os.WriteFile(filepath.Join(mounted, "events.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	} else if err := os.Symlink(filepath.Join(mounted, "events.db"), filepath.Join(local, "events.db")); err != nil {
		t.Fatal(err)
	} else {
		defer func() { fileSystem = statFileSystem }()
		fileSystem = func(dir string) string { return map[string]string{mounted: "nfs"}[dir] }
	}
	if _, err := eventlog.Open(t.Context(), "sqlite:"+filepath.Join(local, "events.db")); err == nil || !strings.Contains(err.Error(), "(nfs)") {
		t.Errorf("got %v, want that it is refused", err)
	}
}
