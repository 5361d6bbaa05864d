package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sampleOfSaves returns how often a proto is saved, and how many bursts of saves there are: with
// WATCH=all as often as the promise says, which takes minutes.
func sampleOfSaves() (saves, bursts int) {
	switch {
	case os.Getenv("WATCH") == "all":
		return 100, 3
	case testing.Short():
		return 10, 1
	}
	return 25, 1
}

// saveWays are ways in which editors and other programs save a file.
var saveWays = []struct {
	name string
	save func(path, text string) error
}{
	{"in place", func(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }},
	{"by renaming", func(path, text string) error {
		temporary := filepath.Join(filepath.Dir(path), ".saving")
		return errors.Join(os.WriteFile(temporary, []byte(text), 0o644), os.Rename(temporary, path))
	}},
	{"with a backup", func(path, text string) error {
		return errors.Join(os.Rename(path, path+"~"), os.WriteFile(path, []byte(text), 0o644), os.Remove(path+"~"))
	}},
	{"in two steps", func(path, text string) error {
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
		_, err = file.WriteString(text)
		return errors.Join(err, file.Close())
	}},
	{"after it was removed", func(path, text string) error {
		return errors.Join(os.Remove(path), os.WriteFile(path, []byte(text), 0o644))
	}},
}

// TestWatchMissesNoSave saves a proto many times, a fifth of them broken. After each save
// the watched module is the same as another in which a plain generate is run: a broken
// proto changes nothing. Five times it is killed after the save, and started again. At the
// end come bursts of saves, of which only the last state counts.
func TestWatchMissesNoSave(t *testing.T) {
	saves, bursts := sampleOfSaves()
	watched, plain := newModule(t), newModule(t)
	for _, dir := range []string{watched, plain} {
		run(t, dir, "protoc-gen-receiver", "generate")
	}
	proto, err := os.ReadFile(filepath.Join(plain, "receiver.proto"))
	if err != nil {
		t.Fatal(err)
	}
	w := startWatch(t, watched)
	w.wait(t, 1)
	var took []time.Duration
	for i := range saves {
		way, text := saveWays[i%len(saveWays)], version(string(proto), i)
		broken := i%5 == 4
		if broken {
			text = strings.Replace(text, "message Reply {", []string{"message Reply", "import \"none.proto\"; message Reply {", "message Reply { Nothing nothing = 9; "}[i/5%3], 1)
		}
		before, began := w.runs(), time.Now()
		if err := way.save(filepath.Join(watched, "receiver.proto"), text); err != nil {
			t.Fatal(err)
		}
		if i%(saves/5) == 1 { // killed before, while or after it writes
			time.Sleep(time.Duration(i*100/saves) * time.Millisecond)
			w.kill(t)
			w = startWatch(t, watched)
			w.wait(t, 1)
		} else {
			w.wait(t, before+1)
			took = append(took, time.Since(began))
		}
		write(t, filepath.Join(plain, "receiver.proto"), text)
		if output, err := try(t, plain, "protoc-gen-receiver", "generate"); (err != nil) != broken {
			t.Fatalf("save %d: generate ends with %v\n%s", i, err, output)
		}
		compareModules(t, fmt.Sprintf("save %d, %s", i, way.name), watched, plain)
		if got := strings.Contains(w.last(), "not generated:"); got != broken {
			t.Errorf("save %d: it prints\n%s", i, w.last())
		}
	}
	for burst := range bursts {
		var text string
		for i := range 50 {
			text = version(string(proto), 1000*(burst+1)+i)
			if err := saveWays[(burst+i)%len(saveWays)].save(filepath.Join(watched, "receiver.proto"), text); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		write(t, filepath.Join(plain, "receiver.proto"), text)
		run(t, plain, "protoc-gen-receiver", "generate")
		w.settle(t, watched, plain)
		compareModules(t, fmt.Sprintf("burst %d", burst), watched, plain)
	}
	slices.Sort(took)
	t.Logf("%d saves, a fifth of them broken; from the save to the line that it was generated: min %v, median %v, max %v",
		saves, took[0].Round(time.Millisecond), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if runtime.GOOS == "linux" && saves == 100 {
		before := ticks(t, w.command.Process.Pid)
		time.Sleep(10 * time.Second)
		t.Logf("at rest: %d ticks of CPU in 10 s", ticks(t, w.command.Process.Pid)-before)
	}
	w.end(t)
}

// version returns a proto that differs from others: each has another field, and some
// another RPC.
func version(proto string, i int) string {
	text := strings.Replace(proto, "message Event {", fmt.Sprintf("message Event {\n  string note_%d = %d;", i, 100+i), 1)
	if i%3 == 1 {
		text = strings.Replace(text, "rpc receive", "rpc batch (stream Event) returns (Reply) {}\n  rpc receive", 1)
	}
	return text
}

// watchRun is a generate --watch that runs.
type watchRun struct {
	output
	command *exec.Cmd
}

func startWatch(t *testing.T, dir string, args ...string) *watchRun {
	t.Helper()
	w := &watchRun{command: call(t, dir, "protoc-gen-receiver", append([]string{"generate", "--watch"}, args...)...)}
	w.command.Stdout, w.command.Stderr = w, w
	if err := w.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.command.Process.Kill() })
	return w
}

// runs returns how many runs it has reported.
func (w *watchRun) runs() int {
	return strings.Count(w.printed(), "generated in ") + strings.Count(w.printed(), "not generated:")
}

// last returns what it printed of its last run.
func (w *watchRun) last() string {
	text := w.printed()
	return text[max(strings.LastIndex(text, "\ngenerated in "), strings.LastIndex(text, "\nnot generated:"))+1:]
}

// wait waits for a number of runs.
func (w *watchRun) wait(t *testing.T, runs int) {
	t.Helper()
	for range 60_000 {
		if w.runs() >= runs {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("a save was missed; it prints\n%s", w.printed())
}

// settle waits until two modules are the same, or a minute is over.
func (w *watchRun) settle(t *testing.T, a, b string) {
	t.Helper()
	for range 600 {
		if len(differences(t, a, b)) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// end ends it as Ctrl-C does.
func (w *watchRun) end(t *testing.T) {
	t.Helper()
	if err := w.command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := w.command.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func (w *watchRun) kill(t *testing.T) {
	t.Helper()
	if err := w.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = w.command.Wait()
}

func compareModules(t *testing.T, when, watched, plain string) {
	t.Helper()
	if different := differences(t, watched, plain); len(different) > 0 {
		t.Fatalf("%s: in the watched module are other than generate makes them: %v", when, different)
	}
}

// differences lists the files that are not the same in two modules.
func differences(t *testing.T, a, b string) (names []string) {
	t.Helper()
	one, other := contents(t, a), contents(t, b)
	for name, text := range one {
		if !bytes.Equal(text, other[name]) {
			names = append(names, name)
		}
	}
	for name := range other {
		if _, ok := one[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

// ticks returns the CPU time that a process has used, in hundredths of a second.
func ticks(t *testing.T, process int) (sum int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	for _, field := range strings.Fields(after)[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}
