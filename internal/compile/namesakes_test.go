package compile_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
)

// namesake is a proto api.proto in a folder of its own, which a run finds with -I.
const namesake = `syntax = "proto3";
%[1]soption go_package = "example.com/receiver/%[2]s";
service %[3]s {
  rpc Put%[3]s(%[3]sEvent) returns (%[3]sReply);
  rpc Ask%[3]s(%[3]sReply) returns (%[3]sReply);
}
message %[3]sEvent { string event_type = 1; string source = 2; }
message %[3]sReply { string message = 1; }
`

// ofNamesakes are templates of a user in the scopes that see one proto.
var ofNamesakes = map[string]string{
	"service/deploy/{service}.yaml.tmpl":          "# " + keep.Marker + "\nservice: {{.Name}}\n",
	"service/cmd/{app}-client/{service}.txt.tmpl": "# " + keep.Marker + "\nservice: {{.Name}}\n",
	"event/schemas/{event}.yaml.tmpl":             "# " + keep.Marker + "\nevent: {{.Name}}\n",
	"method/docs/{method}.md.tmpl":                "<!-- " + keep.Marker + " -->\n# {{.Name}}\n",
}

// TestProtosOfOneNameInOneModule generates from several protos that have the same name
// below the folders of -I, each in runs of its own, in every order. A run must leave
// alone all that the others made.
func TestProtosOfOneNameInOneModule(t *testing.T) {
	toolsOnPath(t)
	names, built := []string{"Left", "Mid", "Right"}, []int{2, 0, 1}
	for layout, test := range map[string]struct{ pkg, goPackage string }{
		"versions of one proto package": {"package shop.v%d;\n", "gen/shop/v%d;shopv%[1]d"},
		"proto packages":                {"package shop%d;\n", "gen/shop%dpb"},
		"no proto package":              {"", "gen/shop%dpb"},
		"one proto package":             {"package shop;\n", "gen/shop%dpb"},
	} {
		orders := [][]int{built, {1, 0}, {0, 1, 2}, {0, 1}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 1, 0}}
		switch {
		case testing.Short():
			orders = orders[:1]
		case os.Getenv("MATRIX") == "": // make matrix takes all
			orders = orders[:3]
		}
		for _, order := range orders {
			t.Run(fmt.Sprint(layout, " ", order), func(t *testing.T) {
				root := t.TempDir()
				for _, name := range []string{"go.mod", "go.sum"} {
					copyFile(t, filepath.Join("../../examples/receiver", name), filepath.Join(root, name))
				}
				for name, text := range ofNamesakes {
					put(t, filepath.Join(root, "templates", name), text)
				}
				for n, name := range names {
					with := func(pattern string) string {
						if !strings.Contains(pattern, "%") {
							return pattern
						}
						return fmt.Sprintf(pattern, n+1)
					}
					put(t, filepath.Join(root, name, "api.proto"), fmt.Sprintf(namesake, with(test.pkg), with(test.goPackage), name))
				}
				all := map[string]string{}
				for round := range 2 {
					for _, n := range order {
						var out, stderr bytes.Buffer
						err := compile.Generate(context.Background(), asked([]string{"--receiver_opt=root=" + root,
							"--receiver_opt=templates=" + filepath.Join(root, "templates"), "-I", filepath.Join(root, names[n])}), &out, &stderr)
						if err != nil {
							t.Fatalf("%v\n%s", err, &stderr)
						}
						if strings.Contains(stderr.String(), "no longer") {
							t.Errorf("a run for %s prints\n%s", names[n], &stderr)
						}
						now := contents(t, root)
						for at, text := range all {
							if now[at] != text {
								t.Errorf("a run for %s has changed %s, which is now %q", names[n], at, now[at])
							}
						}
						if round > 0 && len(now) != len(all) {
							t.Errorf("a second run for %s adds to %d files %d", names[n], len(all), len(now)-len(all))
						}
						all = now
					}
				}
				for _, n := range order {
					name := strings.ToLower(names[n])
					for _, of := range []string{"/put_" + name + ".go", "/put_" + name + "_test.go", "/" + name + "/consume.go", "client/" + name + ".go",
						"events/" + name + "_event.go", "deploy/" + name + ".yaml", "schemas/" + name + "_event.yaml", "docs/ask_" + name + ".md"} {
						if !slices.ContainsFunc(slices.Collect(maps.Keys(all)), func(at string) bool { return strings.HasSuffix(filepath.ToSlash(at), of) }) {
							t.Errorf("there is no …%s", of)
						}
					}
				}
				if !slices.Equal(order, built) { // the code is the same as in any other order of all three
					return
				}
				vet := exec.Command("go", "vet", "-trimpath", "./...") // which does not link the programs
				vet.Dir, vet.Env = root, append(os.Environ(), "GOWORK=off")
				if output, err := vet.CombinedOutput(); err != nil {
					t.Errorf("it does not build: %v\n%s", err, output)
				}
			})
		}
	}
}

// put writes a file, and makes its folder.
func put(t *testing.T, at, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		t.Fatal(err)
	}
	writeFile(t, at, text)
}
