package render

import (
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// TestRunsMakeNothingOfProjects checks that only new executes the templates of its scope.
func TestRunsMakeNothingOfProjects(t *testing.T) {
	tree, err := Parse(nil, []File{{Name: "project/notes/{proto}.md.tmpl", At: "x.tmpl", Text: "{{.Service}}"}})
	if err != nil {
		t.Fatal(err)
	}
	if outputs, err := tree.Outputs(&model.Module{Path: "example.com/shop"}); err != nil || len(outputs) > 0 {
		t.Errorf("a run makes (%v) %v", err, outputs)
	}
	project, err := model.Draft("example.com/shop", "Orders", "")
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := tree.Drafts(project)
	if err != nil || len(outputs) != 1 {
		t.Fatal(outputs, err)
	}
	text, err := outputs[0].Render()
	if err != nil || outputs[0].Path != "notes/orders.md" || string(text) != "OrdersService" {
		t.Errorf("new makes (%v) %s with %q", err, outputs[0].Path, text)
	}
}

// TestProjectsHaveNoMarker: a run of generate would delete a marked file of new, which
// it does not make.
func TestProjectsHaveNoMarker(t *testing.T) {
	_, err := Parse(nil, []File{{Name: "project/x.yaml.tmpl", At: "x.tmpl", Text: "# " + keep.Marker + "\n", override: true}})
	if want := "remove the marker"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want %q in it", err, want)
	}
}
