// Command plugin compares protoc-gen-receiver with the plugins that people run with
// it. Each plugin is a process that gets one request with hundreds of services. Its
// time and memory are compared with those of protoc-gen-go-grpc.
//
//	go run ./plugin
//
// Then it measures only protoc-gen-receiver, with 10 to 1,000 services, and prints with
// which power of their number the cost grows.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// sizes are the numbers of services for which the cost is measured. A run with 0 is
// the cost of a process that does nothing.
var sizes = []int{0, 10, 30, 100, 300, 1000}

func main() {
	services := flag.Int("services", 500, "how many services the plugins are compared with")
	rounds := flag.Int("rounds", 5, "how many times each run is made; the medians are printed")
	flag.Parse()
	if err := run(*services, *rounds, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "plugin:", err)
		os.Exit(1)
	}
}

// run measures, or does a task for which this program starts itself. A child's peak
// memory begins with that of the process that started it, so the process that
// measures must not have requests and responses in memory.
func run(services, rounds int, args []string) error {
	switch {
	case len(args) == 0:
		return measure(services, rounds)
	case args[0] == "requests" && len(args) == 3:
		services, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return writeRequests(services, args[2])
	case args[0] == "written" && len(args) >= 2:
		written, err := readResponse(args[1], args[2:]...)
		fmt.Println(written.files, written.bytes)
		return err
	}
	return fmt.Errorf("there is no task %q: call it without arguments", args)
}

func measure(services, rounds int) error {
	temp, err := os.MkdirTemp("", "plugin")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	bin := filepath.Join(temp, "bin")
	if err := build(bin); err != nil {
		return err
	}
	b := bench{temp: temp, bin: bin}
	if err := b.compare(services, rounds); err != nil {
		return err
	}
	return b.growth(sizes, rounds)
}

// runItself starts this program for one of the tasks of run.
func runItself(args ...string) (output string, err error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	command := exec.Command(program, args...)
	command.Stderr = os.Stderr
	text, err := command.Output()
	return string(text), err
}
