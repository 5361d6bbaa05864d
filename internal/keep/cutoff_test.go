package keep_test

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// withDepot has another RPC, and another service that sorts before.
const withDepot = withShip + `service Depot { rpc Store(OrderEvent) returns (Reply); rpc Count(Query) returns (Reply); }
`

// cutOffEvery returns at which files of ours a run is cut off: at each with CUTOFF=all, which
// takes minutes; otherwise at some.
func cutOffEvery() int {
	switch {
	case os.Getenv("CUTOFF") == "all":
		return 1
	case testing.Short():
		return 19
	}
	return 5
}

// TestTheNextRunCompletesOneThatWasCutOff: protoc and buf write the files one after the
// other, in the order of their paths, and may be killed or find the disk full at each.
// What was deleted before stays deleted.
func TestTheNextRunCompletesOneThatWasCutOff(t *testing.T) {
	const elsewhere = "runtime=example.com/runtime" // of which nothing is written
	deleted := []string{impl + "take.go", impl + "take_test.go", impl + "service_test.go"}
	first := disk{t, t.TempDir()}
	first.write("go.mod", "module example.com/shop\n")
	later := copyOf(t, first)
	if _, err := later.generate(orders, elsewhere); err != nil {
		t.Fatal(err)
	}
	later.remove(deleted...)
	// The steps for an event that was found later are done: yours is written again.
	led := copyOf(t, first)
	for _, text := range []string{strings.Replace(orders, "message OrderEvent", "// receiver:plain\nmessage OrderEvent", 1), orders} {
		if _, err := led.generate(text, elsewhere); err != nil {
			t.Fatal(err)
		}
	}
	led.remove(main, impl+"find_test.go", impl+"service.go", impl+"service_test.go", impl+"take.go", impl+"take_test.go")
	two := copyOf(t, first)
	if _, err := two.generate(withDepot, elsewhere); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		base  disk
		proto string
	}{
		"a first run":                 {first, orders},
		"a later run":                 {later, withDepot},
		"a run after steps":           {led, orders},
		"a run after a renaming":      {later, strings.ReplaceAll(withDepot, "package shop;", "package shop.v2;")},
		"a run with fewer services":   {two, orders},
		"a first run of two services": {first, withDepot},
	} {
		t.Run(name, func(t *testing.T) {
			files, _, err := disk{t, test.base.root}.dry(test.proto, elsewhere)
			if err != nil {
				t.Fatal(err)
			}
			files = slices.DeleteFunc(files, func(file keep.File) bool { return file.Content == nil }) // their owner deletes them
			slices.SortFunc(files, func(a, b keep.File) int { return strings.Compare(a.Path, b.Path) })
			whole := copyOf(t, test.base)
			if _, err := whole.generate(test.proto, elsewhere); err != nil {
				t.Fatal(err)
			}
			want := whole.files()
			for n, file := range files {
				unmarked := !keep.Marked(file.Path, file.Content)
				if testing.Short() && name == "a first run" || !unmarked && n%cutOffEvery() != 0 && path.Dir(file.Path) != model.RecordDir {
					continue
				}
				for how, text := range map[string]*string{"before": nil, "at the beginning of": ptr(""), "in the middle of": ptr(string(file.Content[:len(file.Content)/2]))} {
					h := copyOf(t, test.base)
					for _, written := range files[:n] {
						h.write(written.Path, string(written.Content))
					}
					if text != nil {
						h.write(file.Path, *text)
					}
					if _, err := h.generate(test.proto, elsewhere); err != nil && how == "in the middle of" && unmarked && strings.Contains(err.Error(), file.Path) {
						h.remove(file.Path) // as the error says
						_, err = h.generate(test.proto, elsewhere)
						if err != nil {
							t.Errorf("cut off %s %s, the run after the next fails: %v", how, file.Path, err)
						}
					} else if err != nil {
						t.Errorf("cut off %s %s, the next run fails: %v", how, file.Path, err)
					}
					if got := h.files(); !maps.Equal(got, want) {
						t.Errorf("cut off %s %s, the next runs leave %q", how, file.Path, difference(want, got))
					}
				}
			}
		})
	}
}

func ptr[T any](value T) *T { return &value }

// copyOf returns a copy of a module.
func copyOf(t *testing.T, from disk) disk {
	t.Helper()
	h := disk{t, t.TempDir()}
	if err := os.CopyFS(h.root, os.DirFS(from.root)); err != nil {
		t.Fatal(err)
	}
	return h
}

// files returns the contents of all files of a module, by their paths.
func (h disk) files() map[string]string {
	h.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(h.root), ".", func(at string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			all[at] = h.read(at)
		}
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return all
}

// difference lists the paths that are not the same in two modules.
func difference(want, got map[string]string) (lines []string) {
	for at, text := range want {
		if other, ok := got[at]; !ok {
			lines = append(lines, "without "+at)
		} else if other != text {
			lines = append(lines, "with another "+at)
		}
	}
	for at := range got {
		if _, ok := want[at]; !ok {
			lines = append(lines, "with "+at)
		}
	}
	slices.Sort(lines)
	return lines
}
