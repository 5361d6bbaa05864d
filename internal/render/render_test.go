package render

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/templates"
)

func TestImportsAreWhatTheFileUses(t *testing.T) {
	own := model.GoPackage{Path: "example.com/shop/gen/context", Name: "context"}
	for name, test := range map[string]struct {
		source string // %s stands for what the package own is called
		want   string
	}{
		"unused ones go": {
			"package p\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nvar _ = os.Args\n",
			"package p\n\nimport \"os\"\n\nvar _ = os.Args\n",
		},
		"all may go": {
			"package p\n\nimport \"os\"\n\nvar os = 1\n",
			"package p\n\nvar os = 1\n",
		},
		"groups are made": {
			"package p\n\nimport (\n\t\"example.com/shop/a\"\n\t\"google.golang.org/grpc\"\n\t\"os\"\n)\n\nvar _ = os.Args[a.A:grpc.B]\n",
			"package p\n\nimport (\n\t\"os\"\n\n\t\"google.golang.org/grpc\"\n\n\t\"example.com/shop/a\"\n)\n\nvar _ = os.Args[a.A:grpc.B]\n",
		},
		"a package that is asked for is imported": {
			"package p\n\nvar _ %s.Event\n",
			"package p\n\nimport \"example.com/shop/gen/context\"\n\nvar _ context.Event\n",
		},
		"under another name if its own is an import's": {
			"package p\n\nimport \"context\"\n\nfunc f(context.Context, %s.Event)\n",
			"package p\n\nimport (\n\t\"context\"\n\n\tcontext2 \"example.com/shop/gen/context\"\n)\n\nfunc f(context.Context, context2.Event)\n",
		},
		"under another name if its own is a variable's": {
			"package p\n\nfunc f(context int) %s.Event\n",
			"package p\n\nimport context2 \"example.com/shop/gen/context\"\n\nfunc f(context int) context2.Event\n",
		},
		"under its own if that is but a method's": {
			"package p\n\nvar _ %s.Event = x.context()\n",
			"package p\n\nimport \"example.com/shop/gen/context\"\n\nvar _ context.Event = x.context()\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			im := &imports{module: "example.com/shop"}
			source := test.source
			if strings.Contains(source, "%s") {
				source = strings.ReplaceAll(source, "%s", im.use(own))
			}
			got, err := im.finish([]byte(source))
			if err != nil || string(got) != test.want {
				t.Errorf("it becomes (%v)\n%s\nwant\n%s", err, got, test.want)
			}
		})
	}
}

func TestComment(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		" one line ":                "// one line",
		"two\nlines":                "// two\n// lines",
		"a\n\nb":                    "// a\n//\n// b",
		"go:embed secret":           "// go:embed secret",
		"code:\n\tx := 1":           "// code:\n//\n//\tx := 1",
		strings.Repeat("word ", 20): "// word word word word word word word word word word word word word word word\n// word word word word word",
	} {
		if got := comment(text); got != want {
			t.Errorf("the comment of %q is\n%s\nwant\n%s", text, got, want)
		}
	}
}

// TestTemplatesAreDeclaredAsTheReadmeSays: what is ours and what is yours.
func TestTemplatesSayWhoseTheyAre(t *testing.T) {
	tree, err := Parse(templates.Files)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range tree.templates {
		want := keep.Ours
		if strings.Contains(one.name, "/internal/") || strings.HasSuffix(one.pattern, "/main.go") {
			want = keep.Yours
		}
		if one.owner != want {
			t.Errorf("what %s makes is %s, want %s", one.name, one.owner, want)
		}
	}
}

func TestWrongTemplatesAreNamed(t *testing.T) {
	app := &model.App{Module: model.Module{Path: "example.com/shop"}}
	for name, test := range map[string]struct{ path, text, want string }{
		"no scope":            {"readme.tmpl", "", "template readme.tmpl: want it in a folder"},
		"unknown scope":       {"file/readme.tmpl", "", "template file/readme.tmpl: want it in a folder"},
		"no template":         {"module/x.tmpl", "a\n{{if}}", "module/x.tmpl:2"},
		"unknown function":    {"module/x.tmpl", `{{env "HOME"}}`, `module/x.tmpl:1: function "env" not defined`},
		"unknown placeholder": {"module/{event}.md.tmpl", "", "template module/{event}.md.tmpl: there is no {event} for module example.com/shop"},
		"unknown field":       {"module/x.md.tmpl", "a\n{{.Colour}}", "module example.com/shop: template: module/x.md.tmpl:2:2"},
		"no Go":               {"module/x.go.tmpl", "{{/* gofmt */}}package x\n\nfunc {", "template module/x.go.tmpl for module example.com/shop makes no Go: 3:6"},
	} {
		t.Run(name, func(t *testing.T) {
			tree, err := Parse(fstest.MapFS{test.path: {Data: []byte(test.text)}})
			var outputs []keep.Output
			if err == nil {
				outputs, err = tree.Outputs(app)
			}
			for _, output := range outputs {
				_, err = output.Render()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want %q in it", err, test.want)
			}
		})
	}
}
