//go:build unix

package moduleproxy

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// TestInstall installs the program as README says, as if what is on disk were released.
func TestInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the program: TestWrite checks that it can be packed")
	}
	p, err := Write(t.TempDir(), root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Forget(); err != nil {
			t.Error(err)
		}
	})
	env, err := p.Env()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	run(t, t.TempDir(), append(env, "GOBIN="+bin), "go", "install", p.Module+"/cmd/protoc-gen-receiver@latest")
	program := filepath.Join(bin, "protoc-gen-receiver")
	if got, want := run(t, bin, nil, program, "version"), "protoc-gen-receiver "+p.Version+"\n"; got != want {
		t.Errorf("it prints %q, want %q", got, want)
	}
	want := run(t, root, nil, "go", "run", "./cmd/protoc-gen-receiver", "templates", "--list")
	if got := run(t, bin, nil, program, "templates", "--list"); got != want {
		t.Errorf("it has the templates\n%s\nwant\n%s", got, want)
	}
	if err := p.Forget(); err != nil {
		t.Fatal(err)
	}
	cache := strings.TrimSpace(run(t, root, nil, "go", "env", "GOMODCACHE"))
	for _, pattern := range []string{"github.com/*/*@" + p.Version, "cache/download/github.com/*/*/@v/" + p.Version + ".*"} {
		found, err := filepath.Glob(filepath.Join(cache, pattern))
		if err != nil || len(found) > 0 {
			t.Errorf("the module cache still has %v (%v)", found, err)
		}
	}
}

// TestWrite packs a repository with a file of each kind.
func TestWrite(t *testing.T) {
	repository := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/Lab\n", "lab.go": "package lab\n", "gone.go": "package lab\n", ".gitignore": "/bin/\n",
		"templates/{base}client/a.tmpl": "", "examples/go.mod": "module example.com/lab/examples\n", "examples/a.go": "package a\n",
	} {
		write(t, filepath.Join(repository, name), text)
	}
	run(t, repository, nil, "git", "init", "-q")
	run(t, repository, nil, "git", "add", ".")
	write(t, filepath.Join(repository, "lab.go"), "package lab // changed\n")
	write(t, filepath.Join(repository, "new.go"), "package lab\n")
	write(t, filepath.Join(repository, "bin/lab"), "ignored")
	if err := os.Remove(filepath.Join(repository, "gone.go")); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p, err := Write(dir, repository)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := zip.OpenReader(filepath.Join(dir, "example.com/!lab/@v", p.Version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	var got []string
	for _, file := range packed.File {
		got = append(got, strings.TrimPrefix(file.Name, "example.com/Lab@"+p.Version+"/"))
		if file.Name == "example.com/Lab@"+p.Version+"/lab.go" && file.UncompressedSize64 != uint64(len("package lab // changed\n")) {
			t.Errorf("lab.go is not as it is on disk")
		}
	}
	if want := []string{".gitignore", "go.mod", "lab.go", "new.go", "templates/{base}client/a.tmpl"}; !slices.Equal(got, want) {
		t.Errorf("it has %q, want %q", got, want)
	}
	write(t, filepath.Join(repository, "testdata/a:b"), "")
	if _, err := Write(t.TempDir(), repository); err == nil || !strings.Contains(err.Error(), "testdata/a:b") {
		t.Errorf("the error is %v, want one about testdata/a:b", err)
	}
}

// TestNoVersionStays in the module cache after the process that wrote it.
func TestNoVersionStays(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("GOMODCACHE", cache)
	repository := t.TempDir()
	write(t, filepath.Join(repository, "go.mod"), "module example.com/Lab\n")
	run(t, repository, nil, "git", "init", "-q")
	use := func() Proxy {
		p, err := Write(t.TempDir(), repository)
		if err != nil {
			t.Fatal(err)
		}
		unpacked := filepath.Join(cache, "example.com/!lab@"+p.Version)
		write(t, filepath.Join(unpacked, "go.mod"), "module example.com/Lab\n")
		write(t, filepath.Join(cache, "cache/download/example.com/!lab/@v", p.Version+".zip"), "")
		if err := os.Chmod(unpacked, 0o555); err != nil {
			t.Fatal(err)
		}
		return p
	}
	expect := func(when string, want ...Proxy) {
		t.Helper()
		names := []string{}
		for _, pattern := range []string{"example.com/!lab@*", "cache/download/example.com/!lab/@v/*.zip", "cache/download/example.com/!lab/@v/*" + heldFile} {
			found, err := filepath.Glob(filepath.Join(cache, pattern))
			if err != nil || len(found) != len(want) {
				t.Errorf("%s the module cache has %q (%v), want %d of them", when, found, err, len(want))
			}
			names = append(names, found...)
		}
		for _, name := range names {
			if !slices.ContainsFunc(want, func(p Proxy) bool { return strings.Contains(name, p.Version) }) {
				t.Errorf("%s the module cache has %s", when, name)
			}
		}
	}
	killed, going := use(), use()
	expect("while both go on", killed, going)
	if err := killed.held.Close(); err != nil { // as the end of its process does
		t.Fatal(err)
	}
	last := use()
	expect("after the end of one", going, last)
	for _, p := range []Proxy{going, last} {
		if err := p.Forget(); err != nil {
			t.Error(err)
		}
	}
	expect("when all are forgotten")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir, command.Env = dir, append(os.Environ(), env...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}
