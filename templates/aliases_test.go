package templates_test

import (
	"io/fs"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/templates"
)

// TestAliasesListTheFieldsOfTheirTypes: go doc shows of an alias only the name of
// the internal type that it is for, so its comment lists the fields.
func TestAliasesListTheFieldsOfTheirTypes(t *testing.T) {
	for alias, test := range map[string]struct {
		template string
		of       reflect.Type
	}{
		"From":    {"package/{gen}/{base}events/log.events.go.tmpl", reflect.TypeFor[eventlog.From]()},
		"Receipt": {"package/{gen}/{base}events/log.events.go.tmpl", reflect.TypeFor[eventlog.Receipt]()},
		"Stored":  {"package/{gen}/{base}events/log.events.go.tmpl", reflect.TypeFor[eventlog.Stored[*emptypb.Empty]]()},
		"Service": {"package/{gen}/{base}server/server.go.tmpl", reflect.TypeFor[server.Service]()},
	} {
		text, err := fs.ReadFile(templates.Files, test.template)
		if err != nil {
			t.Fatal(err)
		}
		listed := fieldsInComment(string(text), alias)
		want := fields(test.of)
		if len(want) == 0 {
			continue // an opaque type
		}
		if !reflect.DeepEqual(listed, want) {
			t.Errorf("%s: the comment of %s lists the fields %v, want %v", test.template, alias, listed, want)
		}
	}
}

// fieldsInComment returns the fields that the comment of an alias lists, by name,
// with their types.
func fieldsInComment(text, alias string) map[string]string {
	listed := map[string]string{}
	before, _, _ := strings.Cut(text, "\ntype "+alias)
	lines := strings.Split(before, "\n")
	for i := len(lines) - 1; strings.HasPrefix(lines[i], "//"); i-- {
		if field := regexp.MustCompile(`^//\t(\w+) +(\S.*?) +// `).FindStringSubmatch(lines[i]); field != nil {
			listed[field[1]] = field[2]
		}
	}
	return listed
}

// fields returns the exported fields of a struct, those of embedded structs
// included, with their types as a generated package spells them.
func fields(of reflect.Type) map[string]string {
	spelled := strings.NewReplacer("eventlog.", "", "*emptypb.Empty", "M", "[]uint8", "[]byte", "interface {}", "any", "protoreflect.ProtoMessage", "proto.Message")
	all := map[string]string{}
	for _, field := range reflect.VisibleFields(of) {
		if field.IsExported() && !field.Anonymous {
			all[field.Name] = spelled.Replace(field.Type.String())
		}
	}
	return all
}
