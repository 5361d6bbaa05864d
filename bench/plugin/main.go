// Command plugin measures protoc-gen-receiver beside the plugins that people
// run with it: each is a process that gets one request with hundreds of
// services, in turn, and what it took is compared with protoc-gen-go-grpc.
//
//	go run ./plugin
//
// Then it measures protoc-gen-receiver alone on 10 to 1,000 services, and says
// by which power of their number the cost grows.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// sizes are the numbers of services by which the cost is followed. A run on
// none is what a process costs that has nothing to do.
var sizes = []int{0, 10, 30, 100, 300, 1000}

func main() {
	services := flag.Int("services", 500, "how many services the plugins are compared on")
	rounds := flag.Int("rounds", 5, "how many times each run is made; the medians are printed")
	flag.Parse()
	if err := run(*services, *rounds, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "plugin:", err)
		os.Exit(1)
	}
}

// run measures, or does one of the tasks that this program has itself do in a
// process of their own. A child's peak memory begins with that of the process
// that started it, so the one that measures never holds a request or a response.
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
	return b.follow(sizes, rounds)
}

// itself runs one of the tasks of run.
func itself(args ...string) (output string, err error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	command := exec.Command(program, args...)
	command.Stderr = os.Stderr
	text, err := command.Output()
	return string(text), err
}
