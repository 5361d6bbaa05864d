//go:build unix

package acceptance

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestNoRunTouchesWhatIsYours makes each edit of edits_test.go, and runs each generator
// twice. Afterwards all files of yours have the same bytes, time and mode, the run has
// printed only the expected lines, and the module builds where the edit lets it. Or the
// run has failed with the name of the file, and nothing was written.
func TestNoRunTouchesWhatIsYours(t *testing.T) {
	for i, edit := range edits {
		t.Run(edit.name, func(t *testing.T) {
			if testing.Short() && i%fewEdits != 0 {
				t.Skipf("short mode tries one edit of %d", fewEdits)
			}
			t.Parallel()
			for n, generator := range generators {
				if os.Getenv("MATRIX") == "" && n != i%len(generators) {
					continue // make matrix runs all of them
				}
				t.Run(generator.name, func(t *testing.T) { edit.survives(t, generator) })
			}
		})
	}
}

// fewEdits is an odd number, so that those of short mode use all generators in turn.
const fewEdits = 17

// edit is a change of a module between two runs, and what the second run must do.
type edit struct {
	name   string
	change func(s shop)
	option string // of protoc-gen-receiver in the second run
	// unprivileged runs the tool as a user who may not write everywhere.
	unprivileged bool

	made []string // files of yours that the run writes
	gone []string // files of ours that are no longer made
	// ofProgram are further ones, of a program as a whole. Where each folder has a run of
	// its own they stay, as records do, while several folders have services. If lone, one
	// has by then, and its next run knows of them.
	ofProgram []string
	lone      bool
	// unneeded are files of the runtime that nothing needs. Where they can't be
	// deleted they stay as they are, and a line for their folder names them.
	unneeded []string
	within   bool     // whether code of one folder alone needed those: its own run knows
	told     []string // how each line begins that it prints, except those about gone
	together []string // and of those that it does not print where each folder has a run of its own
	refused  string   // part of the error, if it fails
	// broken are the files of yours, or folders of them, that don't build because
	// of the edit itself.
	broken []string
}

// generator is a tool that runs the plugins.
type generator struct {
	name, tool, howToGet string
	deletes              bool // whether it deletes files that are no longer made; others empty them
	// apart says whether each folder has a run of its own. Until the next call each
	// sees what the others' folders used before.
	apart   bool
	command func(s shop, option string) []string
}

var generators = []generator{
	{"protoc", "protoc", fromProtoc, false, false, func(s shop, option string) []string {
		return append([]string{"--go_out=.", "--go_opt=module=" + shopPath, "--go-grpc_out=.", "--go-grpc_opt=module=" + shopPath,
			"--receiver_out=.", "--receiver_opt=" + option}, s.protos()...)
	}},
	{"buf, all at once", "buf", fromMake, false, false, bufBy("all")},
	{"buf, folder by folder", "buf", fromMake, false, true, bufBy("directory")},
	{"generate", "protoc-gen-receiver", fromMake, true, false, func(_ shop, option string) []string {
		if option == "check=true,"+fewParts {
			return []string{"generate", "--check", "--receiver_opt=" + fewParts}
		}
		return []string{"generate", "--receiver_opt=" + option}
	}},
}

func bufBy(strategy string) func(shop, string) []string {
	return func(_ shop, option string) []string {
		return []string{"generate", "--template", fmt.Sprintf(`{"version": "v2", "plugins": [
			{"local": "protoc-gen-go", "out": ".", "opt": "module=%s"},
			{"local": "protoc-gen-go-grpc", "out": ".", "opt": "module=%[1]s"},
			{"local": "protoc-gen-receiver", "out": ".", "opt": %q, "strategy": %q}]}`, shopPath, option, strategy)}
	}
}

// fewParts is an option of each run: without HTTP and traces, which no edit is about, go
// vet has less to do.
const fewParts = "parts=metrics"

// shopPath is the path of the module that the tests change.
const shopPath = "example.com/shop"

// shop is that module on disk.
type shop struct {
	*testing.T
	dir string
	generator
}

// bases are the modules that the generators made from testdata/shop, by the generators'
// names.
var bases = struct {
	sync.Mutex
	dirs map[string]string
}{dirs: map[string]string{}}

// newShop returns a copy of the module that a generator made.
func newShop(t *testing.T, by generator) shop {
	t.Helper()
	if by.tool != "protoc-gen-receiver" {
		tool(t, by.tool, by.howToGet)
	}
	s := shop{t, t.TempDir(), by}
	if err := os.CopyFS(s.dir, os.DirFS(s.base())); err != nil {
		t.Fatal(err)
	}
	return s
}

// base returns the folder of the module that the generator made, which it makes once.
func (s shop) base() string {
	s.Helper()
	bases.Lock()
	defer bases.Unlock()
	if bases.dirs[s.name] == "" {
		dir, err := os.MkdirTemp("", "protoc-gen-receiver-*")
		if err != nil {
			s.Fatal(err)
		}
		removeAtEnd(dir)
		shop{s.T, dir, s.generator}.begin()
		bases.dirs[s.name] = dir
	}
	return bases.dirs[s.name]
}

// begin makes the module with a first run.
func (s shop) begin() {
	s.Helper()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(repository(s), "examples", "receiver", name))
		if err != nil {
			s.Fatal(err)
		}
		s.write(name, strings.Replace(string(text), "module example.com/receiver", "module "+shopPath, 1))
	}
	s.write("buf.yaml", "version: v2\n")
	if err := os.CopyFS(s.dir, os.DirFS(filepath.Join("testdata", "shop"))); err != nil {
		s.Fatal(err)
	}
	if output, err := s.generate(edit{}); err != nil || output != "" {
		s.Fatalf("the first run prints %s (%v)", output, err)
	}
}

// generate runs the generator, and returns what it printed.
func (s shop) generate(e edit) (string, error) {
	s.Helper()
	command := call(s, s.dir, s.tool, s.command(s, cmp.Or(e.option, "events=auto")+","+fewParts)...)
	command.Env = append(command.Env, "HOME="+s.TempDir())
	if e.unprivileged {
		s.drop(command)
	}
	output, err := command.CombinedOutput()
	return string(output), err
}

// nobody is a user who may write only their own files.
const nobody = 65534

// drop gives the module to nobody and runs the command as nobody, if the tests run as
// root, who may write everywhere.
func (s shop) drop(command *exec.Cmd) {
	s.Helper()
	if os.Getuid() != 0 {
		return
	}
	if err := os.Chmod(filepath.Dir(s.dir), 0o755); err != nil {
		s.Fatal(err)
	}
	for _, at := range []string{command.Path, s.dir, filepath.Join(repository(s), ".tools", "bin")} {
		for ; filepath.Dir(at) != at; at = filepath.Dir(at) {
			if info, err := os.Stat(at); err == nil && info.Mode()&0o001 == 0 {
				s.Skipf("this runs as root, and other users can't read %s: run the tests as another user", at)
			}
		}
	}
	home := strings.TrimPrefix(command.Env[len(command.Env)-1], "HOME=")
	for _, root := range []string{s.dir, home} {
		err := filepath.WalkDir(root, func(at string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(at, nobody, nobody)
		})
		if err != nil {
			s.Skipf("this runs as root, and files can't be given to another user: %v", err)
		}
	}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// survives makes the edit in a module, runs the generator twice, and checks the module.
func (e edit) survives(t *testing.T, by generator) {
	s := newShop(t, by)
	e.change(s)
	before := s.snapshot()
	output, err := s.generate(e)
	after := s.snapshot()
	if e.refused != "" {
		s.refuses(e, output, err)
		s.same(before, after, all)
		s.sameBytes(before, after)
		return
	}
	if err != nil {
		t.Fatalf("it fails with %v\n%s", err, output)
	}
	s.same(before, after, yours)
	s.wants("files of yours that it writes", e.made, s.written(before, after))
	gone := e.goneBy(by)
	if s.deletes {
		gone = append(gone, e.unneeded...)
	}
	s.wants("files of ours that are no longer made", gone, s.gone(before, after))
	s.prints(e, output)
	if s.apart && e.lone {
		after = s.next(e, before, after)
	}
	again, err := s.generate(e)
	if err != nil {
		t.Fatalf("the second time it fails with %v\n%s", err, again)
	}
	second := s.snapshot()
	s.same(after, second, func(name string, is entry) bool { return by.deletes || yours(name, is) })
	s.sameBytes(after, second)
	if len(e.unneeded) > 0 && !s.deletes && !strings.Contains(again, e.unneededLine()) {
		t.Errorf("the second time it prints\n%s\nwant in it %s", again, e.unneededLine())
	}
	s.builds(second, e.broken)
}

// goneBy returns the files of ours of which the first call of a generator knows that they
// are no longer made.
func (e edit) goneBy(by generator) []string {
	if by.apart {
		return slices.Clone(e.gone)
	}
	return slices.Concat(e.gone, e.ofProgram)
}

// next runs the generator again, checks that of all files only those of the program are
// no longer made besides, and returns what there is then.
func (s shop) next(e edit, before, after map[string]entry) map[string]entry {
	s.Helper()
	if output, err := s.generate(e); err != nil {
		s.Fatalf("the next time it fails with %v\n%s", err, output)
	}
	next := s.snapshot()
	s.same(after, next, yours)
	s.wants("files of ours that are no longer made the next time", slices.Concat(e.gone, e.ofProgram), s.gone(before, next))
	others := maps.Clone(next)
	for _, name := range e.ofProgram {
		delete(others, name)
	}
	s.sameBytes(after, others)
	return next
}

// unneededLine returns the line that names the files of the runtime that nothing needs.
func (e edit) unneededLine() string {
	line := filepath.Dir(e.unneeded[0]) + ": nothing needs these files any longer: delete"
	for _, name := range e.unneeded {
		line += " " + filepath.Base(name)
	}
	return line
}

// refuses checks that the run failed with the expected error.
func (s shop) refuses(e edit, output string, err error) {
	s.Helper()
	if err == nil {
		s.Errorf("it succeeds and prints\n%s", output)
	}
	if !strings.Contains(output, e.refused) {
		s.Errorf("it prints\n%s\nwant in it %q", output, e.refused)
	}
}

// entry is the state of a file, or of a link and its target.
type entry struct {
	text []byte
	link string
	mode fs.FileMode
	time time.Time
}

// snapshot returns the state of every file of the module.
func (s shop) snapshot() map[string]entry {
	s.Helper()
	all := map[string]entry{}
	err := filepath.WalkDir(s.dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(s.dir, at)
		var one entry
		if d.Type()&fs.ModeSymlink != 0 {
			one.link, err = os.Readlink(at)
		}
		if info, statErr := os.Stat(at); statErr == nil && info.Mode().IsRegular() {
			one.mode, one.time = info.Mode(), info.ModTime()
			if one.text, err = os.ReadFile(at); errors.Is(err, fs.ErrPermission) {
				err = nil // the generator can't read it, either
			}
		}
		all[filepath.ToSlash(name)] = one
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return all
}

// yours reports whether a file is one that no run may touch. Files of ours are those
// with the marker that are not in the folders of your code.
func yours(name string, is entry) bool {
	if strings.HasSuffix(name, ".pb.go") {
		return false
	}
	for _, folder := range []string{"internal/shop/", "internal/stock/"} {
		if strings.HasPrefix(name, folder) {
			return true
		}
	}
	head, _, _ := bytes.Cut(append([]byte("\n"), bytes.TrimPrefix(is.text, []byte("\ufeff"))...), []byte("\npackage "))
	return !marker.Match(head) || filepath.Base(name) == "main.go"
}

var marker = regexp.MustCompile(`(?m)^(// |# |<!-- )Code generated by protoc-gen-receiver\. DO NOT EDIT\.( -->)?\r?$`)

// same checks that files have the same bytes, mode and time, so that they were never
// opened for writing.
func (s shop) same(before, after map[string]entry, of func(string, entry) bool) {
	s.Helper()
	for name, was := range before {
		is, ok := after[name]
		switch {
		case !of(name, was):
		case !ok:
			s.Errorf("%s was deleted", name)
		case !bytes.Equal(was.text, is.text):
			s.Errorf("%s was overwritten:\n%s", name, is.text)
		case was.link != is.link || was.mode != is.mode || !was.time.Equal(is.time):
			s.Errorf("%s was %v, but is %v", name, entry{nil, was.link, was.mode, was.time}, entry{nil, is.link, is.mode, is.time})
		}
	}
}

func all(string, entry) bool { return true }

// sameBytes checks that there is no new file, and none with other bytes.
func (s shop) sameBytes(before, after map[string]entry) {
	s.Helper()
	for name, is := range after {
		if was, ok := before[name]; !ok || !bytes.Equal(was.text, is.text) {
			s.Errorf("%s was written:\n%s", name, is.text)
		}
	}
}

// written returns the files of yours that are new.
func (s shop) written(before, after map[string]entry) (names []string) {
	for name, is := range after {
		if _, ok := before[name]; !ok && yours(name, is) {
			names = append(names, name)
		}
	}
	return names
}

const emptied = "// This file is no longer generated: delete it.\n"

// records is the folder of the records of what was written of yours. Whether one of a
// program is no longer made, a run on some of the protos can't know.
const records = "internal/zz-receiver-scaffold/"

// gone returns the files of ours that were deleted, or emptied if the generator can't
// delete.
func (s shop) gone(before, after map[string]entry) (names []string) {
	for name := range before {
		is, ok := after[name]
		switch {
		case strings.HasPrefix(name, records):
		case !ok && !s.deletes:
			s.Errorf("%s was deleted", name)
		case !ok, !s.deletes && bytes.Contains(is.text, []byte(emptied)):
			names = append(names, name)
		}
	}
	return names
}

func (s shop) wants(what string, want, got []string) {
	s.Helper()
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		s.Errorf("%s are\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// lineOfMain matches a line in a main. Its number depends on what else main serves.
var lineOfMain = regexp.MustCompile(`^(cmd/\S+/main\.go):[0-9]+`)

// prints checks that a run has printed the expected lines, and nothing else.
func (s shop) prints(e edit, output string) {
	s.Helper()
	want := slices.Clone(e.told)
	if !s.apart {
		want = append(want, e.together...)
	}
	ofRuntime := 0
	for _, name := range e.goneBy(s.generator) {
		switch {
		case s.deletes && strings.HasPrefix(name, runtimeCopy):
			ofRuntime++
		case s.deletes:
			want = append(want, name+": deleted, because it is no longer generated")
		default:
			want = append(want, name+": no longer generated: delete it")
		}
	}
	if s.deletes {
		ofRuntime += len(e.unneeded)
	} else if len(e.unneeded) > 0 && (e.within || !s.apart) {
		want = append(want, e.unneededLine())
	}
	if ofRuntime > 0 {
		want = append(want, fmt.Sprintf("internal/receiver-runtime: deleted %d files that nothing needs any longer", ofRuntime))
	}
	output = strings.ReplaceAll(strings.TrimSpace(output), "protoc-gen-receiver: ", "")
	cut := 0
	headings := map[string]bool{} // what is below them begins with spaces
	for _, one := range headingOfLines.FindAllStringSubmatch(output, -1) {
		headings[one[1]] = true
	}
	for _, line := range slices.Compact(slices.Sorted(strings.SplitSeq(output, "\n"))) { // buf may run it for each folder
		if line == "" || strings.HasPrefix(line, "\t") { // the code of a step
			continue
		}
		if line = strings.TrimPrefix(line, "  "); headings[line] || strings.HasPrefix(line, records) {
			continue
		}
		if more := moreLines.FindStringSubmatch(line); more != nil {
			n, _ := strconv.Atoi(more[1])
			cut += n
			continue
		}
		line = lineOfMain.ReplaceAllString(line, "$1$$")
		i := slices.IndexFunc(want, func(begin string) bool { return strings.HasPrefix(line, begin) })
		if i < 0 {
			s.Errorf("it prints the unexpected line %s", line)
		} else {
			want = slices.Delete(want, i, i+1)
		}
	}
	for _, line := range want {
		if cut > 0 && strings.Contains(line, "no longer generated") {
			cut-- // of a long list the first lines are printed, and how many there are besides
			continue
		}
		s.Errorf("it does not print %s", line)
	}
}

var moreLines = regexp.MustCompile(`^and (\d+) more`)

var headingOfLines = regexp.MustCompile(`(?m)^(\S.*:)\n  `)

// outcomes are the output of go vet for modules, by the hash of their content. It is
// kept because most generators make the same module.
var outcomes sync.Map // the values are func() string

var faulty = regexp.MustCompile(`(?m)^(?:vet: )?(?:\./)?([^\s:]+\.go):[0-9]+:[0-9]+: `)

// builds checks that the module and its tests build, except what the edit broke.
func (s shop) builds(files map[string]entry, broken []string) {
	s.Helper()
	hash := sha256.New()
	pbFiles := map[string]string{} // without versions, for the build cache
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name].text
		if strings.HasSuffix(name, ".pb.go") {
			text = versions.ReplaceAll(text, nil)
			pbFiles[name] = string(text)
		}
		if strings.HasSuffix(name, ".go") {
			fmt.Fprintf(hash, "%s %d\n%s", name, len(text), text)
		}
	}
	outcome, _ := outcomes.LoadOrStore(string(hash.Sum(nil)), sync.OnceValue(func() string {
		for name, text := range pbFiles {
			s.write(name, text)
		}
		output, err := try(s, s.dir, "go", "vet", "./...")
		if err != nil && output == "" {
			output = err.Error()
		}
		return output
	}))
	output := outcome.(func() string)()
	for _, fault := range faulty.FindAllStringSubmatch(output, -1) {
		if !slices.ContainsFunc(broken, func(at string) bool { return strings.HasPrefix(fault[1], at) }) {
			s.Errorf("it does not build: %s\n%s", fault[1], output)
		}
	}
	if len(broken) == 0 && output != "" || len(broken) > 0 && !faulty.MatchString(output) {
		s.Errorf("want errors only in %q, but go vet prints\n%s", broken, output)
	}
}
