package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
)

// BenchmarkDemo runs our plugin on receiver.proto as protoc does, from the start of the
// process to its end, in an empty module and in one that has the files already.
// BenchmarkDemo/nothing is the cost of a process that does nothing.
func BenchmarkDemo(b *testing.B) {
	processes := bench{temp: b.TempDir(), bin: filepath.Join(b.TempDir(), "bin")}
	if err := build(processes.bin); err != nil {
		b.Fatal(err)
	}
	empty, err := processes.emptyModule()
	if err != nil {
		b.Fatal(err)
	}
	full, err := processes.emptyModule()
	if err != nil {
		b.Fatal(err)
	}
	demo := &scene{plugin: ours, request: filepath.Join(processes.temp, "request"), module: empty}
	if err := writeDemoRequest(demo.request); err != nil {
		b.Fatal(err)
	}
	repeat := func(b *testing.B) {
		for b.Loop() {
			if _, err := processes.run(demo); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("empty module", func(b *testing.B) {
		repeat(b)
		made, err := readResponse(processes.response(), full)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(made.files), "files")
	})
	demo.module = full
	b.Run("over what is there", repeat)
	b.Run("nothing", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command(filepath.Join(processes.bin, ours.name), "version").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func writeDemoRequest(at string) error {
	text, err := os.ReadFile("../../examples/receiver/receiver.proto")
	if err != nil {
		return err
	}
	request, err := compile(map[string]string{"receiver.proto": string(text)})
	if err != nil {
		return err
	}
	request.Parameter = proto.String("Mreceiver.proto=" + module + "/gen/receiverpb")
	input, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	return os.WriteFile(at, input, 0o644)
}
