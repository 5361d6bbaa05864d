package compile_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
)

// TestProtosAreFoundThroughLinks: explain lists the protos that are found by the places
// that it names.
func TestProtosAreFoundThroughLinks(t *testing.T) {
	for name, test := range map[string]struct {
		links  map[string]string // from a path to what it leads to
		folder string            // of -I
		want   []string
	}{
		"no link":                              {nil, "module", []string{"protos/a.proto"}},
		"the folder itself is a link":          {map[string]string{"link": "module/protos"}, "link", []string{"a.proto"}},
		"a folder below is":                    {map[string]string{"module/api": "../elsewhere"}, "module", []string{"api/deep/b.proto", "protos/a.proto"}},
		"a folder below by its absolute path":  {map[string]string{"module/api": "/elsewhere"}, "module", []string{"api/deep/b.proto", "protos/a.proto"}},
		"a proto is":                           {map[string]string{"module/b.proto": "../elsewhere/deep/b.proto"}, "module", []string{"b.proto", "protos/a.proto"}},
		"two lead to one folder":               {map[string]string{"module/api": "../elsewhere", "module/bpi": "../elsewhere"}, "module", []string{"api/deep/b.proto", "protos/a.proto"}},
		"to a folder that is found anyway":     {map[string]string{"module/again": "protos"}, "module", []string{"protos/a.proto"}},
		"in a circle":                          {map[string]string{"module/protos/up": ".."}, "module", []string{"protos/a.proto"}},
		"in a circle outside":                  {map[string]string{"module/api": "../elsewhere", "elsewhere/back": "../module"}, "module", []string{"api/deep/b.proto", "protos/a.proto"}},
		"to all that is above":                 {map[string]string{"module/up": "../.."}, "module", []string{"protos/a.proto"}},
		"to nothing":                           {map[string]string{"module/api": "nowhere"}, "module", []string{"protos/a.proto"}},
		"a hidden one and one of dependencies": {map[string]string{"module/.api": "../elsewhere", "module/vendor": "../elsewhere"}, "module", []string{"protos/a.proto"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, folder := range []string{"module/protos", "elsewhere/deep"} {
				if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			proto := strings.Replace(pays, "syntax = \"proto3\";", "syntax = \"proto3\";\n", 1)
			writeFile(t, filepath.Join(dir, "module/protos/a.proto"), proto)
			writeFile(t, filepath.Join(dir, "elsewhere/deep/b.proto"), strings.NewReplacer("pay.v1", "pay.v2", "payv1", "payv2").Replace(proto))
			writeFile(t, filepath.Join(dir, "module/go.mod"), "module example.com/pay\n")
			for from, to := range test.links {
				if filepath.IsAbs(to) {
					to = filepath.Join(dir, to)
				}
				if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			err := compile.Explain(t.Context(), asked([]string{"--receiver_opt=root=" + filepath.Join(dir, "module"), "-I", filepath.Join(dir, test.folder)}), &out)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				if at, rest, found := strings.Cut(strings.TrimSpace(line), ":"); found && strings.Contains(rest, ": rpc Take ") {
					got = append(got, at)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("it finds %q, want %q", got, test.want)
			}
		})
	}
	if _, err := os.Stat("nowhere"); err == nil {
		t.Fatal("there is a folder nowhere")
	}
	if err := compile.Explain(t.Context(), asked([]string{"-I", "nowhere"}), io.Discard); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("of a folder that is not there the error is %v", err)
	}
}
