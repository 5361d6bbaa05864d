package project

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// in makes a folder with files, goes there, and returns it. A file whose text begins
// with -> is a link.
func in(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Chdir(dir)
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		target, isLink := strings.CutPrefix(text, "->")
		err := os.WriteFile(name, []byte(text), 0o644)
		if isLink {
			err = os.Symlink(target, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// plans returns what would be done, and checks that nothing is.
func plans(t *testing.T, config Config) (*plan, error) {
	t.Helper()
	before := tree(t)
	p, err := prepare(context.Background(), config)
	config.DryRun = true
	var out bytes.Buffer
	if wrong := New(context.Background(), config, &out, &out); (wrong != nil) != (err != nil) {
		t.Errorf("with --dry-run the error is %v, without it %v", wrong, err)
	}
	if after := tree(t); after != before {
		t.Errorf("in the folder there is\n%s\nand there was\n%s", after, before)
	}
	return p, err
}

// tree lists what is in the working folder, with the texts.
func tree(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(at string, entry fs.DirEntry, err error) error {
		text, _ := os.ReadFile(at)
		all.WriteString(at + " " + entry.Type().String() + " " + string(text) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func (p *plan) text(name string) string {
	for _, file := range p.files {
		if file.Path == name {
			return string(file.Content)
		}
	}
	return ""
}

const orders = "example.com/orders"

func TestNothingIsWrittenWhereSomethingIsInTheWay(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a proto":                 {map[string]string{"proto/orders/v1/orders.proto": "mine"}, "these files are in the way:\n\tproto/orders/v1/orders.proto\nMove them away, or name another service with --service"},
		"a program":               {map[string]string{"cmd/orders-server/main.go": "package main"}, "in the way:\n\tcmd/orders-server/main.go\n"},
		"a service":               {map[string]string{"internal/orders/v1/ordersservice/service.go": "package x"}, "in the way:\n\tinternal/orders/v1/ordersservice/service.go\n"},
		"a message":               {map[string]string{"gen/orders/v1/orders.pb.go": "package ordersv1"}, "in the way:\n\tgen/orders/v1/orders.pb.go\n"},
		"a file of ours ejected":  {map[string]string{"gen/orders/v1/ordersv1server/server.go": "package ordersv1server"}, "in the way:\n\tgen/orders/v1/ordersv1server/server.go\n"},
		"a file for a folder":     {map[string]string{"internal": "mine"}, "internal is a file, but it must be a folder: move it away"},
		"a folder for a file":     {map[string]string{"Makefile/mine": "mine"}, "Makefile: a folder is there, but it must be a file: move it away"},
		"a link out of it":        {map[string]string{"proto": "->" + os.TempDir()}, "the link proto leads out of the module"},
		"a broken link":           {map[string]string{"README.md": "->nowhere"}, "a broken link: README.md leads to nowhere"},
		"a go.mod of another":     {map[string]string{"go.mod": "module example.com/other\n"}, "go.mod is that of the module example.com/other, not of example.com/orders"},
		"a go.mod without module": {map[string]string{"go.mod": "go 1.26\n"}, "names no module"},
		"a workspace":             {map[string]string{"../go.work": "go 1.26\n\nuse ./other\n"}, ", which does not use it. First run there: go work edit -use=./m"},
		"a module above":          {map[string]string{"../go.mod": "module example.com/other\n"}, "to add a service to that, run this in "},
		"a buf.yaml of above":     {map[string]string{"buf.yaml": "version: v2\nmodules:\n  - path: ../protos\n"}, "../protos, is not below the folder"},
		"a buf.yaml that is none": {map[string]string{"buf.yaml": "version: [\n"}, "buf.yaml can't be read"},
		"another broken proto":    {map[string]string{"go.mod": "module example.com/orders\n", "proto/x.proto": "mine"}, "x.proto:1:1: syntax error"},
		"a clashing message": {map[string]string{"go.mod": "module example.com/orders\n", "proto/x.proto": `syntax = "proto3"; package orders.v1; option go_package = "example.com/orders/gen/x"; message Event {}`},
			"orders.v1.Event is also defined"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, nil)
			if err := os.Mkdir("m", 0o755); err != nil {
				t.Fatal(err)
			}
			t.Chdir("m")
			for name, text := range test.files {
				os.MkdirAll(filepath.Dir(name), 0o755)
				if target, ok := strings.CutPrefix(text, "->"); ok {
					os.Symlink(target, name)
				} else {
					os.WriteFile(name, []byte(text), 0o644)
				}
			}
			if _, err := plans(t, Config{Module: orders}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is\n%v\nwant %q in it", err, test.want)
			}
		})
	}
}

func TestFilesOfTheirOwnersAreLeft(t *testing.T) {
	in(t, map[string]string{
		"README.md": "mine", "LICENSE": "mine", "AGENTS.md": "mine", "Makefile": "all:\n", ".gitignore": "*.exe\n",
		"buf.gen.yaml": "version: v2\n", ".github/workflows/ci.yml": "name: CI\n", ".git/HEAD": "ref: refs/heads/main\n",
	})
	p, err := plans(t, Config{Module: orders})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range p.files {
		if _, err := os.Stat(file.Path); err == nil {
			t.Errorf("it would write over %s", file.Path)
		}
	}
	for _, want := range []string{"add the line /data/", "add a target that runs: protoc-gen-receiver generate -I proto", "add the plugin local: [protoc-gen-receiver]", "add a step that runs: "} {
		if got := strings.Join(p.left, "\n"); strings.Count(got, want) != 1 || strings.Count(got, "\n") != 3 {
			t.Errorf("it prints\n%s\nwant %q once", got, want)
		}
	}
}

func TestModules(t *testing.T) {
	for _, test := range []struct{ module, want string }{
		{"", "which module? Name it as others would import it: protoc-gen-receiver new example.com/orders"},
		{"not a path", "can't be the path of a module"},
		{"example.com/orders/v1", "because of the version at its end"},
		{"example.com/../x", "can't be the path of a module"},
		{"log", "a package of Go itself"},
		{"log/mine", "a package of Go itself"},
	} {
		in(t, nil)
		if _, err := plans(t, Config{Module: test.module}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("of module %q the error is %v, want %q in it", test.module, err, test.want)
		}
	}
}

// TestTheModuleOfTheFolder adds a service to a module that has its own ways: it gets
// nothing but that, in the folder that buf.yaml names.
func TestTheModuleOfTheFolder(t *testing.T) {
	in(t, map[string]string{
		"go.mod": "module example.com/shop\n\ngo 1.26.0\n\ntool google.golang.org/protobuf/cmd/protoc-gen-go\n\n" +
			"require (\n\tgoogle.golang.org/grpc v1.84.0\n\tgoogle.golang.org/protobuf v1.36.11\n)\n",
		"main.go": "package main\n", "buf.yaml": "version: v2\nmodules:\n  - path: api/protos\n  - path: other\n",
	})
	p, err := plans(t, Config{Service: "Payments"})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.files) != 1 || p.files[0].Path != "api/protos/payments/v1/payments.proto" || !strings.Contains(string(p.files[0].Content), `"example.com/shop/gen/payments/v1;paymentsv1"`) {
		t.Errorf("it writes %v", p.files)
	}
	if got, want := strings.Join(p.tools(), " "), "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2"; got != want {
		t.Errorf("it gets the tools %s, want %s", got, want)
	}
	if needs := strings.Join(p.missing(), " "); !strings.Contains(needs, "modernc.org/sqlite@") || strings.Contains(needs, "google.golang.org/grpc@") {
		t.Errorf("it adds to go.mod %s", needs)
	}
	p.gomod.Tool = nil
	if got, want := strings.Join(p.tools(), " "), "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11 google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2"; got != want {
		t.Errorf("without tools it gets %s, want %s", got, want)
	}
}

// TestAModuleWithoutCode gets all files, as one that has no go.mod yet.
func TestAModuleWithoutCode(t *testing.T) {
	in(t, map[string]string{"go.mod": "module example.com/orders\n\ngo 1.26.0\n"})
	p, err := plans(t, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if p.text("Makefile") == "" || p.text("go.mod") != "" || p.text("proto/orders/v1/orders.proto") == "" {
		t.Errorf("it writes %v", p.names())
	}
}

// TestAModuleWithinAnother is made if its folder is named.
func TestAModuleWithinAnother(t *testing.T) {
	in(t, map[string]string{"go.mod": "module example.com/other\n", "orders/README.md": "mine"})
	p, err := plans(t, Config{Module: orders, Dir: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	if next := p.next(); next[0] != "cd orders" || len(next) != 4 {
		t.Errorf("it prints %q", next)
	}
	t.Chdir("orders")
	if p, err := plans(t, Config{Module: orders, Dir: "."}); err != nil || p.next()[0] != "go test ./..." {
		t.Error(err)
	}
}

// TestAModuleOfAWorkspace is made where the workspace expects it.
func TestAModuleOfAWorkspace(t *testing.T) {
	in(t, map[string]string{"go.work": "go 1.26\n\nuse ./orders\n"})
	if _, err := plans(t, Config{Module: orders, Dir: "orders"}); err != nil {
		t.Error(err)
	}
	t.Setenv("GOWORK", "off")
	if _, err := plans(t, Config{Module: orders, Dir: "elsewhere"}); err != nil {
		t.Error(err)
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]struct{ generate, buf, tools string }{
		"":       {"\tprotoc-gen-receiver generate -I proto --check\n", "local: [protoc-gen-receiver]", ""},
		"v1.2.3": {"\tgo tool protoc-gen-receiver generate -I proto --check\n", "local: [go, tool, protoc-gen-receiver]", " " + self + "@v1.2.3"},
	} {
		in(t, nil)
		p, err := plans(t, Config{Module: orders, Version: version})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(p.text("Makefile"), want.generate) || !strings.Contains(p.text("buf.gen.yaml"), want.buf) || !strings.HasSuffix(strings.Join(p.tools(), " "), "v1.6.2"+want.tools) {
			t.Errorf("with version %q it gets %q, and the Makefile is\n%s\nbuf.gen.yaml\n%s", version, p.tools(), p.text("Makefile"), p.text("buf.gen.yaml"))
		}
		var out bytes.Buffer
		p.report(&out)
		if said := strings.Contains(out.String(), "This build of protoc-gen-receiver has no version"); said != (version == "") {
			t.Errorf("with version %q it prints\n%s", version, out.String())
		}
	}
}

func TestTemplatesOverrideOurs(t *testing.T) {
	in(t, map[string]string{
		"overrides/project/Makefile.tmpl":                           "all:\n\t{{.Generate}}\n",
		"overrides/project/docs/{proto}.md.tmpl":                    "# {{.Service}} in {{.Server}}\n",
		"overrides/project/README.md.tmpl":                          "{{/* none */}}",
		"overrides/program/cmd/{app}-server/extra.go.tmpl":          "package main\n",
		"overrides/project/{protos}/{package}/{proto}_more.md.tmpl": "more\n",
	})
	p, err := plans(t, Config{Module: orders, Templates: "overrides"})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.text("Makefile"); got != "all:\n\tprotoc-gen-receiver generate -I proto --receiver_opt=templates=overrides\n" {
		t.Errorf("the Makefile is %s", got)
	}
	if !strings.Contains(p.text("buf.gen.yaml"), "\n    opt: templates=overrides\n") {
		t.Errorf("buf.gen.yaml is\n%s", p.text("buf.gen.yaml"))
	}
	names := strings.Join(p.names(), "\n")
	if p.text("docs/orders.md") != "# OrdersService in orders-server\n" || p.text("README.md") != "" || !strings.Contains(names, "cmd/orders-server/extra.go") {
		t.Errorf("it makes\n%s", names)
	}
	outside, err := filepath.Abs("overrides")
	if err != nil {
		t.Fatal(err)
	}
	p, err = plans(t, Config{Module: orders, Templates: outside, Dir: "m"})
	if err != nil || !strings.Contains(strings.Join(p.left, "\n"), "is not in the module's folder, so that only this run uses it") {
		t.Errorf("with templates elsewhere it prints (%v) %q", err, p.left)
	}
}

// An event that is nobody's, and about nothing, was rarely meant to be.
func TestEventsWithoutSourceAndSubjectAreNamed(t *testing.T) {
	in(t, map[string]string{"shop.proto": `syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
option go_package = "example.com/shop/gen/shoppb";
service Shop {
  rpc ReportSale(SaleEvent) returns (Reply);
  rpc ReportVisit(VisitEvent) returns (Reply);
}
message SaleEvent {
  string till = 1;
  google.protobuf.Timestamp at = 2;
}
message VisitEvent {
  string user_id = 1;
  google.protobuf.Timestamp at = 2;
}
message Reply {}
`})
	p, err := plans(t, Config{Module: "example.com/shop", From: []string{"shop.proto"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.left, "\n"); strings.Count(got, "no field says where an event") != 1 || !strings.Contains(got, "shop.proto:9:1: no field says where an event SaleEvent comes from") {
		t.Errorf("it prints\n%s", got)
	}
}

// TestGoPackageOfACopy inserts go_package into protos, or replaces it.
func TestGoPackageOfACopy(t *testing.T) {
	const line = `option go_package = "a.b/c;d";`
	for name, test := range map[string][2]string{
		"after imports":    {"syntax = \"proto3\";\npackage x;\nimport \"y.proto\";\n\nmessage M {}\n", "syntax = \"proto3\";\npackage x;\nimport \"y.proto\";\n\n" + line + "\n\nmessage M {}\n"},
		"after a comment":  {"package x; // X\nmessage M {}\n", "package x; // X\n\n" + line + "\nmessage M {}\n"},
		"after a syntax":   {"edition = \"2023\" ;\n", "edition = \"2023\" ;\n\n" + line + "\n"},
		"before all else":  {"// M.\nmessage M {}\n", line + "\n\n// M.\nmessage M {}\n"},
		"on one line":      {"package x;message M{}", "package x;\n\n" + line + "\nmessage M{}"},
		"with CRLF":        {"package x;\r\nmessage M {}\r\n", "package x;\r\n\r\n" + line + "\r\nmessage M {}\r\n"},
		"replaced":         {"option go_package=\n  \"old\" ; // here\nmessage M {}\n", line + " // here\nmessage M {}\n"},
		"in two parts":     {"option go_package = \"o\" \"ld\";\n", line + "\n"},
		"only in comments": {"package x;\n// option go_package = \"x\";\n", "package x;\n\n" + line + "\n// option go_package = \"x\";\n"},
		"of a message":     {"package x;\nmessage M { option (go_package) = 1; }\n", "package x;\n\n" + line + "\nmessage M { option (go_package) = 1; }\n"},
	} {
		if got := string(parse("x.proto", []byte(test[0])).with("a.b/c;d")); got != test[1] {
			t.Errorf("%s: it makes\n%s\nwant\n%s", name, got, test[1])
		}
	}
}

const till = "syntax = \"proto3\";\npackage shop;\nservice Till { rpc Ring(Sale) returns (Ok); }\n// receiver:event\nmessage Sale { string item = 1; }\nmessage Ok {}\n"

// TestDryRunPrintsWhatToWrite: comments are best written before there is code.
func TestDryRunPrintsWhatToWrite(t *testing.T) {
	in(t, map[string]string{"src/shop.proto": strings.NewReplacer("// receiver:event\n", "", "string item = 1;", "string id = 1; google.protobuf.Timestamp at = 2;", "package shop;\n", "package shop;\nimport \"google/protobuf/timestamp.proto\";\n").Replace(till)})
	var out, stderr bytes.Buffer
	if err := New(t.Context(), Config{Module: "example.com/shop", Dir: "shop", From: []string{"src/shop.proto"}, DryRun: true}, &out, &stderr); err != nil {
		t.Fatal(err)
	}
	if want := "write // receiver:event above message Sale (shop.proto:"; !strings.Contains(stderr.String(), want) || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("it prints\n%s\nwant one line with %s", &stderr, want)
	}
}

func TestProtosInPlaceAreNotTouched(t *testing.T) {
	in(t, map[string]string{"shop.proto": till})
	const want = "shop.proto:2:1: add below this line:\n\toption go_package = \"example.com/shop/gen/shop;shoppb\";"
	if _, err := plans(t, Config{Module: "example.com/shop", From: []string{"shop.proto"}}); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Fatalf("the error is\n%v\nwant\n%s", err, want)
	}
	in(t, map[string]string{"shop.proto": strings.Replace(till, "package shop;\n", "package shop; option go_package = \"x.org/y\";\n", 1)})
	if _, err := plans(t, Config{Module: "example.com/shop", From: []string{"shop.proto"}}); err == nil || !strings.Contains(err.Error(), "shop.proto:2:1: replace the option go_package on this line with:\n") {
		t.Fatalf("the error is\n%v", err)
	}
	in(t, map[string]string{"api/shop.proto": strings.Replace(till, "package shop;\n", "package shop;\noption go_package = \"example.com/shop/pb\";\n", 1)})
	p, err := plans(t, Config{Module: "example.com/shop", From: []string{"api/shop.proto"}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.Join(p.names(), "\n"), ".proto") || p.project.Protos != "api" || !strings.Contains(p.text("Makefile"), "generate -I api\n") {
		t.Errorf("it writes %q, and the Makefile is\n%s", p.names(), p.text("Makefile"))
	}
}

// TestProtosOfOthersKeepTheirPackages copies what is imported: what belongs to others
// keeps the Go package that they publish.
func TestProtosOfOthersKeepTheirPackages(t *testing.T) {
	in(t, map[string]string{
		"src/acme/shop/v1/shop.proto": "syntax = \"proto3\";\npackage acme.shop.v1;\nimport \"google/type/money.proto\";\nimport \"acme/base/base.proto\";\nimport \"google/protobuf/empty.proto\";\n" +
			"service Till { rpc Ring(Sale) returns (google.protobuf.Empty); }\nmessage Sale { google.type.Money price = 1; acme.base.Id id = 2; }\n",
		"src/acme/base/base.proto":    "syntax = \"proto3\";\npackage acme.base;\noption go_package = \"github.com/acme/apis/base\";\nmessage Id { string id = 1; }\n",
		"src/google/type/money.proto": "syntax = \"proto3\";\npackage google.type;\noption go_package = \"google.golang.org/genproto/googleapis/type/money;money\";\nmessage Money { int64 units = 1; }\n",
	})
	p, err := plans(t, Config{Module: "example.com/shop", Dir: "shop", From: []string{"src/acme/shop/v1/shop.proto"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"proto/acme/shop/v1/shop.proto": `option go_package = "example.com/shop/gen/acme/shop/v1;shopv1";`,
		"proto/acme/base/base.proto":    `option go_package = "example.com/shop/gen/acme/base;basepb";`,
		"proto/google/type/money.proto": `option go_package = "google.golang.org/genproto/googleapis/type/money;money";`,
	} {
		if got := p.text(name); strings.Count(got, "go_package") != 1 || !strings.Contains(got, want) {
			t.Errorf("%s is\n%s\nwant %s in it", name, got, want)
		}
	}
	if p.text("proto/google/protobuf/empty.proto") != "" || len(p.left) != 2 {
		t.Errorf("it writes %q and prints %q", p.names(), p.left)
	}
}

// TestAnImportedServiceOfOthersNeedsItsModule, because generate reads all protos that are
// in the module's folder.
func TestAnImportedServiceOfOthersNeedsItsModule(t *testing.T) {
	files := map[string]string{
		"src/shop.proto": strings.Replace(till, "package shop;\n", "package shop;\nimport \"ops/ops.proto\";\n", 1),
		"src/ops/ops.proto": "syntax = \"proto3\";\npackage ops;\noption go_package = \"cloud.acme.org/go/ops/opspb;opspb\";\n" +
			"service Ops { rpc Get(Op) returns (Op); }\nmessage Op {}\n",
	}
	config := Config{Module: "example.com/shop", Dir: "m", From: []string{"src/shop.proto"}}
	in(t, files)
	const want = `ops/ops.proto is imported and has a service, which the module can't have: its go_package is "cloud.acme.org/go/ops/opspb;opspb". If the proto is yours, name it with --from, too. ` +
		"If not, first make the module in its folder, with the one of that package: go mod init example.com/shop && go get cloud.acme.org/go/ops/opspb"
	if _, err := plans(t, config); err == nil || err.Error() != want {
		t.Errorf("the error is\n%v\nwant\n%s", err, want)
	}
	files["m/go.mod"] = "module example.com/shop\n\ngo 1.26.0\n\nrequire cloud.acme.org/go v1.0.0\n"
	in(t, files)
	if p, err := plans(t, config); err != nil || p.text("proto/ops/ops.proto") != files["src/ops/ops.proto"] {
		t.Errorf("with the module it returns %v", err)
	}
	delete(files, "m/go.mod")
	in(t, files)
	config.From = append(config.From, "src/ops/ops.proto")
	if p, err := plans(t, config); err != nil || !strings.Contains(p.text("proto/ops.proto")+p.text("proto/ops/ops.proto"), "example.com/shop/gen/ops") {
		t.Errorf("with both protos it returns %v", err)
	}
}

func TestFromRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		text   string
		config Config
		want   string
	}{
		"no service":           {"syntax = \"proto3\";\nmessage M {}\n", Config{}, "x.proto has no service"},
		"a syntax error":       {"message {}\n", Config{}, "x.proto:1:9: syntax error"},
		"a missing import":     {"import \"y.proto\";\n", Config{}, "y.proto is not below"},
		"names":                {till, Config{Service: "Till"}, "leave out --service and --event"},
		"an unknown comment":   {strings.Replace(till, "receiver:event", "receiver:evnt", 1), Config{}, "x.proto:5:1: the comment receiver:evnt is unknown"},
		"an import path aside": {till, Config{ImportPaths: []string{"m"}}, "x.proto is not below m: name its folder with -I"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, map[string]string{"src/x.proto": test.text, "m/README.md": "mine"})
			test.config.Module, test.config.Dir, test.config.From = "example.com/shop", "m", []string{"src/x.proto"}
			if _, err := plans(t, test.config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is\n%v\nwant %q in it", err, test.want)
			}
		})
	}
}

// TestWithoutGoNothingIsWritten, because all that follows needs it.
func TestWithoutGoNothingIsWritten(t *testing.T) {
	in(t, nil)
	t.Setenv("PATH", t.TempDir())
	var out bytes.Buffer
	err := New(context.Background(), Config{Module: orders}, &out, &out)
	if err == nil || !strings.HasPrefix(err.Error(), "the command go is not on PATH") || out.Len() > 0 {
		t.Errorf("the error is %v, and it prints %q", err, &out)
	}
	if all, err := os.ReadDir("."); err != nil || len(all) > 0 {
		t.Errorf("in the folder there is %v (%v)", all, err)
	}
}

// TestAnErrorHalfWaySaysHowToGoOn whatever it is.
func TestAnErrorHalfWaySaysHowToGoOn(t *testing.T) {
	p := plan{config: Config{Module: orders}}
	const want = "no space left\nThe files of the project are there, but the module is not complete. To complete it, run this again:\n\tprotoc-gen-receiver new example.com/orders"
	if got := p.unfinished(errors.New("no space left\nNothing was written")).Error(); got != want {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
}

// TestTheCommandThatCompletes is the one that was run.
func TestTheCommandThatCompletes(t *testing.T) {
	config := Config{Module: orders, Event: "Placed", Dir: "my dir", From: []string{"it's.proto"}, ImportPaths: []string{"a", "b"}}
	if got, want := config.command(), `protoc-gen-receiver new example.com/orders --event Placed --dir 'my dir' --from 'it'\''s.proto' -I a -I b`; got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
}

// TestASampleHasTheRolesOfNestedMessages, too, each where it is in the event.
func TestASampleHasTheRolesOfNestedMessages(t *testing.T) {
	role := func(path string, text model.Text) *model.Role {
		return &model.Role{Field: &model.Field{ProtoName: path, Text: text}}
	}
	event := &model.Event{Source: role("at.shop", model.Plain), Type: role("kind", ""), Subject: role("at.order", model.Plain)}
	if got, want := asJSON(sample(event)), `'{"at":{"order":"order-17","shop":"shop"}}'`; got != want {
		t.Errorf("the sample is %s, want %s", got, want)
	}
}
