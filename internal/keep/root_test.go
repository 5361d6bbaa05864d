package keep_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
)

// TestNothingOutsideIsReadOrWritten: whatever links there are, and whatever is where a
// file should be.
func TestNothingOutsideIsReadOrWritten(t *testing.T) {
	move := func(h disk, name, to string) { // leaves a link
		t.Helper()
		if err := errors.Join(os.Rename(filepath.Join(h.root, name), to), os.Symlink(to, filepath.Join(h.root, name))); err != nil {
			t.Fatal(err)
		}
	}
	within := func(h disk, name, to string) { // by a relative link
		t.Helper()
		at := filepath.Join(h.root, name)
		target, err := filepath.Rel(filepath.Dir(at), filepath.Join(h.root, to))
		if err := errors.Join(err, os.Rename(at, filepath.Join(h.root, to)), os.Symlink(target, at)); err != nil {
			t.Fatal(err)
		}
	}
	special := func(make func(at string) error) func(disk, string) {
		return func(h disk, _ string) {
			if err := make(filepath.Join(h.root, impl, "x.go")); err != nil {
				t.Fatal(err)
			}
		}
	}
	pipe := func(at string) error { return syscall.Mkfifo(at, 0o644) }
	for name, test := range map[string]struct {
		change func(h disk, outside string)
		want   string // part of the error; "" for none
	}{
		"a folder of ours leads out":  {func(h disk, outside string) { move(h, "gen", outside+"/gen") }, "the link gen leads out of the module, to "},
		"a file of ours leads out":    {func(h disk, outside string) { move(h, client, outside+"/orders.go") }, client + ": the link " + client + " leads out of the module, to "},
		"a file of the runtime does":  {func(h disk, outside string) { move(h, runtimeFile, outside+"/drain.go") }, runtimeFile + ": the link "},
		"a folder of yours leads out": {func(h disk, outside string) { move(h, "internal/shop", outside+"/shop") }, "the link internal/shop leads out of the module, to "},
		"a file of yours leads out":   {func(h disk, outside string) { move(h, impl+"take.go", outside+"/take.go") }, impl + "take.go: the link "},
		"another folder leads out": {func(h disk, outside string) {
			h.write("notes/x.go", "package notes\n")
			move(h, "notes", outside+"/notes")
		}, ""},
		"a file elsewhere leads out": {func(h disk, outside string) {
			h.write("notes/x.go", "package notes\n")
			move(h, "notes/x.go", outside+"/x.go")
		}, ""},
		"a folder of ours leads within":  {func(h disk, _ string) { within(h, "gen", "made") }, ""},
		"by its absolute path":           {func(h disk, _ string) { move(h, "gen", h.root+"/made") }, ""},
		"a file of ours leads within":    {func(h disk, _ string) { within(h, client, "orders.go.txt") }, ""},
		"a file of yours leads within":   {func(h disk, _ string) { move(h, impl+"take.go", h.root+"/take.txt") }, ""},
		"a pipe is among files of yours": {special(pipe), impl + "x.go: a pipe is there, but it must be a file: remove it"},
		"a device is":                    {special(func(at string) error { return os.Symlink("/dev/null", at) }), impl + "x.go: the link "},
		"a socket is": {special(func(at string) error {
			return syscall.Mknod(at, syscall.S_IFSOCK|0o644, 0)
		}), impl + "x.go: a socket is there"},
		"a pipe is where a file of ours is": {func(h disk, _ string) { h.remove(client); _ = pipe(filepath.Join(h.root, client)) }, client + ": a pipe is there"},
		"a pipe is where a record is":       {func(h disk, _ string) { h.remove(serviceRecord); _ = pipe(filepath.Join(h.root, serviceRecord)) }, serviceRecord + ": a pipe is there"},
		"a pipe is elsewhere": {func(h disk, _ string) {
			h.write("notes/x.go", "package notes\n")
			_ = pipe(filepath.Join(h.root, "notes/y.go"))
		}, ""},
		"a folder of ours is another module":   {func(h disk, _ string) { h.write("gen/go.mod", "module example.com/gen\n") }, "gen/go.mod: gen is a module of its own, so gen/shoppb/shop"},
		"a folder of yours is another module":  {func(h disk, _ string) { h.write("internal/shop/go.mod", "module example.com/x\n") }, "internal/shop/go.mod: internal/shop is a module of its own, so " + impl + "ship"},
		"a folder elsewhere is another module": {func(h disk, _ string) { h.write("e2e/go.mod", "module example.com/x\n") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h, outside := newDisk(t, orders), disk{t, t.TempDir()}
			test.change(h, outside.root)
			// What is outside has the marker and the source of a file that is no longer made.
			outside.write("old.yaml", "# "+keep.Marker+"\n# source: shop.proto, rpc shop.Orders.Gone; path: old.yaml\n")
			before := outside.files()
			files, _, err := h.dry(withShip)
			switch {
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Fatalf("the error is %v, want in it %s", err, test.want)
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want != "":
				return
			}
			written := 0
			for _, file := range files {
				change, err := file.Change(h.open())
				if err != nil || file.Leftover && change != "" {
					t.Errorf("it would %s %s (%v)", change, file.Path, err)
				}
				if change != "" {
					written++
				}
			}
			if err := keep.Unwritable(h.open(), files); err != nil || written < 5 || written > 12 {
				t.Errorf("of what it writes, %d files change (%v)", written, err)
			}
			if !maps.Equal(before, outside.files()) {
				t.Error("files outside have changed")
			}
		})
	}
}

const runtimeFile = "internal/receiver-runtime/server/drain.go"

// TestARootFollowsLinksWithinIt, and no others.
func TestARootFollowsLinksWithinIt(t *testing.T) {
	h, outside := disk{t, t.TempDir()}, disk{t, t.TempDir()}
	h.write("real/file", "text")
	outside.write("file", "secret")
	for link, target := range map[string]string{
		"relative": "real", "absolute": filepath.Join(h.root, "real"), "round": "../" + filepath.Base(h.root) + "/real", "out": outside.root, "real/up": "..", "nowhere": "gone",
	} {
		if err := os.Symlink(target, filepath.Join(h.root, link)); err != nil {
			t.Fatal(err)
		}
	}
	root := h.open()
	for at, want := range map[string]string{"real/file": "real/file", "relative/file": "real/file", "absolute/file": "real/file", "round/file": "real/file",
		"real/up/absolute/new/one": "real/new/one", "out/file": "", "real/up/out/new": "", "nowhere": ""} {
		if got, err := root.Resolve(at); got != want || (err == nil) != (want != "") {
			t.Errorf("%s leads to %q (%v), want %q", at, got, err, want)
		}
		text, err := root.Read(at)
		if is := strings.HasSuffix(want, "/file"); (string(text) == "text") != is || (err == nil) != is {
			t.Errorf("%s holds %q (%v)", at, text, err)
		}
	}
	for _, at := range []string{"out/new", "real/up/out/new", "../new"} {
		if _, err := root.Create(at, 0o644); err == nil {
			t.Errorf("%s is made", at)
		}
	}
	if err := root.Remove("out/file"); err == nil || errors.Is(err, fs.ErrNotExist) || outside.read("file") != "secret" {
		t.Errorf("the error of removing a file outside is %v", err)
	}
}

// TestARootIsFoundByALink: the shell says that the working folder is called as the link.
func TestARootIsFoundByALink(t *testing.T) {
	h := newDisk(t, orders)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(h.root, link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(link)
	root, err := keep.OpenRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if got, err := root.Resolve(main); got != main || err != nil {
		t.Errorf("%s leads to %q (%v)", main, got, err)
	}
}

// TestAFileWhereAFolderMustBe is named, with what to do.
func TestAFileWhereAFolderMustBe(t *testing.T) {
	h := disk{t, t.TempDir()}
	h.write("go.mod", "module example.com/shop\n")
	h.write("gen", "")
	if _, err := h.generate(orders); err == nil || !strings.Contains(err.Error(), "gen is a file, but it must be a folder: move it away") {
		t.Errorf("the error is %v", err)
	}
}

// TestTheTemporaryFileOfAnotherRunIsLeftAlone: it has the marker, and is not made by this
// one.
func TestTheTemporaryFileOfAnotherRunIsLeftAlone(t *testing.T) {
	h := newDisk(t, orders)
	for _, like := range []string{"cmd/shop-client/commands.go", client, serviceRecord} {
		at, file, err := h.open().CreateTemporary(filepath.Dir(like))
		if err == nil {
			_, err = file.WriteString(h.read(like))
		}
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		files, _, err := h.dry(orders)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if file.Leftover {
				t.Errorf("beside %s, it would delete %s", at, file.Path)
			}
		}
	}
}

// TestTemporaryFilesOfKilledRunsAreRemoved, and no others.
func TestTemporaryFilesOfKilledRunsAreRemoved(t *testing.T) {
	h := disk{t, t.TempDir()}
	root := h.open()
	at, file, err := root.CreateTemporary(".")
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(at, "-") // "", protoc, gen, receiver, machine, process, random
	name := func(machine, process string) string {
		return strings.Join([]string{".protoc", "gen", "receiver", machine, process, "ABC"}, "-")
	}
	const gone = "2147483646" // no process has this number
	other := "00000000"
	files := map[string]bool{ // whether they stay
		at:                           true,
		name(parts[3], gone):         false,
		name(other, gone):            true,
		name(parts[3], "1x"):         true,
		".orders.go-123":             true,
		"x" + name(parts[3], gone):   true,
		".protoc-gen-receiver-notes": true,
	}
	for at := range files {
		h.write(at, "")
	}
	old := name(other, "1")
	h.write(old, "")
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(filepath.Join(h.root, old), yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	files[old] = false
	if err := root.RemoveTemporary("."); err != nil {
		t.Fatal(err)
	}
	for at, stays := range files {
		if h.has(at) != stays {
			t.Errorf("%s is there: %t, want %t", at, h.has(at), stays)
		}
	}
}
