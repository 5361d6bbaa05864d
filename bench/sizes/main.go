//go:build unix

// Command sizes measures what the parts of a server cost that a module may leave out:
// HTTP, metrics, traces, queries in SQL and backups of the event log. For each it generates the demo with the option parts, into a
// folder of its own, and builds its server with an empty build cache.
//
//	go run ./sizes                         all
//	go run ./sizes -parts none,metrics     some of them
//
// The time of cores says more than the time on the clock where the machine has other
// work. protoc-gen-receiver, protoc-gen-go and protoc-gen-go-grpc must be on the PATH, as
// make sizes has them.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	parts := flag.String("parts", "none,http,metrics,traces,sql,backup,bulk,console,http+metrics+traces+sql+backup+bulk+console", "values of the option parts, with commas between them")
	proto := flag.String("proto", "../examples/receiver/receiver.proto", "the proto of the service")
	flag.Parse()
	if err := measure(strings.Split(*parts, ","), *proto); err != nil {
		fmt.Fprintln(os.Stderr, "sizes:", err)
		os.Exit(1)
	}
}

func measure(parts []string, proto string) error {
	text, err := os.ReadFile(proto)
	if err != nil {
		return err
	}
	fmt.Printf("%-35s  %10s  %13s  %9s  %9s  %8s  %7s  %s\n", "parts", "cold build", "time of cores", "binary", "stripped", "packages", "modules", "lines of the runtime")
	for _, one := range parts {
		built, err := build(one, text)
		if err != nil {
			return fmt.Errorf("parts=%s: %w", one, err)
		}
		fmt.Printf("%-35s  %8.0f s  %11.0f s  %6.1f MB  %6.1f MB  %8d  %7d  %20d\n", one, built.clock.Seconds(), built.cores.Seconds(),
			float64(built.binary)/1e6, float64(built.stripped)/1e6, built.packages, built.modules, built.lines)
	}
	return nil
}

// figures are those of a server.
type figures struct {
	clock, cores     time.Duration // of a cold build
	binary, stripped int64         // bytes
	packages         int           // that it is compiled from, without those of Go
	modules          int           // that go.mod requires
	lines            int           // of the runtime that the module has a copy of
}

// build generates the demo with some parts, and builds its server.
func build(parts string, proto []byte) (f figures, err error) {
	dir, err := os.MkdirTemp("", "sizes")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	module, cache := filepath.Join(dir, "receiver"), filepath.Join(dir, "cache")
	if err := os.Mkdir(module, 0o755); err != nil {
		return f, err
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(module, "receiver.proto"), proto, 0o644),
		os.WriteFile(filepath.Join(module, "go.mod"), []byte("module example.com/receiver\n\ngo 1.26.0\n"), 0o644))
	if err != nil {
		return f, err
	}
	in := func(name string, args ...string) (string, *os.ProcessState, error) {
		command := exec.Command(name, args...)
		command.Dir, command.Env = module, append(os.Environ(), "GOCACHE="+cache, "GOWORK=off")
		var output, problems bytes.Buffer
		command.Stdout, command.Stderr = &output, &problems
		if err := command.Run(); err != nil {
			return "", nil, fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, &output, &problems)
		}
		return output.String(), command.ProcessState, nil
	}
	if _, _, err := in("protoc-gen-receiver", "generate", "--receiver_opt=parts="+parts, "receiver.proto"); err != nil {
		return f, err
	}
	if _, _, err := in("go", "mod", "tidy"); err != nil {
		return f, err
	}
	if err := os.RemoveAll(cache); err != nil {
		return f, err
	}
	begin := time.Now()
	_, used, err := in("go", "build", "-o", "server", "./cmd/receiver-server")
	if err != nil {
		return f, err
	}
	f.clock, f.cores = time.Since(begin), used.UserTime()+used.SystemTime()
	if _, _, err := in("go", "build", "-ldflags=-s -w", "-o", "stripped", "./cmd/receiver-server"); err != nil {
		return f, err
	}
	for name, size := range map[string]*int64{"server": &f.binary, "stripped": &f.stripped} {
		info, err := os.Stat(filepath.Join(module, name))
		if err != nil {
			return f, err
		}
		*size = info.Size()
	}
	packages, _, err := in("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./cmd/receiver-server")
	if err != nil {
		return f, err
	}
	modules, _, err := in("go", "list", "-m", "-f", "{{if not .Indirect}}{{.Path}}{{end}}", "all")
	if err != nil {
		return f, err
	}
	f.packages, f.modules = len(strings.Fields(packages)), len(strings.Fields(modules))-1
	f.lines, err = lines(filepath.Join(module, "internal/receiver-runtime"))
	return f, err
}

// lines returns how many lines the Go files below a folder have.
func lines(dir string) (count int, err error) {
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		count += bytes.Count(text, []byte("\n"))
		return err
	})
	return count, err
}
