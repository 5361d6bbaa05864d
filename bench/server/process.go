//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"
)

// serveArgument makes this program a server that is measured.
const serveArgument = "-serve-as"

// usage is what a process has used since it began, and its memory now.
type usage struct {
	Processor      time.Duration // time of cores
	Mallocs, Bytes uint64
	Heap, Resident uint64 // in bytes
}

// answer is what a server says first: where it is, and what its callers must send.
type answer struct {
	Address  string
	Metadata []string
	HTTP     string // where it is for HTTP
	dir      string // to remove when the server ends, "" for none
}

// serve serves until its input ends. It prints its answer, and then its usage for each
// line of the input. A line that says "collect" collects garbage before.
func serve(name, profiles string) (err error) {
	v, err := variantOf(name)
	if err != nil {
		return err
	}
	first, err := v.start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(first.dir)) }()
	if profiles != "" {
		stop, err := profile(filepath.Join(profiles, strings.NewReplacer(" ", "-", ",", "").Replace(name)))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	output := json.NewEncoder(os.Stdout)
	if err := output.Encode(first); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "collect" {
			runtime.GC()
		}
		if err := output.Encode(used()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func used() usage {
	var times syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &times); err != nil {
		panic(err)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	u := usage{
		Processor: time.Duration(times.Utime.Nano() + times.Stime.Nano()),
		Mallocs:   memory.Mallocs, Bytes: memory.TotalAlloc, Heap: memory.HeapAlloc,
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &u.Resident); err == nil {
			u.Resident <<= 10
		}
	}
	return u
}

// profile writes a profile of the processor's time to path.cpu, and when it is stopped
// one of all that was allocated to path.allocs.
func profile(path string) (stop func() error, err error) {
	times, err := os.Create(path + ".cpu")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(times); err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		allocations, err := os.Create(path + ".allocs")
		if err != nil {
			return err
		}
		return errors.Join(times.Close(), pprof.Lookup("allocs").WriteTo(allocations, 0), allocations.Close())
	}, nil
}

// process is a server that runs as a process of its own.
type process struct {
	variant
	answer
	command   *exec.Cmd
	asks      io.WriteCloser
	answers   *json.Decoder
	collector func() // stops that of its traces; nil for none
}

func startProcess(v variant, profiles string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{variant: v, command: exec.Command(self, serveArgument, v.name, profiles)}
	p.command.Stderr = os.Stderr
	if v.sampled != "" {
		environment, stop, err := collect()
		if err != nil {
			return nil, err
		}
		p.collector = stop
		p.command.Env = append(append(os.Environ(), environment...), "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG="+v.sampled)
	}
	if p.asks, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = json.NewDecoder(output)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	if err := p.answers.Decode(&p.answer); err != nil {
		return nil, errors.Join(fmt.Errorf("the server %q did not say its address: %w", v.name, err), p.stop())
	}
	return p, nil
}

// usage asks the process for its usage, after it has done what.
func (p *process) usage(what string) (u usage, err error) {
	if _, err := fmt.Fprintln(p.asks, what); err != nil {
		return u, err
	}
	if err := p.answers.Decode(&u); err != nil {
		return u, fmt.Errorf("the server %q ended: %w", p.name, err)
	}
	return u, nil
}

func (p *process) stop() error {
	err := errors.Join(p.asks.Close(), p.command.Wait())
	if p.collector != nil {
		p.collector()
	}
	return err
}
