package acceptance

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// cutOffEvery returns at which files a run is cut off: at each with CUTOFF=all, which takes
// minutes; otherwise at some.
func cutOffEvery() int {
	switch {
	case os.Getenv("CUTOFF") == "all":
		return 1
	case testing.Short():
		return 53
	}
	return 17
}

// TestTheNextRunCompletesOneOfProtocThatWasCutOff kills protoc when it opens a file, or
// writes to it, and has it find the disk full there. The next run makes the module whole.
func TestTheNextRunCompletesOneOfProtocThatWasCutOff(t *testing.T) {
	t.Parallel()
	strace := tool(t, "strace", "apt-get install strace")
	protoc := tool(t, "protoc", fromProtoc)
	arguments := []string{"--go_out=.", "--go_opt=module=example.com/receiver", "--go-grpc_out=.", "--go-grpc_opt=module=example.com/receiver",
		"--receiver_out=.", "receiver.proto"}
	base := newModule(t)
	before := contents(t, base)
	run(t, base, protoc, arguments...)
	want := contents(t, base)
	for n, name := range slices.Sorted(maps.Keys(want)) {
		if _, there := before[name]; there || n%cutOffEvery() != 0 {
			continue
		}
		for how, inject := range map[string][]string{
			"killed at":            {"-e", "trace=openat", "-e", "inject=openat:signal=KILL:when=1"},
			"disk full at":         {"-e", "trace=write", "-e", "inject=write:error=ENOSPC"},
			"killed while writing": {"-e", "trace=write", "-e", "inject=write:signal=KILL:when=1"},
		} {
			dir := t.TempDir()
			for name, text := range before {
				write(t, filepath.Join(dir, name), string(text))
			}
			traced := slices.Concat([]string{"-f", "-qq", "-o", os.DevNull, "-P", filepath.Join(dir, name), "-P", "./" + name}, inject, []string{protoc}, arguments)
			if output, err := try(t, dir, strace, traced...); err == nil {
				t.Errorf("%s %s, protoc ends well\n%s", how, name, output)
			}
			run(t, dir, protoc, arguments...)
			if got := contents(t, dir); !maps.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%s %s, the next run leaves %d files, want these %d as they are", how, name, len(got), len(want))
			}
		}
	}
}
