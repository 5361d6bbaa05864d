package plugin_test

import (
	"os"
	"path/filepath"
	"slices"
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
	gomod, _ := goMod(t, `require (
	example.org/indirect v1.1.9 // indirect
	example.org/least v1.2.0
	example.org/newer v1.10.0
	example.org/old v1.1.9
	example.org/pseudo v0.0.0-20230711160842-782d3b101e98
	example.org/replaced v1.0.0
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
	want := []module.Version{
		{Path: "example.org/indirect", Version: "v1.5.0"},
		{Path: "example.org/old", Version: "v1.5.0"},
		{Path: "example.org/pseudo", Version: "v0.0.0-20260817212433-ac3dfec99bb1"},
	}
	if got := gomod.Outdated(needs); !slices.Equal(got, want) {
		t.Errorf("outdated are %v, want %v", got, want)
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
