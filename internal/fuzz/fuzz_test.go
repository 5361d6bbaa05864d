package fuzz

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	hunt     = flag.Duration("hunt", 0, "how long TestHunt looks for failures")
	huntAt   = flag.Uint64("hunt-seed", 1, "the first seed of TestHunt")
	huntKeep = flag.String("hunt-keep", "", "a folder for what TestHunt finds")
	strict   = flag.Bool("strict", false, "fail, too, where the code of protoc-gen-go and protoc-gen-go-grpc is wrong and was not refused")
	show     = flag.Bool("show", false, "log what the inputs are")
)

// seeds is how many inputs an ordinary test run tries, in addition to those in testdata.
const seeds = 60

// FuzzGenerate makes protos from bytes, and checks what the plugin generates from them.
func FuzzGenerate(f *testing.F) {
	f.Add([]byte{})
	for seed := range uint64(seeds) {
		f.Add(random(seed))
	}
	root, err := os.MkdirTemp("", "receiver-fuzz-")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(root) })
	f.Fuzz(func(t *testing.T, bytes []byte) {
		in := newInput(bytes)
		o := tryIn(t, in, root)
		if *show {
			t.Logf("%s\n%s", in, o)
		}
		if o.skipped != "" {
			t.Skip(o.skipped)
		}
		faults := o.faults
		if *strict {
			faults = append(faults, o.theirs...)
		}
		if len(faults) > 0 {
			t.Errorf("%s\n%s", strings.Join(faults, "\n"), in)
		}
	})
}

// random returns the bytes of a seed.
func random(seed uint64) []byte {
	source := rand.New(rand.NewPCG(seed, 7))
	bytes := make([]byte, 100+source.IntN(1200))
	for i := range bytes {
		bytes[i] = byte(source.Uint32())
	}
	return bytes
}

// tryIn tries an input in an empty folder, and empties the folder afterwards.
func tryIn(t *testing.T, in input, root string) outcome {
	t.Helper()
	dir, err := os.MkdirTemp(root, "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	o, err := try(in, dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, in)
	}
	return o
}

func (o outcome) String() string {
	lines := []string{o.result() + fmt.Sprintf(", %d files", o.files)}
	for _, part := range []struct {
		what string
		of   []string
	}{{"refused", []string{o.refused}}, {"theirs", o.theirs}, {"fault", o.faults}} {
		for i, text := range part.of {
			if text, _, _ := strings.Cut(text, "\n"); text != "" && i < 4 {
				lines = append(lines, part.what+": "+text)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// TestHunt tries inputs for the time of -hunt, and lists the failures by kind, each with
// the smallest proto that it finds to cause it. It keeps those as seeds in the folder of
// -hunt-keep.
func TestHunt(t *testing.T) {
	if *hunt == 0 {
		t.Skip("no -hunt")
	}
	finds, counts, root := map[string]*find{}, map[string]int{}, t.TempDir()
	begin := time.Now()
	for seed := *huntAt; time.Since(begin) < *hunt; seed++ {
		bytes := random(seed)
		o := tryPanics(t, bytes, root)
		counts[o.result()]++
		for _, kind := range o.kinds() {
			if finds[kind] == nil {
				finds[kind] = &find{kind: kind}
			}
			one := finds[kind]
			one.count++
			if one.bytes == nil || len(bytes) < len(one.bytes) {
				one.bytes = bytes
			}
		}
	}
	t.Log(counts)
	kinds := sorted(finds)
	slices.SortStableFunc(kinds, func(a, b string) int { return finds[b].count - finds[a].count })
	for i, kind := range kinds {
		one := finds[kind]
		one.shrink(t, root)
		t.Logf("%d times: %s\n%s\n%s", one.count, kind, tryPanics(t, one.bytes, root), newInput(one.bytes))
		if *huntKeep != "" {
			seed := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", one.bytes)
			if err := write(filepath.Join(*huntKeep, fmt.Sprintf("%02d-%.40s", i, notInNames.ReplaceAllString(kind, "-"))), seed); err != nil {
				t.Fatal(err)
			}
		}
	}
}

var notInNames = regexp.MustCompile(`[^a-z]+`)

// find is a kind of failure, and the bytes that cause it.
type find struct {
	kind  string
	count int
	bytes []byte
}

// shrink removes and clears bytes as long as they cause the same failure. It stops after
// a few seconds.
func (f *find) shrink(t *testing.T, root string) {
	until := time.Now().Add(3 * time.Second)
	try := func(bytes []byte) bool {
		if time.Now().After(until) || !slices.Contains(tryPanics(t, bytes, root).kinds(), f.kind) {
			return false
		}
		f.bytes = bytes
		return true
	}
	for low, high := 0, len(f.bytes); low < high; {
		if middle := (low + high) / 2; try(slices.Clone(f.bytes[:middle])) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	for span := len(f.bytes); span > 0; span /= 2 {
		for at := 0; at+span <= len(f.bytes); at += span {
			blank := slices.Clone(f.bytes)
			clear(blank[at : at+span])
			if !slices.Equal(blank, f.bytes) {
				try(blank)
			}
		}
	}
}

// result returns the outcome in a few words.
func (o outcome) result() string {
	switch {
	case o.skipped != "":
		return "not a proto"
	case o.refused != "":
		return "refused"
	case len(o.theirs) > 0:
		return "generated, but the messages alone are not Go"
	}
	return "generated"
}

// kinds returns the kinds of the failures.
func (o outcome) kinds() (kinds []string) {
	for _, fault := range o.faults {
		kinds = append(kinds, kindOf(fault))
	}
	for _, fault := range o.theirs {
		kinds = append(kinds, kindOf("theirs: "+fault))
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// tryPanics is like tryIn, but records a panic as a fault.
func tryPanics(t *testing.T, bytes []byte, root string) (o outcome) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			o.fault("panic: %v", r)
		}
	}()
	return tryIn(t, newInput(bytes), root)
}

var (
	places = regexp.MustCompile(`\S+(\.go|\.proto):\d+:\d+`)
	quoted = regexp.MustCompile(`"[^"]*"`)
	dotted = regexp.MustCompile(`\S*[/.]\S*`)
	names  = regexp.MustCompile(`\b\w*[A-Z0-9_]\w*\b`)
)

// kindOf returns a fault without what is specific to its input.
func kindOf(fault string) string {
	fault, _, _ = strings.Cut(fault, "\n")
	for _, out := range []struct {
		what *regexp.Regexp
		by   string
	}{{places, "AT"}, {quoted, "Q"}, {dotted, "P"}, {names, "N"}} {
		fault = out.what.ReplaceAllString(fault, out.by)
	}
	return fault
}
