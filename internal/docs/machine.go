//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/moduleproxy"
)

// limit is how long a block may take: a minute for its first build on a machine with
// two cores, and more for one that is busy.
const limit = 5 * time.Minute

// newMachine builds what pages are run with. Only one at a time runs pages on a host:
// their servers have the ports that readers use.
func newMachine(repository string, limit time.Duration) (m *machine, closing func() error, err error) {
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "protoc-gen-receiver-docs.lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	work, err := os.MkdirTemp("", "docs-*")
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	closing = func() error { return errors.Join(moduleproxy.RemoveAll(work), lock.Close()) }
	// So pages install this checkout, and pin it in go.mod, as their readers do a release.
	release, err := moduleproxy.Write(filepath.Join(work, "proxy"), repository)
	if err != nil {
		return nil, nil, errors.Join(err, closing())
	}
	removing := closing
	closing = func() error { return errors.Join(release.Forget(), removing()) }
	proxy, err := release.Env()
	if err != nil {
		return nil, nil, errors.Join(err, closing())
	}
	m = &machine{repository: repository, programs: filepath.Join(work, "bin"), limit: limit}
	m.env = append(environment(), "REPOSITORY="+repository, "GOWORK=off",
		// With -trimpath, modules in different folders share what the Go command has built.
		"GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath"))
	m.env = append(m.env, proxy...)
	for _, program := range []struct{ folder, name string }{
		{work, release.Module + "/cmd/protoc-gen-receiver@" + release.Version},
		{repository, "google.golang.org/protobuf/cmd/protoc-gen-go"},
		{repository, "google.golang.org/grpc/cmd/protoc-gen-go-grpc"},
		{filepath.Join(repository, "bench"), "github.com/nats-io/nats-server/v2"},
	} {
		install := exec.Command("go", "install", program.name)
		install.Dir = program.folder
		// With PATH: without a compiler of C there, packages like net would be built again in another way.
		install.Env = append(m.env[:len(m.env):len(m.env)], "GOBIN="+m.programs, "PATH="+os.Getenv("PATH"))
		if output, err := install.CombinedOutput(); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("go install %s: %w\n%s", program.name, err, output), closing())
		}
	}
	if buf := filepath.Join(repository, ".tools", "bin", "buf"); exists(buf) {
		if err := os.Symlink(buf, filepath.Join(m.programs, "buf")); err != nil {
			return nil, nil, errors.Join(err, closing())
		}
	}
	return m, closing, nil
}

func exists(at string) bool {
	_, err := os.Stat(at)
	return err == nil
}

// environment returns the variables of this process, except those that the pages set
// and those that the programs of a reader would read.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"PATH", "GOBIN", "GOFLAGS", "GOPROXY", "GOWORK", "GONOSUMDB", "GOPRIVATE"}, name) ||
			strings.HasSuffix(strings.TrimRight(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "_SERVER_")
	})
}
