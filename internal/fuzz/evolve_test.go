package fuzz

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

var (
	evolveRounds = flag.Int("evolve", 240, "how many rounds TestEvolve runs")
	evolveAt     = flag.Uint64("evolve-seed", 1, "the first seed of TestEvolve; with -evolve=1 it runs only the rounds of this seed")
	evolveAll    = flag.Bool("evolve-all", false, "let TestEvolve go on after a failure, and list the kinds of failures")
)

// evolved is the path of the module that evolves.
const evolved = "example.com/shop"

// roundsEach is the number of rounds of a module.
const roundsEach = 8

// TestEvolve changes protos and code in random steps, and runs the plugin after
// every few of them. It checks that
//
//   - the response has no file without the marker that existed before;
//   - an error comes without files, and names a file;
//   - a second run changes nothing;
//   - a new RPC has a skeleton or a method, or a line explains why not;
//   - the module type-checks where the owner's edits do.
//
// The last means the following. Take the module without the files that the run
// wrote for its owner. Errors in the owner's files are then errors between the owner
// and the proto, such as a method for an RPC that takes another message now, which the
// run can't prevent. After the run there must be no other errors: not in other files of
// the owner, nor in files of ours or in those that the run wrote, unless
//
//   - the error would not occur if the files that the owner took over from us, or
//     added to ours, were as a run makes them: the owner has to maintain such files;
//   - something is undefined that a file of the owner declares under a build tag;
//   - the error would not occur if nobody had edited files of ours that are no longer
//     made: packages that import such a file's package have errors, too;
//   - a method of the owner no longer has the signature that the proto wants, or two
//     types that the owner embeds have it, so that the service can't be passed to
//     generated code.
//
// If the steps only add to the proto, there must be no new errors in the owner's
// files, except that the tests of a service that now takes events must pass it the
// log.
func TestEvolve(t *testing.T) {
	begin, sum, kinds, rounds := time.Now(), tally{}, map[string]int{}, *evolveRounds
	if testing.Short() {
		rounds = min(rounds, 80)
	}
	for seed := *evolveAt; sum.rounds < rounds; seed++ {
		h := newHistory(seed)
		r := h.try(t)
		sum.add(r.tally)
		if r.fault == "" {
			continue
		}
		if *evolveAll {
			if kind := kindOf(r.fault); kinds[kind] == 0 {
				t.Logf("seed %d, round %d: %s", seed, r.rounds, r.fault)
			}
			kinds[kindOf(r.fault)]++
			continue
		}
		small, r := h.shrink(t, r)
		t.Fatalf("seed %d: %s\n%s", seed, r.fault, small.try(t).log)
	}
	for _, kind := range sorted(kinds) {
		t.Errorf("%d times: %s", kinds[kind], kind)
	}
	t.Logf("%s in %v", sum, time.Since(begin).Round(time.Second))
}

// tally counts the results of rounds.
type tally struct{ rounds, refused, clean, wrong, new, lines int }

func (t *tally) add(o tally) {
	t.rounds, t.refused, t.clean = t.rounds+o.rounds, t.refused+o.refused, t.clean+o.clean
	t.wrong, t.new, t.lines = t.wrong+o.wrong, t.new+o.new, t.lines+o.lines
}

func (t tally) String() string {
	return fmt.Sprintf("%d rounds: %d without errors of Go, %d with errors of the owner only, %d refused; %d new files of yours, %d lines printed",
		t.rounds, t.clean, t.wrong, t.refused, t.new, t.lines)
}

// history is the steps that change a module. Each step has its own seed, so that it
// does much the same if an earlier step is left out.
type history struct {
	seed   uint64
	rounds [][]step
}

type step struct {
	proto *protoStep
	edit  *edit
	seed  uint64
}

func newHistory(seed uint64) history {
	source := rand.New(rand.NewPCG(seed, 11))
	h := history{seed: seed}
	for range roundsEach {
		var round []step
		if source.IntN(3) > 0 {
			round = append(round, step{edit: &startOver})
		}
		for range source.IntN(4) {
			round = append(round, step{edit: &edits[source.IntN(len(edits))], seed: source.Uint64()})
		}
		for range source.IntN(3) {
			round = append(round, step{proto: &protoSteps[source.IntN(len(protoSteps))], seed: source.Uint64()})
		}
		h.rounds = append(h.rounds, round)
	}
	return h
}

// result is the result of a history.
type result struct {
	tally
	fault string // the first, or ""
	log   string // what happened before it
}

// try runs the rounds of a history up to the first failure.
func (h history) try(t *testing.T) (r result) {
	t.Helper()
	root, err := os.MkdirTemp(scratch(), "receiver-evolve-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	verdicts, err := newVerdicts(evolved)
	if err != nil {
		t.Fatal(err)
	}
	e := &evolution{root: root, verdicts: verdicts, tree: tree{}, yours: map[string]bool{}, deleted: map[string]bool{}, scribbled: map[string]string{}, protos: newSchema(&dice{random(h.seed)})}
	defer func() {
		if p := recover(); p != nil {
			r.fault = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
		}
		r.tally, r.log = e.tally, e.log.String()
	}()
	e.note("-- the first proto\n%s", e.protos)
	if err := e.round(nil); err != nil {
		return result{fault: err.Error()}
	}
	for _, steps := range h.rounds {
		if err := e.round(steps); err != nil {
			return result{fault: err.Error()}
		}
	}
	return result{}
}

// scratch returns a folder in memory, if there is one.
func scratch() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// shrink leaves out rounds and steps as long as the same failure occurs.
func (h history) shrink(t *testing.T, failed result) (history, result) {
	t.Helper()
	until := time.Now().Add(20 * time.Second)
	same := func(smaller history) bool {
		if time.Now().After(until) {
			return false
		}
		r := smaller.try(t)
		if r.fault == "" || kindOf(r.fault) != kindOf(failed.fault) {
			return false
		}
		h, failed = smaller, r
		return true
	}
	same(history{h.seed, h.rounds[:min(len(h.rounds), max(0, failed.rounds-1))]})
	for i := 0; i < len(h.rounds); {
		if !same(history{h.seed, slices.Delete(slices.Clone(h.rounds), i, i+1)}) {
			i++
		}
	}
	for i := range h.rounds {
		for j := 0; j < len(h.rounds[i]); {
			rounds := slices.Clone(h.rounds)
			rounds[i] = slices.Delete(slices.Clone(rounds[i]), j, j+1)
			if !same(history{h.seed, rounds}) {
				j++
			}
		}
	}
	return h, failed
}

// evolution is the current state of a module.
type evolution struct {
	tally
	root      string
	verdicts  *verdicts
	tree      tree
	yours     map[string]bool   // the files of yours
	broken    map[string]string // files of yours that can't be parsed now, as they were before
	deleted   map[string]bool   // files of yours that no run may bring back
	protos    *schema
	scribbled map[string]string // files of ours that were edited or taken over, as they were made
	ran       *schema           // the protos of the last run
	wrongIn   []string          // folders of yours with errors after the last run
	wantsAll  bool              // whether the next run must bring back deleted files
	log       strings.Builder
}

// note adds a line to the log.
func (e *evolution) note(format string, args ...any) {
	fmt.Fprintf(&e.log, format+"\n", args...)
}

// put writes a file.
func (e *evolution) put(at, text string) {
	e.tree[at] = text
	if err := write(filepath.Join(e.root, filepath.FromSlash(at)), text); err != nil {
		panic(err)
	}
}

// drop removes a file.
func (e *evolution) drop(at string) {
	delete(e.tree, at)
	delete(e.yours, at)
	delete(e.scribbled, at)
	if err := os.Remove(filepath.Join(e.root, filepath.FromSlash(at))); err != nil {
		panic(err)
	}
}

// round does some steps and runs the plugin.
func (e *evolution) round(steps []step) error {
	e.rounds++
	e.note("-- round %d", e.rounds)
	e.broken = map[string]string{}
	adds := e.ran != nil
	before := e.protos.clone()
	for _, step := range steps {
		switch d := (&dice{random(step.seed)}); {
		case step.edit != nil:
			e.note("edit: %s: %s", step.edit.name, cmp.Or(step.edit.do(e, d), "-"))
		default:
			if did := step.proto.do(e.protos, d); did != "" {
				e.note("proto: %s: %s", step.proto.name, did)
				adds = adds && step.proto.adds
			}
		}
	}
	d := &dice{random(uint64(e.rounds))}
	for _, step := range steps {
		d = &dice{random(step.seed + 1)}
	}
	run := &run{evolution: e, all: d.once(10) || e.wantsAll, deletes: d.once(2), adds: adds, before: e.tree.clone()}
	e.wrongIn, e.wantsAll = nil, false
	err := run.try()
	if run.undone {
		e.protos = before
	}
	for at, text := range e.broken {
		e.put(at, text)
	}
	return err
}

func (t tree) clone() tree {
	c := make(tree, len(t))
	for at, text := range t {
		c[at] = text
	}
	return c
}

// run is a run of the plugins.
type run struct {
	*evolution
	all     bool // whether it must bring back files of yours
	deletes bool // whether it deletes files of ours, as generate does
	adds    bool // whether the steps only added to the protos
	undone  bool // whether the steps on the protos must be undone
	before  tree
	request *pluginpb.CodeGeneratorRequest
	lines   []string        // that it printed
	written map[string]bool // files of yours that it wrote
}

// try runs the plugins, and checks the result.
func (r *run) try() error {
	if err := r.compile(); err != nil {
		r.note("does not compile: %v", err)
		r.undone = true
		return nil
	}
	theirs, err := theirFiles(r.request)
	if err != nil {
		r.note("not for protoc-gen-go: %v", err)
		r.undone = true
		return nil
	}
	for _, wrong := range r.verdicts.check(theirs) {
		r.note("not for Go: %s", wrong.text)
		r.undone = true
		return nil
	}
	// Errors in the owner's code before the run are not the run's.
	var wrongBefore []mistake
	if r.adds {
		wrongBefore = r.verdicts.check(r.before)
	}
	// As protoc would do.
	r.renew(theirs)
	result, err := plugin.Run(r.request)
	if err != nil {
		r.note("refused: %v", err)
		r.refused++
		r.undone = true
		r.restore()
		return r.checkError(result, err)
	}
	for _, line := range result.Lines {
		r.lines = append(r.lines, line.Text)
		r.note("printed: %s", line.Text)
	}
	if err := r.apply(result.Files); err != nil {
		return err
	}
	if err := r.again(); err != nil {
		return err
	}
	if err := r.checkNewRPCs(); err != nil {
		return err
	}
	err = r.typeCheck(wrongBefore)
	r.tally.lines += len(r.lines)
	r.ran = r.protos.clone()
	if !r.adds || len(rpcNames(r.protos)) == 0 {
		clear(r.deleted)
	}
	return err
}

// compile makes the request of protoc.
func (r *run) compile() (err error) {
	protos := filepath.Join(r.root, "proto")
	var names []string
	for i, file := range r.protos.files {
		if err := write(filepath.Join(protos, file.name), r.protos.text(i)); err != nil {
			panic(err)
		}
		names = append(names, file.name)
	}
	if err := write(filepath.Join(r.root, "go.mod"), "module "+evolved+"\n\ngo 1.26\n"); err != nil {
		panic(err)
	}
	r.request, err = compile.Request(context.Background(), []string{protos}, names)
	if err != nil {
		return err
	}
	parameter := "root=" + r.root + ",runtime=" + runtime.Path
	if r.all {
		parameter += ",scaffold=all"
		r.note("with scaffold=all")
	}
	r.request.Parameter = proto.String(parameter)
	return nil
}

// theirFiles returns the files of protoc-gen-go and protoc-gen-go-grpc.
func theirFiles(request *pluginpb.CodeGeneratorRequest) (tree, error) {
	request = proto.CloneOf(request)
	request.Parameter = proto.String("module=" + evolved)
	gen, err := protogen.Options{}.New(request)
	if err != nil {
		return nil, err
	}
	for _, file := range gen.Files {
		if file.Generate {
			internal_gengo.GenerateFile(gen, file)
		}
	}
	stubs, err := runStubs(request)
	if err != nil {
		return nil, err
	}
	all := tree{}
	for _, response := range []*pluginpb.CodeGeneratorResponse{gen.Response(), stubs} {
		if response.GetError() != "" {
			return nil, fmt.Errorf("%s", response.GetError())
		}
		for _, file := range response.File {
			all[file.GetName()] = file.GetContent()
		}
	}
	return all, nil
}

// renew replaces the files of the other plugins. If they no longer make any in a folder,
// it also deletes our packages there, as a user does who removes the folder. It keeps
// files of yours.
func (r *run) renew(theirs tree) {
	was, is := map[string]bool{}, map[string]bool{}
	for _, at := range sorted(r.tree) {
		if strings.HasSuffix(at, ".pb.go") {
			was[path.Dir(at)] = true
			if theirs[at] == "" {
				r.drop(at)
			}
		}
	}
	for _, at := range sorted(theirs) {
		is[path.Dir(at)] = true
		if r.tree[at] != theirs[at] {
			r.put(at, theirs[at])
		}
	}
	for _, at := range sorted(r.tree) {
		for dir := path.Dir(at); dir != "."; dir = path.Dir(dir) {
			if was[dir] && !is[dir] && !r.yours[at] {
				r.drop(at)
				break
			}
		}
	}
}

// restore restores everything as it was before the run.
func (r *run) restore() {
	for _, at := range sorted(r.tree) {
		if _, ok := r.before[at]; !ok {
			r.drop(at)
		}
	}
	for _, at := range sorted(r.before) {
		if r.tree[at] != r.before[at] {
			r.put(at, r.before[at])
		}
	}
}

var namesAFile = regexp.MustCompile(`[^ :]+\.(go|proto)(:[1-9][0-9]*:[1-9][0-9]*)?: `)

// checkError checks the error of a run.
func (r *run) checkError(result *plugin.Result, err error) error {
	if result != nil {
		return fmt.Errorf("there is an error, but also %d files: %w", len(result.Files), err)
	}
	if !namesAFile.MatchString(err.Error()) {
		return fmt.Errorf("the error names no file: %w", err)
	}
	return nil
}

// apply writes the files of the run, and checks that none replaces a file of yours.
func (r *run) apply(files []keep.File) error {
	r.written = map[string]bool{}
	for _, file := range files {
		if _, ok := r.tree[file.Path]; ok && r.yours[file.Path] {
			return fmt.Errorf("it overwrites a file of yours: %s", file.Path)
		}
		if file.Leftover && file.Content == nil && !r.deletes {
			continue // a plugin can neither delete nor empty it
		}
		if !file.Leftover && !keep.Marked(file.Path, file.Content) {
			if r.adds && !r.all && r.deleted[file.Path] {
				return fmt.Errorf("a deleted file comes back: %s", file.Path)
			}
			r.written[file.Path], r.yours[file.Path] = true, true
			if r.ran != nil {
				r.new++
				r.note("new: %s", file.Path)
			}
		}
		switch _, ok := r.tree[file.Path]; {
		case file.Leftover && r.deletes && ok:
			r.drop(file.Path)
		case file.Leftover && !ok:
			return fmt.Errorf("a file that does not exist is deleted: %s", file.Path)
		default:
			r.put(file.Path, string(file.Content))
			delete(r.scribbled, file.Path)
		}
	}
	return nil
}

// again runs the plugins again and checks that nothing changes.
func (r *run) again() error {
	r.request.Parameter = proto.String("root=" + r.root + ",runtime=" + runtime.Path)
	result, err := plugin.Run(r.request)
	if err != nil {
		return fmt.Errorf("the second time there is an error: %w", err)
	}
	root, err := keep.OpenRoot(r.root)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, file := range result.Files {
		change, err := file.Change(root)
		if err != nil {
			return err
		}
		if change != "" && (change != "delete" || r.deletes) {
			return fmt.Errorf("a second run would %s %s", change, file.Path)
		}
	}
	return nil
}

// checkNewRPCs checks that each new RPC has a method, or a line that names it.
func (r *run) checkNewRPCs() error {
	if r.ran == nil || r.all {
		return nil
	}
	known := map[string]bool{}
	for _, name := range rpcNames(r.ran) {
		known[name] = true
	}
	for _, name := range rpcNames(r.protos) {
		if known[name] {
			continue
		}
		goName := goCamel(name[strings.LastIndex(name, ".")+1:])
		method := regexp.MustCompile(`func \([^)]*\)\s+` + goName + `\(`)
		found := slices.ContainsFunc(r.lines, func(line string) bool { return strings.Contains(plainly(line), plainly(goName)) })
		for at := range r.yours {
			found = found || method.MatchString(r.tree[at])
		}
		if !found {
			return fmt.Errorf("nothing was written for rpc %s, and nothing printed", name)
		}
	}
	return nil
}

// plainly returns a text in lower case and without underscores, because names change in
// these when they become paths.
func plainly(text string) string { return strings.ToLower(strings.ReplaceAll(text, "_", "")) }

func rpcNames(s *schema) (names []string) {
	for _, file := range s.files {
		for _, service := range file.services {
			for _, rpc := range service.rpcs {
				names = append(names, service.name+"."+rpc.name)
			}
		}
	}
	return names
}

var notWrongType = regexp.MustCompile(`\((?:wrong type for method (\w+)|missing method (\w+))\)`)

// typeCheck type-checks the module.
func (r *run) typeCheck(wrongBefore []mistake) error {
	wrong := r.verdicts.check(r.tree)
	if len(wrong) == 0 {
		r.clean++
		return nil
	}
	r.wrong++
	without := r.tree.clone()
	for at := range r.written {
		delete(without, at)
	}
	alone := r.verdicts.check(without)
	var putBack []mistake // the mistakes if all files of ours were as made; computed if needed
	for _, one := range wrong {
		r.note("wrong: %s", one.text)
		if dir := path.Dir(one.at); !slices.Contains(r.wrongIn, dir) {
			r.wrongIn = append(r.wrongIn, dir)
		}
		if r.yours[one.at] && !r.written[one.at] {
			if !inFile(alone, one) {
				return fmt.Errorf("an error that was not there before the run: %s", one.text)
			}
			if r.adds && !inFolder(wrongBefore, one) && !r.doesNotFit(one) && !passesNoLog.MatchString(one.text) {
				return fmt.Errorf("an error because something was added to the proto: %s", one.text)
			}
			continue
		}
		if r.doesNotFit(one) || r.builtElsewhere(one) {
			continue
		}
		if putBack == nil {
			made, err := r.putBack()
			if err != nil {
				return err
			}
			putBack = append(r.verdicts.check(made), mistake{})
		}
		if slices.Contains(putBack, one) {
			return fmt.Errorf("an error in generated code: %s", one.text)
		}
	}
	return nil
}

// passesNoLog matches the mistakes of tests that do not pass the log to the service: by
// the name of the function that makes the service, or by its type if the owner renamed
// it.
var passesNoLog = regexp.MustCompile(`newService|value of type func\(\w*\s*"?testing"?\.TB\) \S+\) as func\("?testing"?\.TB, \*\S+\.Log\)`)

// inFile reports whether there are mistakes in the same file. They may hide this one:
// Go doesn't report other mistakes in a call of a function that is undefined.
func inFile(all []mistake, one mistake) bool {
	return slices.ContainsFunc(all, func(other mistake) bool { return other.at == one.at })
}

// inFolder reports whether there are mistakes in the same folder, which may hide this
// one.
func inFolder(all []mistake, one mistake) bool {
	return slices.ContainsFunc(all, func(other mistake) bool { return path.Dir(other.at) == path.Dir(one.at) })
}

// doesNotFit reports whether a mistake is that a service can't be passed to generated
// code because of its owner: a method does not have the signature that the proto wants,
// or two types that the owner embeds have it, or a field has its name. Our skeletons
// embed one type, and their fields are not exported.
func (r *run) doesNotFit(one mistake) bool {
	match := notWrongType.FindStringSubmatch(one.text)
	if !strings.Contains(one.text, "does not implement") {
		return false
	}
	if match == nil {
		return strings.Contains(one.text, "(ambiguous selector ") || strings.Contains(one.text, " is a field, not a method)")
	}
	method := regexp.MustCompile(`func \([^)]*\)\s+` + cmp.Or(match[1], match[2]) + `\(`)
	for at := range r.yours {
		if !r.written[at] && method.MatchString(r.tree[at]) {
			return match[1] != ""
		}
	}
	return match[2] != "" // the owner's type doesn't embed the one that has the method
}

var undefined = regexp.MustCompile(`undefined: (?:\w+\.)?(\w+)`)

// builtElsewhere reports whether a mistake is that a name is undefined which a file of
// yours declares, but a build for Linux ignores that file.
func (r *run) builtElsewhere(one mistake) bool {
	match := undefined.FindStringSubmatch(one.text)
	if match == nil {
		return false
	}
	declares := regexp.MustCompile(`(?m)^(?:func|type|var|const) ` + match[1] + `\b`)
	for at := range r.yours {
		if !r.written[at] && !kept(path.Base(at), r.tree[at]) && declares.MatchString(r.tree[at]) {
			return true
		}
	}
	return false
}

// putBack returns the module with all files of ours as a run makes them in an empty
// module, and without files of yours among them.
func (r *run) putBack() (tree, error) {
	root, err := os.MkdirTemp(scratch(), "receiver-evolve-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	if err := write(filepath.Join(root, "go.mod"), "module "+evolved+"\n\ngo 1.26\n"); err != nil {
		return nil, err
	}
	request := proto.CloneOf(r.request)
	request.Parameter = proto.String("root=" + root + ",runtime=" + runtime.Path)
	result, err := plugin.Run(request)
	if err != nil {
		return nil, fmt.Errorf("in an empty module: %w", err)
	}
	files := result.Files
	made, ours := r.tree.clone(), map[string]bool{}
	for _, file := range files {
		if keep.Marked(file.Path, file.Content) {
			ours[path.Dir(file.Path)] = true
		}
	}
	for at := range made {
		if ours[path.Dir(at)] && r.yours[at] && !r.written[at] {
			delete(made, at)
		}
	}
	for at, text := range r.scribbled {
		made[at] = text
	}
	for _, file := range files {
		if keep.Marked(file.Path, file.Content) {
			made[file.Path] = string(file.Content)
		}
	}
	return made, nil
}

// goCamel returns the name of an RPC as Go spells it.
func goCamel(name string) string {
	var b strings.Builder
	upper := true
	for i := range len(name) {
		switch c := name[i]; {
		case c == '_' && i+1 < len(name) && 'a' <= name[i+1] && name[i+1] <= 'z':
			upper = true
		case upper && 'a' <= c && c <= 'z':
			b.WriteByte(c - 'a' + 'A')
			upper = false
		default:
			b.WriteByte(c)
			upper = false
		}
	}
	return b.String()
}
