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
	evolveRounds = flag.Int("evolve", 240, "how many rounds TestEvolve goes")
	evolveAt     = flag.Uint64("evolve-seed", 1, "the first seed of TestEvolve; with -evolve=1 it goes only that one's rounds")
	evolveAll    = flag.Bool("evolve-all", false, "have TestEvolve go on after a failure, and list the kinds of what it finds")
)

// evolved is the module that evolves.
const evolved = "example.com/shop"

// roundsEach is how many rounds a module goes.
const roundsEach = 8

// TestEvolve changes protos and code by random steps and runs the plugin after
// each few of them. It checks that
//
//   - of files that bear no marker none is in the answer, if it stood before;
//   - an error comes without files, and names one;
//   - a second run changes nothing;
//   - an RPC that is new has a skeleton, or a method, or a line that says why not;
//   - the module type-checks wherever the hand edits do.
//
// By the last is meant: take the module less the files that the run wrote for
// its owner. What is wrong in files of the owner's then is between the owner and
// the proto, as when an RPC takes another message now, and the run can't help
// it. Nothing else may be wrong after the run: no other of those files, and no file
// of ours or that the run wrote, unless
//
//   - it would not be wrong were the files that its owner took over from us, or
//     put among ours, as a run makes them: who takes a file over keeps it fit;
//   - it lacks what a file of the owner's declares under a build tag;
//   - it would not be wrong had nobody written in files of ours that are not made
//     any more: what imports a package with such a file is wrong, too;
//   - a method of its owner's has another signature than the proto wants by now,
//     or two types that the owner embeds bring it, and so the service can't be
//     passed to what is generated.
//
// Where the steps only add to the proto, nothing may be wrong in the owner's
// files that was not before, but that tests of a service that begins to take
// events have to hand it the log.
func TestEvolve(t *testing.T) {
	begin, sum, kinds := time.Now(), tally{}, map[string]int{}
	for seed := *evolveAt; sum.rounds < *evolveRounds; seed++ {
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

// tally counts what became of rounds.
type tally struct{ rounds, refused, clean, wrong, new, told int }

func (t *tally) add(o tally) {
	t.rounds, t.refused, t.clean = t.rounds+o.rounds, t.refused+o.refused, t.clean+o.clean
	t.wrong, t.new, t.told = t.wrong+o.wrong, t.new+o.new, t.told+o.told
}

func (t tally) String() string {
	return fmt.Sprintf("%d rounds: %d without any error of Go's, %d with the owner's alone, %d refused; %d files of yours were written later, %d lines told",
		t.rounds, t.clean, t.wrong, t.refused, t.new, t.told)
}

// history is what happens to a module. A step chooses by its own seed, so that
// those after a step mean much the same without it.
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

// result is what became of a history.
type result struct {
	tally
	fault string // the first, or ""
	log   string // what happened up to it
}

// try goes through a history until something is wrong.
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
	e.say("-- the first proto\n%s", e.protos)
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

// scratch is a folder in memory, if there is one.
func scratch() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// shrink leaves out rounds and steps as long as the same goes wrong.
func (h history) shrink(t *testing.T, found result) (history, result) {
	t.Helper()
	until := time.Now().Add(20 * time.Second)
	same := func(smaller history) bool {
		if time.Now().After(until) {
			return false
		}
		r := smaller.try(t)
		if r.fault == "" || kindOf(r.fault) != kindOf(found.fault) {
			return false
		}
		h, found = smaller, r
		return true
	}
	same(history{h.seed, h.rounds[:min(len(h.rounds), max(0, found.rounds-1))]})
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
	return h, found
}

// evolution is a module as it stands.
type evolution struct {
	tally
	root      string
	verdicts  *verdicts
	tree      tree
	yours     map[string]bool   // the files that are
	broken    map[string]string // files of yours that can't be read now, as they were before
	deleted   map[string]bool   // files of yours that nobody may bring back
	protos    *schema
	scribbled map[string]string // files of ours in which somebody wrote, or which were taken over, as they were made
	ran       *schema           // what the last run saw
	wrongIn   []string          // folders of yours in which the last run left anything wrong
	wantsAll  bool              // whether the next is to bring back what was deleted
	log       strings.Builder
}

func (e *evolution) say(format string, args ...any) {
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
	e.say("-- round %d", e.rounds)
	e.broken = map[string]string{}
	adds := e.ran != nil
	before := e.protos.clone()
	for _, step := range steps {
		switch d := (&dice{random(step.seed)}); {
		case step.edit != nil:
			e.say("edit: %s: %s", step.edit.name, cmp.Or(step.edit.do(e, d), "-"))
		default:
			if did := step.proto.do(e.protos, d); did != "" {
				e.say("proto: %s: %s", step.proto.name, did)
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
	all     bool // whether files of yours are to come back
	deletes bool // whether files of ours may be deleted, as generate does
	adds    bool // whether the protos were only added to
	undone  bool // whether the steps on the protos are to be undone
	before  tree
	request *pluginpb.CodeGeneratorRequest
	told    []string
	written map[string]bool // files of yours that it wrote
}

// try runs, and checks what comes of it.
func (r *run) try() error {
	if err := r.compile(); err != nil {
		r.say("no proto: %v", err)
		r.undone = true
		return nil
	}
	theirs, err := theirFiles(r.request)
	if err != nil {
		r.say("not for protoc-gen-go: %v", err)
		r.undone = true
		return nil
	}
	for _, wrong := range r.verdicts.check(theirs) {
		r.say("not for Go: %s", wrong.text)
		r.undone = true
		return nil
	}
	// What the owner did to the code is wrong or right by itself.
	var wrongBefore []mistake
	if r.adds {
		wrongBefore = r.verdicts.check(r.before)
	}
	// As somebody would who calls protoc.
	r.renew(theirs)
	result, err := plugin.Run(r.request)
	if err != nil {
		r.say("refused: %v", err)
		r.refused++
		r.undone = true
		r.restore()
		return r.refusal(result, err)
	}
	r.told = append(r.told, result.Lines...)
	for _, line := range result.Lines {
		r.say("told: %s", line)
	}
	if err := r.apply(result.Files); err != nil {
		return err
	}
	if err := r.again(); err != nil {
		return err
	}
	if err := r.silent(); err != nil {
		return err
	}
	err = r.judge(wrongBefore)
	r.evolution.told += len(r.told)
	r.ran = r.protos.clone()
	if !r.adds || len(rpcNames(r.protos)) == 0 {
		clear(r.deleted)
	}
	return err
}

// compile makes the request.
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
		r.say("with scaffold=all")
	}
	r.request.Parameter = proto.String(parameter)
	return nil
}

// theirFiles are what protoc-gen-go and protoc-gen-go-grpc make.
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

// renew replaces what the other plugins made. Where they make nothing any more,
// our packages beside it go, too, as they do with whoever removes the folder;
// but files of yours stay.
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

// restore puts everything back as it stood before the run.
func (r *run) restore() {
	for _, at := range sorted(r.tree) {
		if _, stood := r.before[at]; !stood {
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

// refusal checks an error.
func (r *run) refusal(result *plugin.Result, err error) error {
	if result != nil {
		return fmt.Errorf("with an error there are %d files: %w", len(result.Files), err)
	}
	if !namesAFile.MatchString(err.Error()) {
		return fmt.Errorf("an error that names no file: %w", err)
	}
	return nil
}

// apply writes the answer down, if it leaves files of yours alone.
func (r *run) apply(files []keep.File) error {
	r.written = map[string]bool{}
	for _, file := range files {
		if _, stands := r.tree[file.Path]; stands && r.yours[file.Path] {
			return fmt.Errorf("it writes over a file of yours: %s", file.Path)
		}
		if !keep.Marked(file.Path, file.Content) {
			if r.adds && !r.all && r.deleted[file.Path] {
				return fmt.Errorf("what was deleted comes back: %s", file.Path)
			}
			r.written[file.Path], r.yours[file.Path] = true, true
			if r.ran != nil {
				r.new++
				r.say("new: %s", file.Path)
			}
		}
		switch _, stands := r.tree[file.Path]; {
		case file.Leftover && r.deletes && stands:
			r.drop(file.Path)
		case file.Leftover && !stands:
			return fmt.Errorf("a file is gone that is not there: %s", file.Path)
		default:
			r.put(file.Path, string(file.Content))
			delete(r.scribbled, file.Path)
		}
	}
	return nil
}

// again runs once more, with nothing changed.
func (r *run) again() error {
	r.request.Parameter = proto.String("root=" + r.root + ",runtime=" + runtime.Path)
	result, err := plugin.Run(r.request)
	if err != nil {
		return fmt.Errorf("the second time there is an error: %w", err)
	}
	for _, file := range result.Files {
		if change := file.Change(r.root); change != "" && (change != "delete" || r.deletes) {
			return fmt.Errorf("a second run would %s %s", change, file.Path)
		}
	}
	return nil
}

// silent finds RPCs that are new and of which nothing became.
func (r *run) silent() error {
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
		found := slices.ContainsFunc(r.told, func(line string) bool { return strings.Contains(plainly(line), plainly(goName)) })
		for at := range r.yours {
			found = found || method.MatchString(r.tree[at])
		}
		if !found {
			return fmt.Errorf("nothing was written for rpc %s, and nothing told", name)
		}
	}
	return nil
}

// plainly is a text without what names gain and lose on their way into a path.
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

// judge type-checks the module.
func (r *run) judge(wrongBefore []mistake) error {
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
	var putBack []mistake // what is wrong with all of ours as made, once that is known
	for _, one := range wrong {
		r.say("wrong: %s", one.text)
		if dir := path.Dir(one.at); !slices.Contains(r.wrongIn, dir) {
			r.wrongIn = append(r.wrongIn, dir)
		}
		if r.yours[one.at] && !r.written[one.at] {
			if !inFile(alone, one) {
				return fmt.Errorf("only since the run: %s", one.text)
			}
			if r.adds && !amid(wrongBefore, one) && !r.doesNotFit(one) && !handsLog.MatchString(one.text) {
				return fmt.Errorf("since the proto was added to: %s", one.text)
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
			return fmt.Errorf("made wrong: %s", one.text)
		}
	}
	return nil
}

// handsLog is a mistake of tests that do not hand the log to what they test, by
// the name of what builds that, or by its type where the owner renamed it.
var handsLog = regexp.MustCompile(`newService|value of type func\(\w*\s*"?testing"?\.TB\) \S+\) as func\("?testing"?\.TB, \*\S+\.Log\)`)

// inFile reports whether there are mistakes in the file of another one, which
// may have hidden it: who calls a function that is missing is not told what else
// is wrong with the call.
func inFile(all []mistake, one mistake) bool {
	return slices.ContainsFunc(all, func(other mistake) bool { return other.at == one.at })
}

// amid reports whether there are mistakes in the folder of another one, which
// may have hidden it.
func amid(all []mistake, one mistake) bool {
	return slices.ContainsFunc(all, func(other mistake) bool { return path.Dir(other.at) == path.Dir(one.at) })
}

// doesNotFit reports whether a mistake is that a service can't be passed on
// because a method of its owner's is none that the proto wants, or because two
// types that its owner embeds bring it, or a field of its owner's is called the
// same: what we write embeds one type, and its fields are not exported.
func (r *run) doesNotFit(one mistake) bool {
	found := notWrongType.FindStringSubmatch(one.text)
	if !strings.Contains(one.text, "does not implement") {
		return false
	}
	if found == nil {
		return strings.Contains(one.text, "(ambiguous selector ") || strings.Contains(one.text, " is a field, not a method)")
	}
	method := regexp.MustCompile(`func \([^)]*\)\s+` + cmp.Or(found[1], found[2]) + `\(`)
	for at := range r.yours {
		if !r.written[at] && method.MatchString(r.tree[at]) {
			return found[1] != ""
		}
	}
	return found[2] != "" // as its type does not embed what brings it
}

var undefined = regexp.MustCompile(`undefined: (?:\w+\.)?(\w+)`)

// builtElsewhere reports whether a mistake is that of a name which a file of
// yours declares that a build for Linux passes over.
func (r *run) builtElsewhere(one mistake) bool {
	found := undefined.FindStringSubmatch(one.text)
	if found == nil {
		return false
	}
	declares := regexp.MustCompile(`(?m)^(?:func|type|var|const) ` + found[1] + `\b`)
	for at := range r.yours {
		if !r.written[at] && !kept(path.Base(at), r.tree[at]) && declares.MatchString(r.tree[at]) {
			return true
		}
	}
	return false
}

// putBack is the module with all of ours as a run makes it that finds nothing,
// and nothing of yours among it.
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

// goCamel is the name of an RPC as Go spells it.
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
