package compile_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/catalog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

var update = flag.Bool("update", false, "replace what is checked in by what is generated now")

// TestGolden runs generate on each case of testdata. A case is a folder with protos,
// and with the expected files in golden or the expected error in error.txt. It may
// have what is printed in printed.txt, options for generate in options.txt, and a user's templates in templates.
func TestGolden(t *testing.T) {
	toolsOnPath(t)
	cases, err := filepath.Glob("../../testdata/*")
	if err != nil || len(cases) == 0 {
		t.Fatal(err, cases)
	}
	for _, dir := range cases {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			root, printed, err := generate(t, dir)
			if exists(filepath.Join(dir, "error.txt")) || err != nil {
				compareError(t, dir, root, err)
				return
			}
			compareTrees(t, filepath.Join(dir, "golden"), root)
			if want, _ := os.ReadFile(filepath.Join(dir, "printed.txt")); printed != string(want) {
				t.Errorf("it prints\n%swant\n%s", printed, want)
			}
		})
	}
}

// TestExplain runs explain on the cases of testdata that have an explain.txt.
func TestExplain(t *testing.T) {
	golden, err := filepath.Glob("../../testdata/*/explain.txt")
	if err != nil || len(golden) == 0 {
		t.Fatal(err, golden)
	}
	for _, file := range golden {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var out bytes.Buffer
			if err := compile.Explain(context.Background(), asked(arguments(t, dir, t.TempDir())), &out); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, _ := os.ReadFile(file); out.String() != string(want) {
				t.Errorf("it explains\n%swant\n%s", out.String(), want)
			}
		})
	}
}

// TestExplainEndsAsGenerateDoes runs both on the cases of testdata that are refused.
func TestExplainEndsAsGenerateDoes(t *testing.T) {
	cases, err := filepath.Glob("../../testdata/*/error.txt")
	if err != nil || len(cases) == 0 {
		t.Fatal(err, cases)
	}
	for _, at := range cases {
		t.Run(filepath.Base(filepath.Dir(at)), func(t *testing.T) {
			args := arguments(t, filepath.Dir(at), t.TempDir())
			refused := compile.Generate(context.Background(), asked(args), io.Discard, io.Discard)
			if err := compile.Explain(context.Background(), asked(args), io.Discard); err == nil || err.Error() != refused.Error() {
				t.Errorf("explain ends with %v, generate with %v", err, refused)
			}
		})
	}
}

// TestExplainOfWhatIsRefused shows what could be read.
func TestExplainOfWhatIsRefused(t *testing.T) {
	var out bytes.Buffer
	err := compile.Explain(context.Background(), asked(arguments(t, "../../testdata/wrong-comments", t.TempDir())), &out)
	const want = "  wrong.proto:12:3: rpc Unknown takes an event: its request is an event"
	if err == nil || !strings.Contains(out.String(), want) {
		t.Errorf("it explains %q and ends with %v, want %q and an error", out.String(), err, want)
	}
}

// TestExplainLooksAtTheDisk has what only a look at the module shows.
func TestExplainLooksAtTheDisk(t *testing.T) {
	toolsOnPath(t)
	for name, spoil := range map[string]func(root string) error{
		"code that can't be read": func(root string) error {
			return os.WriteFile(filepath.Join(root, "internal/receiver/service.go"), []byte("<<<<<<< mine"), 0o644)
		},
		"a folder in the way": func(root string) error {
			at := filepath.Join(root, "gen/receiverpb/receiverclient/client.go")
			return errors.Join(os.Remove(at), os.MkdirAll(filepath.Join(at, "x"), 0o755))
		},
		"messages of a module that is not required": func(root string) error {
			at := filepath.Join(root, "receiver.proto")
			text, err := os.ReadFile(at)
			return errors.Join(err, os.WriteFile(at, bytes.Replace(text, []byte("example.com/receiver/gen"), []byte("example.com/other/gen"), 1), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, _ := demo(t)
			if err := errors.Join(os.RemoveAll(filepath.Join(root, "internal/receiver/receive.go")), spoil(root)); err != nil {
				t.Fatal(err)
			}
			args := []string{"--receiver_opt=root=" + root + ",scaffold=all", "-I", root}
			refused := compile.Generate(context.Background(), asked(args), io.Discard, io.Discard)
			err := compile.Explain(context.Background(), asked(args), io.Discard)
			if refused == nil || err == nil || err.Error() != refused.Error() {
				t.Errorf("explain ends with %v, generate with %v", err, refused)
			}
		})
	}
}

// TestTheFileOfComments is found from the module's folder. What is wrong with it is
// reported.
func TestTheFileOfComments(t *testing.T) {
	toolsOnPath(t)
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":           "module example.com/meters\n",
		"api/meters.proto": "syntax = \"proto3\"; package meters; option go_package = \"example.com/meters/gen/meterspb\";\nservice Meters { rpc Measure(Reading) returns (Reading); }\nmessage Reading { string sensor = 1; }\n",
		"api/events.txt":   "# Of the meters.\nmeters.Reading receiver:event\nmeters.Reading.sensor receiver:source\n",
		"api/wrong.txt":    "meters.Reading receiver:even\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(root, name), text)
	}
	generate := func(options string) error {
		return compile.Generate(context.Background(), asked([]string{"--receiver_opt=root=" + root + "," + options, "-I", filepath.Join(root, "api")}), io.Discard, io.Discard)
	}
	for options, want := range map[string]string{
		"comments=api/wrong.txt":             "api/wrong.txt:1:1: receiver:even is unknown on message Reading: did you mean receiver:event?",
		"comments=none.txt":                  `option "comments=none.txt": open ` + filepath.Join(root, "none.txt") + ": no such file or directory",
		"comments=api/events.txt,events=off": `option "comments=api/events.txt": with events=off nothing is read that says which RPCs take events; remove one of the two`,
	} {
		if err := generate(options); err == nil || err.Error() != want {
			t.Errorf("with %s the error is %v, want %s", options, err, want)
		}
	}
	for _, options := range []string{"comments=api/events.txt", "comments=api/events.txt,events=names"} {
		if err := generate(options); err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(root, "gen/meterspb/metersevents/reading.go")
		text, err := os.ReadFile(at)
		if want := "Source: event.GetSensor(),"; err != nil || !strings.Contains(string(text), want) {
			t.Errorf("with %s the log of readings is\n%s\n(%v), want in it %q", options, text, err, want)
		}
		if err := os.RemoveAll(filepath.Join(root, "gen")); err != nil {
			t.Fatal(err)
		}
	}
}

// examples are the modules in examples: the files in them that were written or edited by
// hand, and the arguments of generate for the module in a folder.
var examples = map[string]struct {
	byHand    []string
	protos    string
	templates string
	args      []string // besides those that all have
}{
	"receiver": {byHand: []string{"README.md", "receiver.proto"}},
	"custom":   {byHand: []string{"shop", "README.md", "asyncapi_test.go", "buf.gen.yaml", "templates"}, templates: "templates"},
	"adopt": {byHand: []string{".gitignore", "Makefile", "README.md", "buf.yaml", "buf.gen.yaml", "buf.gen.receiver.yaml", "cmd", "proto", "internal/inventory",
		"gen/inventory/v1/inventory.pb.go", "gen/inventory/v1/inventory_grpc.pb.go"},
		protos: "proto", args: []string{"--receiver_opt=programs=none", "--receiver_opt=engines=sqlite", "inventory/v1/movements.proto"}},
	"hooked": {byHand: []string{".gitignore", "README.md", "proto", "cmd/parcels-server", "cmd/parcels-client/main.go", "cmd/parcels-token"},
		protos: "proto", args: []string{"--receiver_opt=engines=sqlite"}},
	"clickstream": {protos: "proto", byHand: []string{
		"proto", "README.md", "Makefile", "buf.yaml", "buf.gen.yaml", "clicks.jsonl", "nats.conf",
		"cmd/clickstream-server/main.go", "cmd/clickstream-client/main.go",
		"internal/pageviews",
		"internal/clickstream/v1/clickstreamservice/service.go",
		"internal/clickstream/v1/clickstreamservice/service_test.go",
		"internal/clickstream/v1/clickstreamservice/consume.go",
		"internal/clickstream/v1/clickstreamservice/consume_test.go",
		"internal/clickstream/v1/clickstreamservice/top_pages.go",
		"internal/clickstream/v1/clickstreamservice/top_pages_test.go",
	}},
}

// TestExample generates each example again from the files that were written by hand.
// The result must be what is checked in, and what is checked in must be complete: a run
// there would change nothing, as --check says.
func TestExample(t *testing.T) {
	toolsOnPath(t)
	for example, test := range examples {
		t.Run(example, func(t *testing.T) {
			dir, root := filepath.Join("../../examples", example), t.TempDir()
			arguments := func(root string) []string {
				args := append([]string{"--receiver_opt=root=" + root, "-I", filepath.Join(root, test.protos)}, test.args...)
				if test.templates != "" {
					args = append(args, "--receiver_opt=templates="+filepath.Join(root, test.templates))
				}
				return args
			}
			for _, name := range append(test.byHand, "go.mod", "go.sum") {
				if !exists(filepath.Join(dir, name)) {
					t.Errorf("%s/%s does not exist", dir, name)
				}
				for _, file := range files(t, filepath.Join(dir, name)) {
					copyFile(t, filepath.Join(dir, name, file), filepath.Join(root, name, file))
				}
			}
			for range 2 { // the second run must change nothing
				if err := compile.Generate(context.Background(), asked(arguments(root)), os.Stderr, os.Stderr); err != nil {
					t.Fatal(err)
				}
				compareTrees(t, dir, root)
			}
			var printed bytes.Buffer
			if err := compile.Generate(context.Background(), asked(append(arguments(dir), "--check")), &printed, &printed); err != nil || printed.Len() > 0 {
				t.Errorf("where it is checked in, --check ends with %v and prints\n%s", err, &printed)
			}
		})
	}
}

// generate runs generate on a case, in a new module. The module's path makes its
// packages part of this repository, so that they can be compiled where they are
// checked in.
func generate(t *testing.T, dir string) (root, printed string, err error) {
	t.Helper()
	root = t.TempDir()
	args := arguments(t, dir, root)
	var out bytes.Buffer
	err = compile.Generate(context.Background(), asked(args), &out, &out)
	return root, out.String(), err
}

// arguments makes a module in root and returns the arguments of generate for a case.
func arguments(t *testing.T, dir, root string) []string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "no-go.mod")); err != nil {
		gomod := fmt.Sprintf("module %s/testdata/%s/golden\n", strings.TrimSuffix(runtime.Path, "/runtime"), filepath.Base(dir))
		if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(gomod), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// What deploys a program is the same for all but its name: options.txt of two cases asks for it.
	args := []string{"-I", dir, "--receiver_opt=root=" + root, "--receiver_opt=runtime=" + runtime.Path, "--receiver_opt=deploy=none"}
	if options, err := os.ReadFile(filepath.Join(dir, "options.txt")); err == nil {
		args = append(args, strings.Fields(string(options))...)
	}
	if templates := filepath.Join(dir, "templates"); exists(templates) {
		args = append(args, "--receiver_opt=templates="+templates)
	}
	return args
}

func exists(at string) bool {
	_, err := os.Stat(at)
	return err == nil
}

// compareError compares an error with error.txt, and checks that nothing was written.
// In the error, ROOT replaces the module's folder and HERE the current one, which
// differ from machine to machine, and the case's own folder is left out.
func compareError(t *testing.T, dir, root string, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("there was no error")
	}
	here, dirErr := os.Getwd()
	if dirErr != nil {
		t.Fatal(dirErr)
	}
	got := strings.NewReplacer(root, "ROOT", filepath.Join(here, dir), "HERE", here, "HERE", dir+"/", "").Replace(err.Error()) + "\n"
	golden := filepath.Join(dir, "error.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, _ := os.ReadFile(golden)
	if got != string(want) {
		t.Errorf("error is\n%swant\n%s", got, want)
	}
	if written := slices.DeleteFunc(files(t, root), func(name string) bool { return name == "go.mod" }); len(written) > 0 {
		t.Errorf("wrote %v", written)
	}
}

// compareTrees checks that two trees have the same files, apart from those that are not
// generated.
func compareTrees(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		copyTree(t, got, golden)
	}
	for _, name := range files(t, golden, got) {
		want, wantErr := os.ReadFile(filepath.Join(golden, name))
		have, haveErr := os.ReadFile(filepath.Join(got, name))
		switch {
		case notGenerated(name):
		case errors.Is(wantErr, fs.ErrNotExist):
			t.Errorf("%s is new: go test ./internal/compile -update", name)
		case errors.Is(haveErr, fs.ErrNotExist):
			t.Errorf("%s is no longer generated: delete it", name)
		case wantErr != nil || haveErr != nil:
			t.Error(wantErr, haveErr)
		case !bytes.Equal(want, have):
			t.Errorf("%s differs (go test ./internal/compile -update rewrites it):\n%s", name,
				diff(t, filepath.Join(golden, name), filepath.Join(got, name)))
		}
	}
}

// notGenerated reports whether a file is one of the Go command's, or one that a server
// has made, which somebody tried in an example.
func notGenerated(name string) bool {
	return name == "go.mod" || name == "go.sum" || strings.HasPrefix(name, "data"+string(filepath.Separator))
}

// diff returns how one file differs from another.
func diff(t *testing.T, a, b string) string {
	t.Helper()
	output, err := exec.Command("git", "diff", "--no-index", "--", a, b).Output()
	if len(output) == 0 {
		t.Error(err)
	}
	return string(output)
}

// files returns the names of the files below some folders, relative to them.
func files(t *testing.T, roots ...string) (names []string) {
	t.Helper()
	for _, root := range roots {
		err := filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && entry.IsDir() {
				return nil
			}
			name, _ := filepath.Rel(root, at)
			names = append(names, name)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// copyTree replaces a golden tree by what was generated. It deletes files that are no
// longer generated.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range files(t, to) {
		if !exists(filepath.Join(from, name)) && !notGenerated(name) {
			os.Remove(filepath.Join(to, name))
		}
	}
	for _, name := range files(t, from) {
		if !notGenerated(name) {
			copyFile(t, filepath.Join(from, name), filepath.Join(to, name))
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// toolsOnPath puts the pinned protoc-gen-go and protoc-gen-go-grpc first on PATH.
func toolsOnPath(t *testing.T) {
	t.Helper()
	var path []string
	for _, tool := range []string{"google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc"} {
		program, err := exec.Command("go", "tool", "-n", tool).Output()
		if err != nil {
			t.Fatal(err)
		}
		path = append(path, filepath.Dir(strings.TrimSpace(string(program))))
	}
	t.Setenv("PATH", strings.Join(append(path, os.Getenv("PATH")), string(os.PathListSeparator)))
}

// TestOverridesFollowTheRules checks that what a user's templates make is ours or
// yours by the same rules, in every scope and language.
func TestOverridesFollowTheRules(t *testing.T) {
	toolsOnPath(t)
	const dir = "../../testdata/house"
	root := t.TempDir()
	args := arguments(t, dir, root)
	var printed bytes.Buffer
	run := func() {
		printed.Reset()
		if err := compile.Generate(context.Background(), asked(args), &printed, &printed); err != nil {
			t.Fatal(err)
		}
	}
	run()
	yours := []string{"Makefile", "docs/shopv1.md", "internal/shop/v1/orders/audit.go", "schemas/order_event.json", "cmd/shop-server/main.go"}
	ours := []string{"docs/services.md", "deploy/shop.yaml", "gen/shop/v1/shopv1house/names.go"}
	for _, name := range slices.Concat(yours, ours) {
		if err := os.Remove(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	const taken = "docs/orders.md"
	if err := os.WriteFile(filepath.Join(root, taken), []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run()
	for _, name := range yours {
		if exists(filepath.Join(root, name)) {
			t.Errorf("%s was deleted, but is back", name)
		}
	}
	for _, name := range ours {
		if !exists(filepath.Join(root, name)) {
			t.Errorf("%s is not written again", name)
		}
	}
	if text, _ := os.ReadFile(filepath.Join(root, taken)); string(text) != "mine\n" || !strings.Contains(printed.String(), taken+": left alone") {
		t.Errorf("%s was taken over, but becomes %q; the run prints %q", taken, text, printed.String())
	}
}

// TestExportedTemplatesMakeTheSame checks that an override folder with all of our
// templates makes the goldens, byte for byte.
func TestExportedTemplatesMakeTheSame(t *testing.T) {
	toolsOnPath(t)
	overrides := filepath.Join(t.TempDir(), "overrides")
	if err := catalog.Export(overrides, nil, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kinds", "names", "plain"} {
		dir := filepath.Join("../../testdata", name)
		root := t.TempDir()
		args := append(arguments(t, dir, root), "--receiver_opt=templates="+overrides)
		if err := compile.Generate(context.Background(), asked(args), os.Stderr, os.Stderr); err != nil {
			t.Fatal(err)
		}
		compareTrees(t, filepath.Join(dir, "golden"), root)
	}
}

// A comment that no compiler passes on is reported by generate and by explain.
func TestACommentBehindABraceIsReported(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "go.mod"), "module example.com/meters\n")
	writeFile(t, filepath.Join(root, "meters.proto"), `syntax = "proto3";
package meters;
option go_package = "example.com/meters/gen/meterspb";
service Meters {
  rpc Measure(Reading) returns (Reading) {} // receiver:event
}
message Reading { string sensor = 1; }
`)
	args := []string{"--receiver_opt=root=" + root, "-I", root}
	const want = "meters.proto:5:45: the comment receiver:event is attached to nothing: write it on a line of its own, directly above a message, a field or an rpc"
	if err := compile.Generate(context.Background(), asked(args), io.Discard, io.Discard); err == nil || err.Error() != want {
		t.Errorf("generate ends with %v, want %s", err, want)
	}
	if err := compile.Explain(context.Background(), asked(args), io.Discard); err == nil || err.Error() != want {
		t.Errorf("explain ends with %v, want %s", err, want)
	}
}
