package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// bench has the folder of the plugins, and a temporary one for requests and responses.
type bench struct{ temp, bin string }

// cost is the time and memory that a process took.
type cost struct {
	wall, cpu time.Duration
	memory    int64 // peak, in bytes
}

// scene is a plugin with a request, and the module to run it in.
type scene struct {
	plugin  plugin
	request string // path of its file
	module  string // path of the folder
	written written
	costs   []cost
}

// requests makes the requests for a number of services, and returns their folder.
func (b bench) requests(services int) (string, error) {
	dir, err := os.MkdirTemp(b.temp, "requests")
	if err != nil {
		return "", err
	}
	_, err = runItself("requests", strconv.Itoa(services), dir)
	return dir, err
}

// emptyModule makes a folder with a go.mod.
func (b bench) emptyModule() (string, error) {
	dir, err := os.MkdirTemp(b.temp, "module")
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+module+"\n\ngo 1.26.0\n"), 0o644)
}

// prepare runs a scene without measuring it, and counts what it writes. It writes the
// files into the folders.
func (b bench) prepare(s *scene, dirs ...string) error {
	if _, err := b.run(s); err != nil {
		return err
	}
	output, err := runItself(append([]string{"written", b.response()}, dirs...)...)
	if err != nil {
		return fmt.Errorf("%s: %w", s.plugin.name, err)
	}
	_, err = fmt.Sscan(output, &s.written.files, &s.written.bytes)
	return err
}

// rounds measures the scenes in turn, so that other load on the machine affects all of
// them.
func (b bench) rounds(n int, scenes []*scene) error {
	for range n {
		for _, s := range scenes {
			cost, err := b.run(s)
			if err != nil {
				return err
			}
			s.costs = append(s.costs, cost)
		}
	}
	return nil
}

// run runs one process, as protoc or buf starts it.
func (b bench) run(s *scene) (cost, error) {
	input, err := os.Open(s.request)
	if err != nil {
		return cost{}, err
	}
	defer input.Close()
	output, err := os.Create(b.response())
	if err != nil {
		return cost{}, err
	}
	defer output.Close()
	var stderr bytes.Buffer
	command := exec.Command(filepath.Join(b.bin, s.plugin.name))
	command.Dir, command.Stdin, command.Stdout, command.Stderr = s.module, input, output, &stderr
	start := time.Now()
	if err := command.Run(); err != nil {
		return cost{}, fmt.Errorf("%s: %w\n%s", s.plugin.name, err, &stderr)
	}
	wall := time.Since(start)
	state := command.ProcessState
	return cost{wall: wall, cpu: state.UserTime() + state.SystemTime(), memory: peak(state)}, nil
}

// response returns the path of the last response.
func (b bench) response() string { return filepath.Join(b.temp, "response") }

// peak returns the peak memory of a process.
func peak(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return usage.Maxrss
	}
	return usage.Maxrss * 1024
}

// median returns the median of each figure.
func (s *scene) median() cost {
	return cost{
		wall:   medianOf(s.costs, func(c cost) time.Duration { return c.wall }),
		cpu:    medianOf(s.costs, func(c cost) time.Duration { return c.cpu }),
		memory: medianOf(s.costs, func(c cost) int64 { return c.memory }),
	}
}

func medianOf[T cmp.Ordered](costs []cost, of func(cost) T) T {
	var all []T
	for _, c := range costs {
		all = append(all, of(c))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
