package runtime_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// TestLinkedProtos checks that model.Linked lists all protos that are registered in a
// program with the runtime: a module can't have them a second time.
func TestLinkedProtos(t *testing.T) {
	deps, err := exec.Command("go", "list", "-deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(deps))
	got := map[string]model.LinkedProto{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		goPackage, _, _ := strings.Cut(file.Options().(*descriptorpb.FileOptions).GetGoPackage(), ";")
		if slices.Contains(linked, goPackage) { // and not by this test alone
			one := model.LinkedProto{GoPackage: goPackage, Package: string(file.Package())}
			for _, name := range model.TopLevel(file) {
				one.Names = append(one.Names, string(name))
			}
			slices.Sort(one.Names)
			got[file.Path()] = one
		}
		return true
	})
	if len(got) < 10 {
		t.Fatalf("only %d protos are registered", len(got))
	}
	for path, want := range model.Linked {
		if one, ok := got[path]; !ok || one.GoPackage != want.GoPackage || one.Package != want.Package || !slices.Equal(one.Names, want.Names) {
			t.Errorf("model.Linked[%q] is %v, want %v", path, want, one)
		}
	}
	for path, one := range got {
		if _, ok := model.Linked[path]; !ok {
			t.Errorf("model.Linked lacks\n\t%q: {%q, %q, %#v},", path, one.GoPackage, one.Package, one.Names)
		}
	}
}
