package plugin_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

func TestGoModProvides(t *testing.T) {
	gomod, root := goMod(t, "require example.org/lib v1.0.0\n\nreplace example.net/moved => ../moved\n")
	for path, want := range map[string]bool{
		"example.com/shop/gen/shoppb":                  true,
		"example.com/shopping/gen":                     false,
		"example.org/lib/pb":                           true,
		"example.net/moved":                            true,
		"google.golang.org/grpc/health/grpc_health_v1": true, // required with the runtime
		"example.com/receiver/gen/receiverpb":          false,
	} {
		if got := gomod.Provides(path); got != want {
			t.Errorf("it provides %s: %t, want %t", path, got, want)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "go.work"), []byte("go 1.26\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if !gomod.Provides("example.com/receiver/gen/receiverpb") {
		t.Error("in a workspace any module may be there")
	}
}

func TestGoModMissing(t *testing.T) {
	gomod, _ := goMod(t, "require example.org/old v1.0.0\n")
	got := gomod.Missing([]runtime.Requirement{
		{Path: "example.org/new", Version: "v1.5.0", Least: "v1.2.0"},
		{Path: "example.org/old", Version: "v1.5.0", Least: "v1.2.0"},
	})
	if want := []module.Version{{Path: "example.org/new", Version: "v1.5.0"}}; !slices.Equal(got, want) {
		t.Errorf("missing are %v, want %v", got, want)
	}
}

func TestGoModOutdated(t *testing.T) {
	gomod, _ := goMod(t, `go 1.21

require (
	example.org/indirect v1.1.9 // indirect
	example.org/least v1.2.0
	example.org/newer v1.10.0
	example.org/old v1.1.9
	example.org/pseudo v0.0.0-20230711160842-782d3b101e98
	example.org/replaced v1.0.0
	google.golang.org/genproto v0.0.0-20230410155749-daa745c078e1 // indirect
)

replace example.org/replaced => ../replaced
`)
	var needs []runtime.Requirement
	for _, name := range []string{"absent", "indirect", "least", "newer", "old", "replaced"} {
		needs = append(needs, runtime.Requirement{Path: "example.org/" + name, Version: "v1.5.0", Least: "v1.2.0"})
	}
	needs = append(needs, runtime.Requirement{
		Path:    "example.org/pseudo",
		Version: "v0.0.0-20260817212433-ac3dfec99bb1",
		Least:   "v0.0.0-20240318140521-94a12d6c2237",
	})
	needs = append(needs, runtime.Requirement{
		Path:    "google.golang.org/genproto/googleapis/rpc",
		Version: "v0.0.0-20260817212433-ac3dfec99bb1",
	})
	want := []module.Version{
		{Path: "go", Version: runtime.Go.Version},
		{Path: "example.org/indirect", Version: "v1.5.0"},
		{Path: "example.org/old", Version: "v1.5.0"},
		{Path: "example.org/pseudo", Version: "v0.0.0-20260817212433-ac3dfec99bb1"},
		{Path: "google.golang.org/genproto", Version: "v0.0.0-20260817212433-ac3dfec99bb1"},
	}
	if got := gomod.Outdated(needs); !slices.Equal(got, want) {
		t.Errorf("outdated are %v, want %v", got, want)
	}
}

func TestWhatIsNewEnoughIsNotOutdated(t *testing.T) {
	for _, lines := range []string{"", "go " + runtime.Go.Least, "go 1.26", "go 1.26.1\n\nrequire google.golang.org/genproto v0.0.0-20240318140521-94a12d6c2237"} {
		gomod, _ := goMod(t, lines+"\n")
		if got := gomod.Outdated(runtime.Requirements()); len(got) > 0 {
			t.Errorf("of %q outdated are %v", lines, got)
		}
	}
}

func TestGoModObstacles(t *testing.T) {
	needs := []runtime.Requirement{{Path: "example.org/lib", Version: "v1.5.0", Least: "v1.2.0"}}
	replaces := " replaces example.org/lib by v1.1.0, which is too old for the code to build: go mod edit -dropreplace="
	excludes := " excludes example.org/lib@v1.5.0, with which the code was tested: require a newer version, or go mod edit -dropexclude=example.org/lib@v1.5.0, then go get example.org/lib@v1.5.0"
	for lines, want := range map[string]string{
		"": "",
		"require example.org/lib v1.5.0\nreplace example.org/lib => example.org/lib v1.1.0":        replaces + "example.org/lib, then go get example.org/lib@v1.5.0",
		"require example.org/lib v1.5.0\nreplace example.org/lib v1.5.0 => example.org/lib v1.1.0": replaces + "example.org/lib@v1.5.0, then go get example.org/lib@v1.5.0",
		"require example.org/lib v1.5.0\nreplace example.org/lib v1.4.0 => example.org/lib v1.1.0": "",
		"require example.org/lib v1.5.0\nreplace example.org/lib => example.org/lib v1.2.0":        "",
		"replace example.org/lib => example.org/fork v1.0.0":                                       "",
		"replace example.org/lib => ../lib":                                                        "",
		"exclude example.org/lib v1.5.0":                                                           excludes,
		"require example.org/lib v1.5.0\nexclude example.org/lib v1.5.0":                           excludes,
		"require example.org/lib v1.6.0\nexclude example.org/lib v1.5.0":                           "",
	} {
		gomod, _ := goMod(t, lines+"\n")
		got := strings.Join(gomod.Obstacles(needs), "\n")
		if !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("of %q the obstacles are %q, want %q", lines, got, want)
		}
		if missing := gomod.Missing(needs); strings.HasPrefix(lines, "exclude") && len(missing) > 0 {
			t.Errorf("of %q missing are %v, but that is excluded", lines, missing)
		}
	}
}

// goMod is a go.mod with some lines below the name of the module.
func goMod(t *testing.T, lines string) (gomod *plugin.GoMod, root string) {
	t.Helper()
	root = t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module example.com/shop\n\n"+lines), 0o644); err != nil {
		t.Fatal(err)
	}
	gomod, err := plugin.ReadGoMod(root)
	if err != nil {
		t.Fatal(err)
	}
	return gomod, root
}
