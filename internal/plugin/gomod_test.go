package plugin_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

func TestGoModProvides(t *testing.T) {
	root := t.TempDir()
	text := "module example.com/shop\n\nrequire example.org/lib v1.0.0\n\nreplace example.net/moved => ../moved\n"
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	gomod, err := plugin.ReadGoMod(root)
	if err != nil {
		t.Fatal(err)
	}
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
