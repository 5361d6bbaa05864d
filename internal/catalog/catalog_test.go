package catalog_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/catalog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/render"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/templates"
)

func list(overrides string) (printed string, err error) {
	var out bytes.Buffer
	err = catalog.List(overrides, &out)
	return out.String(), err
}

func export(dir string, names ...string) (printed string, err error) {
	var out bytes.Buffer
	err = catalog.Export(dir, names, &out)
	return out.String(), err
}

func ours(t *testing.T) []render.File {
	t.Helper()
	files, err := render.Embedded(templates.Files)
	if err != nil || len(files) < 40 {
		t.Fatal(len(files), err)
	}
	return files
}

func TestListNamesEachTemplate(t *testing.T) {
	printed, err := list("")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range ours(t) {
		scope, _, _ := strings.Cut(file.Name, "/")
		owner := "yours"
		if strings.Contains(file.Text, "Code generated") {
			owner = "ours"
		}
		found := false
		for line := range strings.Lines(printed) {
			found = found || strings.Join(strings.Fields(line), " ") == scope+" "+owner+" "+file.Name
		}
		if !found {
			t.Errorf("%s, which is %s, is not among\n%s", file.Name, owner, printed)
		}
	}
}

func TestListShowsWhatAnOverrideFolderReplaces(t *testing.T) {
	const overrides = "../../testdata/house/templates"
	printed, err := list(overrides)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for line := range strings.Lines(printed) {
		got[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, line := range []string{
		"program yours kept program/cmd/{app}-client/main.go.tmpl",
		"program yours replaced program/cmd/{app}-server/main.events.go.tmpl",
		"program yours replaces " + overrides + "/program/cmd/{app}-server/main.go.tmpl",
		"method yours dropped method/internal/{path}/{method}_test.unary.go.tmpl",
		"method none replaces " + overrides + "/method/internal/{path}/{method}_test.unary.go.tmpl",
		"module ours added " + overrides + "/module/docs/services.md.tmpl",
	} {
		if !got[line] {
			t.Errorf("there is no line %q in\n%s", line, printed)
		}
	}
}

func TestListShowsWhatIsReplacedForAVariant(t *testing.T) {
	overrides := t.TempDir()
	write(t, filepath.Join(overrides, "program/cmd/{app}-client/main.events.go.tmpl"), "package main")
	printed, err := list(overrides)
	if want := "replaced for events  program/cmd/{app}-client/main.go.tmpl\n"; err != nil || !strings.Contains(printed, want) {
		t.Errorf("it prints (%v)\n%swant %q in it", err, printed, want)
	}
}

func TestListReportsTheSameErrorsAsARun(t *testing.T) {
	for folder, want := range map[string]string{
		"templates-that-are-none":     "module/README.md: this is not a template",
		"templates-that-do-not-parse": "{method}.unary-event.md.tmpl:1: unclosed action",
		"templates-in-wrong-places":   "module/{app}.md.tmpl: there is no {app}",
	} {
		if _, err := list("../../testdata/" + folder + "/templates"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error of %s is %v, want %q in it", folder, err, want)
		}
	}
}

func TestExportWritesAllOrThoseNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "overrides")
	named := ours(t)[7]
	if _, err := export(dir, named.Name); err != nil {
		t.Fatal(err)
	}
	files, err := render.Read(dir)
	if err != nil || len(files) != 1 || files[0].Name != named.Name || files[0].Text != named.Text {
		t.Errorf("it writes (%v) %v, want %v", err, files, named)
	}
	all := filepath.Join(t.TempDir(), "overrides")
	printed, err := export(all)
	if err != nil {
		t.Fatal(err)
	}
	if files, err = render.Read(all); err != nil || len(files) != len(ours(t)) || strings.Count(printed, "\n") != len(files) {
		t.Errorf("it writes (%v) %d templates and prints\n%s", err, len(files), printed)
	}
}

func TestExportOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	existing := filepath.Join(dir, filepath.FromSlash(ours(t)[3].Name))
	write(t, existing, "mine")
	printed, err := export(dir)
	if err == nil || !strings.Contains(err.Error(), "nothing was written, because these files exist already:\n\t"+existing+"\n") {
		t.Errorf("the error is %v, want one that names %s", err, existing)
	}
	files, _ := render.Read(dir)
	if len(files) != 1 || files[0].Text != "mine" || printed != "" {
		t.Errorf("there are %d templates, the first %q, and it prints %q", len(files), files[0].Text, printed)
	}
}

func TestExportOfUnknownTemplates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "overrides")
	_, err := export(dir, "module/a.tmpl", ours(t)[0].Name, "module/b.tmpl")
	if err == nil || !strings.Contains(err.Error(), "no template module/a.tmpl") || !strings.Contains(err.Error(), "no template module/b.tmpl") {
		t.Errorf("the error is %v, want both names in it", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written")
	}
}

func write(t *testing.T, at, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
