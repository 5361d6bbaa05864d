package acceptance

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
)

// TestEveryRouteMakesTheGoldens generates the cases of testdata with protoc, and with
// buf both at once and folder by folder. The files of ours must be the bytes that are
// checked in, which generate made.
func TestEveryRouteMakesTheGoldens(t *testing.T) {
	t.Parallel()
	goldens, err := filepath.Glob(filepath.Join(repository(t), "testdata", "*", "golden"))
	if err != nil || len(goldens) == 0 {
		t.Fatal(err, goldens)
	}
	for _, golden := range goldens {
		options := "runtime=" + thisRepository + "/runtime"
		templates := filepath.Join(filepath.Dir(golden), "templates")
		if _, err := os.Stat(templates); err == nil {
			options += ",templates=" + templates
		}
		name := filepath.Base(filepath.Dir(golden))
		if name == "rules" {
			continue // TestRulesAreReadOnEveryRoute has what its protos import
		}
		setUp := func(t *testing.T) (dir string, protos []string) {
			dir = t.TempDir()
			write(t, filepath.Join(dir, "go.mod"), "module "+thisRepository+"/testdata/"+name+"/golden\n")
			return dir, copyProtos(t, filepath.Dir(golden), dir)
		}
		t.Run(name+" by protoc", func(t *testing.T) {
			tool(t, "protoc", fromProtoc)
			if name == "editions" {
				t.Skip("Debian's protoc is older than editions")
			}
			dir, protos := setUp(t)
			run(t, dir, "protoc", append([]string{"--receiver_out=.", "--receiver_opt=" + options}, protos...)...)
			compareOurs(t, golden, dir)
		})
		for _, strategy := range []string{"all", "directory"} {
			t.Run(name+" by buf, strategy "+strategy, func(t *testing.T) {
				tool(t, "buf", fromMake)
				dir, _ := setUp(t)
				write(t, filepath.Join(dir, "buf.yaml"), "version: v2\n")
				write(t, filepath.Join(dir, "buf.gen.yaml"), "version: v2\nplugins:\n  - local: protoc-gen-receiver\n    out: .\n    strategy: "+
					strategy+"\n    opt: "+options+"\n")
				run(t, dir, "buf", "generate")
				compareOurs(t, golden, dir)
			})
		}
	}
}

// TestManyRunsMakeTheSameAsOne runs protoc once for each file of a package.
func TestManyRunsMakeTheSameAsOne(t *testing.T) {
	tool(t, "protoc", fromProtoc)
	golden := filepath.Join(repository(t), "testdata", "two-files", "golden")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module "+thisRepository+"/testdata/two-files/golden\n")
	for _, proto := range copyProtos(t, filepath.Dir(golden), dir) {
		run(t, dir, "protoc", "--receiver_out=.", "--receiver_opt=runtime="+thisRepository+"/runtime", proto)
	}
	compareOurs(t, golden, dir)
}

// copyProtos copies the protos of a case, and returns their names.
func copyProtos(t *testing.T, from, to string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(from, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(at) != ".proto" {
			return err
		}
		name, _ := filepath.Rel(from, at)
		names = append(names, name)
		text, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o644)
	})
	if err != nil || len(names) == 0 {
		t.Fatal(err, names)
	}
	return names
}

// compareOurs checks that the files of ours in two trees are the same.
func compareOurs(t *testing.T, golden, dir string) {
	t.Helper()
	want, got := tree(t, golden), tree(t, dir)
	for name := range want {
		if !strings.HasSuffix(name, ".pb.go") && got[name] == nil {
			t.Errorf("%s was not generated", name)
		}
	}
	for name, text := range got {
		if keep.Marked(name, text) && !bytes.Equal(text, want[name]) {
			t.Errorf("%s is not as checked in:\n%s", name, text)
		}
	}
}
