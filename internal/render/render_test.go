package render

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/sprig/v3"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/templates"
)

func TestImportsAreWhatTheFileUses(t *testing.T) {
	own := model.GoPackage{Path: "example.com/shop/gen/context", Name: "context"}
	for name, test := range map[string]struct {
		source string // %s is the name of the package own
		want   string
	}{
		"unused ones are dropped": {
			"package p\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nvar _ = os.Args\n",
			"package p\n\nimport \"os\"\n\nvar _ = os.Args\n",
		},
		"all may be dropped": {
			"package p\n\nimport \"os\"\n\nvar os = 1\n",
			"package p\n\nvar os = 1\n",
		},
		"those are kept whose names are not known": {
			"package p\n\nimport (\n\t. \"fmt\"\n\t\"github.com/mattn/go-isatty/v2\"\n\t\"gopkg.in/yaml.v3\"\n\t_ \"embed\"\n)\n",
			"package p\n\nimport (\n\t_ \"embed\"\n\t. \"fmt\"\n\n\t\"github.com/mattn/go-isatty/v2\"\n\t\"gopkg.in/yaml.v3\"\n)\n",
		},
		"they are grouped": {
			"package p\n\nimport (\n\t\"example.com/shop/a\"\n\t\"google.golang.org/grpc\"\n\t\"os\"\n)\n\nvar _ = os.Args[a.A:grpc.B]\n",
			"package p\n\nimport (\n\t\"os\"\n\n\t\"google.golang.org/grpc\"\n\n\t\"example.com/shop/a\"\n)\n\nvar _ = os.Args[a.A:grpc.B]\n",
		},
		"a package that is asked for is imported": {
			"package p\n\nvar _ %s.Event\n",
			"package p\n\nimport \"example.com/shop/gen/context\"\n\nvar _ context.Event\n",
		},
		"by another name if an import has its own": {
			"package p\n\nimport \"context\"\n\nfunc f(context.Context, %s.Event)\n",
			"package p\n\nimport (\n\t\"context\"\n\n\tcontext2 \"example.com/shop/gen/context\"\n)\n\nfunc f(context.Context, context2.Event)\n",
		},
		"by another name if a variable has its own": {
			"package p\n\nfunc f(context int) %s.Event\n",
			"package p\n\nimport context2 \"example.com/shop/gen/context\"\n\nfunc f(context int) context2.Event\n",
		},
		"by its own name if only a method has it": {
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
		strings.Repeat("word ", 16) + "\nand the rest\nof it": "// word word word word word word word word word word word word word word word\n// word and the rest\n// of it",
		strings.Repeat("word ", 15) + "end.\nAnother":         "// word word word word word word word word word word word word word word word\n// end.\n// Another",
		strings.Repeat("word ", 16) + "\n- an item":           "// word word word word word word word word word word word word word word word\n// word\n// - an item",
		strings.Repeat("word ", 16) + "\n\nand more":          "// word word word word word word word word word word word word word word word\n// word\n//\n// and more",
	} {
		if got := comment(text); got != want {
			t.Errorf("the comment of %q is\n%s\nwant\n%s", text, got, want)
		}
	}
}

// TestOwnersOfTemplates checks that the templates make files of the owners that the
// README names.
func TestOwnersOfTemplates(t *testing.T) {
	for _, one := range parsed(t, builtIn(t), nil) {
		want := keep.Ours
		if strings.Contains(one.file.Name, "/internal/{path}/") || strings.HasSuffix(one.pattern, "/main.go") || strings.HasSuffix(one.pattern, "/main_test.go") ||
			strings.HasPrefix(one.pattern, "deploy/") || one.scope.Name == "project" {
			want = keep.Yours
		}
		if one.owner != want {
			t.Errorf("what %s makes is %s, want %s", one.file.Name, one.owner, want)
		}
	}
}

func builtIn(t *testing.T) []File {
	t.Helper()
	files, err := Embedded(templates.Files)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// parsed returns the templates of a tree.
func parsed(t *testing.T, ours, overrides []File) (all []*source) {
	t.Helper()
	tree, err := Parse(ours, overrides)
	if err != nil {
		t.Fatal(err)
	}
	for _, scope := range model.Scopes {
		for _, target := range tree.targets[scope.Name] {
			all = append(all, target.sources...)
		}
	}
	return all
}

// TestActionsInBrackets checks that a template may have braces as text, and that its
// errors have the right line.
func TestActionsInBrackets(t *testing.T) {
	program := &model.Program{Name: "shop"}
	parse := func(text string) (*source, error) {
		tree, err := Parse([]File{{Name: "program/{app}.yaml.tmpl", At: "a.tmpl", Text: text}}, nil)
		if err != nil {
			return nil, err
		}
		return tree.targets["program"][0].sources[0], nil
	}
	one, err := parse("{{/* [[ ]] */}}\n[[.Name]]: {{ $labels.need }}\n")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := one.render("example.com/shop", program, "shop.yaml"); string(got) != "shop: {{ $labels.need }}\n" {
		t.Errorf("it makes (%v) %q", err, got)
	}
	if _, err := parse("{{/* [[ ]] */}}\n[[.Name | now]]\n"); err == nil || !strings.HasPrefix(err.Error(), "a.tmpl:2: ") {
		t.Errorf("the error of a function that there is not is %v", err)
	}
	if one, err = parse("{{/* [[ ]] */}}\n"); err != nil || !one.none {
		t.Errorf("a template with nothing else makes a file (%v)", err)
	}
}

// TestOverridesTakePrecedence checks which of the templates for a path makes the file
// of an element with events, and of one without.
func TestOverridesTakePrecedence(t *testing.T) {
	const path = "program/cmd/{app}/main"
	all, events, plain := path+".go.tmpl", path+".events.go.tmpl", path+".plain.go.tmpl"
	for name, test := range map[string]struct {
		ours, overrides []string
		events, without string
	}{
		"ours alone":                {[]string{all}, nil, "our " + all, "our " + all},
		"ours by variant":           {[]string{events, plain}, nil, "our " + events, "our " + plain},
		"same path":                 {[]string{events, plain}, []string{events}, "user's " + events, "our " + plain},
		"without variants":          {[]string{events, plain}, []string{all}, "user's " + all, "user's " + all},
		"a variant of ours for all": {[]string{all}, []string{plain}, "our " + all, "user's " + plain},
		"a variant and all others":  {[]string{events, plain}, []string{all, plain}, "user's " + all, "user's " + plain},
		"a new path":                {nil, []string{plain}, "", "user's " + plain},
		"dropped":                   {[]string{events, plain}, []string{all + " empty"}, "", ""},
		"dropped for some":          {[]string{all}, []string{plain + " empty"}, "our " + all, ""},
	} {
		t.Run(name, func(t *testing.T) {
			files := func(names []string, whose string, override bool) (all []File) {
				for _, name := range names {
					name, empty := strings.CutSuffix(name, " empty")
					text := "package main"
					if empty {
						text = "{{/* not wanted */}}\n"
					}
					all = append(all, File{Name: name, At: whose + " " + name, Text: text, override: override})
				}
				return all
			}
			tree, err := Parse(files(test.ours, "our", false), files(test.overrides, "user's", true))
			if err != nil {
				t.Fatal(err)
			}
			withEvents := &model.Program{Name: "shop", Packages: []*model.Package{{EventTypes: []*model.Event{{}}}}}
			for program, want := range map[*model.Program]string{withEvents: test.events, {Name: "shop"}: test.without} {
				got := ""
				if one := tree.targets["program"][0].source(program); one != nil {
					got = one.file.At
				}
				if got != want {
					t.Errorf("with the variant %s it is made by %q, want %q", program.Variant(true), got, want)
				}
			}
		})
	}
}

func TestErrorsNameTheTemplate(t *testing.T) {
	module := &model.Module{Path: "example.com/shop"}
	for name, test := range map[string]struct{ path, text, want string }{
		"no scope":            {"readme.tmpl", "", "overrides/readme.tmpl: want its first folder to be its scope, one of module"},
		"unknown scope":       {"file/readme.tmpl", "", "overrides/file/readme.tmpl: want its first folder to be its scope, one of module"},
		"no name":             {"module/docs/.tmpl", "", "overrides/module/docs/.tmpl: want the name of the file that it makes before .tmpl"},
		"a name of dots":      {"module/...tmpl", "", "overrides/module/...tmpl: want the name of the file that it makes before .tmpl"},
		"no template":         {"module/x.tmpl", "a\n{{if}}", "overrides/module/x.tmpl:2: missing value for if"},
		"unknown placeholder": {"module/{event}.md.tmpl", "", "overrides/module/{event}.md.tmpl: there is no {event} in the path of module templates: they have no placeholders"},
		"open brace":          {"module/{event.md.tmpl", "", "is not closed"},
		"foreign variant":     {"module/x.unary.md.tmpl", "", "overrides/module/x.unary.md.tmpl: .unary is not a variant of module templates: they have events, plain"},
		"variant of none":     {"event/{event}.plain.md.tmpl", "", ".plain is not a variant of event templates: they have none"},
		"unknown field":       {"module/x.md.tmpl", "a\n{{.Colour}}", "overrides/module/x.md.tmpl:2:3: for module example.com/shop: <.Colour>: Module has no Colour. It has Copied, Engines, EventCommands, EventTypes,"},
		"nearly a field":      {"module/x.md.tmpl", "{{.Pth}}", "Module has no Pth, did you mean Path? It has"},
		"no Go":               {"module/x.go.tmpl", "package x\n\nfunc {", "overrides/module/x.go.tmpl: for module example.com/shop: what it makes is not Go: expected 'IDENT', found '{', in its line 3:\n\tfunc {"},
		"a marker by chance":  {"module/x.sql.tmpl", "-- Code generated by protoc-gen-receiver. DO NOT EDIT.", "overrides/module/x.sql.tmpl:1: the marker must be a comment"},
		"a marker at times":   {"module/x.yaml.tmpl", "{{if .Packages}}\n# Code generated by protoc-gen-receiver. DO NOT EDIT.\n{{end}}a: 1", "the template has the marker, but the file that it makes does not"},
		"git's own":           {"module/.Git/hooks/x.tmpl", "a", ".Git/hooks/x belongs to git"},
		"the runtime's":       {"module/internal/receiver-runtime/x.go.tmpl", "package x", "is where the runtime is copied to"},
		"a name of Windows":   {"module/aux.md.tmpl", "a", "a Go module can't contain this path"},
	} {
		t.Run(name, func(t *testing.T) {
			err := renderAll(module, File{Name: test.path, At: "overrides/" + test.path, Text: test.text, override: true})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want %q in it", err, test.want)
			}
		})
	}
}

// renderAll renders what templates make for a module.
func renderAll(module *model.Module, overrides ...File) error {
	tree, err := Parse(nil, overrides)
	if err != nil {
		return err
	}
	outputs, err := tree.Outputs(module)
	errs := []error{err}
	for _, output := range outputs {
		_, err := output.Render()
		errs = append(errs, err)
	}
	return Together(errors.Join(errs...))
}

func TestPathsThatClash(t *testing.T) {
	for name, test := range map[string]struct{ one, other, want string }{
		"the same": {"module/docs/x.md", "module/docs/x.events.md", ""},
		"by case":  {"module/docs/x.md", "module/Docs/X.md", "docs/x.md, which is made by"},
		"a folder": {"module/docs/x.md", "module/docs", "is made by"},
		"below it": {"module/docs", "module/docs/x.md", "which is made by"},
		"beside":   {"module/docs/x.md", "module/docs/y.md", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var overrides []File
			for _, name := range []string{test.one, test.other} {
				overrides = append(overrides, File{Name: name + ending, At: name, Text: "a", override: true})
			}
			err := renderAll(&model.Module{Path: "example.com/shop"}, overrides...)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("the error is %v, want %q in it", err, test.want)
			}
		})
	}
}

// TestErrorsOfUndefinedFunctions checks that the error for a function that templates
// don't have says why, or what was meant.
func TestErrorsOfUndefinedFunctions(t *testing.T) {
	for name, want := range map[string]string{
		"env":           "another machine",
		"now":           "depends on the time",
		"dateInZone":    "depends on the time",
		"uuidv4":        "on every run",
		"genPrivateKey": "on every run",
		"keys":          "a map",
		"camelcase":     "names",
		"osBase":        "as the machine does",
		"mustToJson":    "without must",
		"hello":         "don't need",
		"uper":          "did you mean upper?",
		"prntf":         "did you mean printf?",
		"wholly":        `templates have no function "wholly" (`,
	} {
		err := renderAll(&model.Module{}, File{Name: "module/x.tmpl", At: "x.tmpl", Text: "{{" + name + "}}"})
		if err == nil || !strings.HasPrefix(err.Error(), "x.tmpl:1: ") || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), manual) {
			t.Errorf("the error of %s is %v, want %q in it", name, err, want)
		}
	}
}

// TestSprigHasTheFunctions checks that sprig has those that are allowed and those that
// are excluded, and that none is both.
func TestSprigHasTheFunctions(t *testing.T) {
	has := sprig.TxtFuncMap()
	for _, f := range fromSprig {
		if has[cmp.Or(f.must, f.Name)] == nil {
			t.Errorf("sprig has no %s", f.Name)
		}
		if !strings.Contains(noSuchFunction(f.Name), "don't need") {
			t.Errorf("%s is both allowed and excluded: %s", f.Name, noSuchFunction(f.Name))
		}
	}
	for _, r := range excluded {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(has)), regexp.MustCompile(`^(`+r.names+`)$`).MatchString) {
			t.Errorf("sprig has none of %s", r.names)
		}
	}
}

// TestNoAddressIsEverPrinted checks that whatever a template prints of the model is
// the same in every run. So each type must have a method String; the structs without
// one have only fields that have it.
func TestNoAddressIsEverPrinted(t *testing.T) {
	for name, of := range typesOf(model.Scopes) {
		if !reflect.PointerTo(of).Implements(reflect.TypeFor[fmt.Stringer]()) && name != "Reply" && name != "From" {
			t.Errorf("%s has no method String", name)
		}
	}
}

func TestTheSameErrorOfManyElementsIsReportedOnce(t *testing.T) {
	module := &model.Module{Path: "example.com/shop"}
	for _, name := range []string{"a", "b", "c"} {
		module.Programs = append(module.Programs, &model.Program{Module: module, Name: name})
	}
	err := renderAll(module, File{Name: "program/{app}.md.tmpl", At: "x.tmpl", Text: "{{.Colour}}"})
	want := "x.tmpl:1:3: for program a, and 2 more: <.Colour>: "
	if got := err.Error(); !strings.HasPrefix(got, want) || strings.Contains(got, "\n") {
		t.Errorf("the error is\n%s\nwant one line that begins %q", got, want)
	}
}
