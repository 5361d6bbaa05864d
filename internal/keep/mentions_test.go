package keep_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// What is used of the runtime is not dropped, wherever the code is that uses it.
func TestWhatIsUsedOfTheRuntimeStays(t *testing.T) {
	const plain = "service Orders { rpc Find(Query) returns (Reply); } message Query {} message Reply {}"
	const memory = "example.com/shop/" + model.RuntimeDir + "/eventlog/memory"
	const file, use = "use/use.go", "package use\n\nimport _ \"" + memory + "\"\n"
	const copied = model.RuntimeDir + "/eventlog/memory/memory.go"
	proto := "syntax = \"proto3\"; package shop; option go_package = \"example.com/shop/gen/shoppb\"; " + plain
	for name, test := range map[string]struct {
		change func(disk)
		stays  bool
	}{
		"no longer": {func(h disk) { h.remove("use") }, false},
		"as before": {func(disk) {}, true},
		"in a nested module": {func(h disk) {
			h.remove("use")
			h.write("e2e/go.mod", "module example.com/shop/e2e\n")
			h.write("e2e/use.go", use)
		}, true},
		"in testdata":        {func(h disk) { h.remove("use"); h.write("x/testdata/use/use.go", use) }, true},
		"in a hidden folder": {func(h disk) { h.remove("use"); h.write("_use/use.go", use) }, true},
		"in a raw string":    {func(h disk) { h.write(file, strings.ReplaceAll(use, "\"", "`")) }, true},
		"behind a quote that is not closed": {func(h disk) {
			h.write(file, strings.Replace(use, "import", "// An \"example.com/shop/ is not closed.\nimport", 1))
		}, true},
		"through a link": {func(h disk) {
			h.remove("use")
			h.write("shared/use.txt", use)
			h.write("other/other.go", "package other\n")
			if err := os.Symlink(filepath.Join(h.root, "shared/use.txt"), filepath.Join(h.root, "other/use.go")); err != nil {
				t.Skip(err)
			}
		}, true},
		"by a file of the runtime that is taken over": {func(h disk) {
			h.remove("use")
			text := h.read(model.RuntimeDir + "/server/drain.go")
			text = strings.Replace(text, "// Code generated", "// It was: Code generated", 1)
			h.write(model.RuntimeDir+"/server/drain.go", strings.Replace(text, "package server\n", "package server\n\nimport _ \""+memory+"\"\n", 1))
		}, true},
		"in a file of ours that is made again": {func(h disk) {
			h.remove("use")
			h.edit("gen/shoppb/shopclient/client.go", "import (\n", "import (\n\t_ \""+memory+"\"\n")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := disk{t, t.TempDir()}
			h.write("go.mod", "module example.com/shop\n")
			h.write(file, use)
			if _, err := h.generate(proto); err != nil || !h.has(copied) {
				t.Fatalf("the engine is copied: %t (%v)", h.has(copied), err)
			}
			test.change(h)
			files, _, err := h.dry(proto)
			if err != nil {
				t.Fatal(err)
			}
			stays := true
			for _, file := range files {
				stays = stays && !(file.Leftover && file.Path == copied)
			}
			if stays != test.stays {
				t.Errorf("the engine stays: %t, want %t", stays, test.stays)
			}
		})
	}
}
