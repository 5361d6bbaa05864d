package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/guard"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate" // for its subcommand
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/rejected"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

var update = flag.Bool("update", false, "rewrite docs/reference.md by what is in the code")

// TestReference: what docs/reference.md lists is what the code checks.
func TestReference(t *testing.T) {
	const at = "../../docs/reference.md"
	want := reference()
	if *update {
		if err := os.WriteFile(at, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(at); err != nil || string(got) != want {
		t.Errorf("docs/reference.md is not what the code says (%v): go test ./cmd/protoc-gen-receiver -run Reference -update rewrites it", err)
	}
}

// reference returns the text of docs/reference.md.
func reference() string {
	var text strings.Builder
	text.WriteString(`<!-- Made from the code by make generate. Do not edit. -->
# Reference

Everything that protoc-gen-receiver takes and reads: [commands](#commands), [options](#options), the [flags of a server](#flags-of-a-server),
[comments](#comments) in protos, the names of fields that have [roles](#roles-of-an-events-fields), [exit codes](#exit-codes) and the
[environment](#environment).

## Commands

`)
	root := rootCommand(env{})
	fence(&text, helpOf(root))
	for _, command := range root.Commands() {
		if command.Runnable() && !command.Hidden {
			fmt.Fprintf(&text, "\n### %s\n\n", command.Name())
			fence(&text, helpOf(command))
		}
	}
	referenceOfOptions(&text)
	referenceOfServers(&text)
	referenceOfProtos(&text)
	referenceOfProcesses(&text)
	return text.String()
}

func referenceOfOptions(text *strings.Builder) {
	text.WriteString("\n## Options\n\n" + "Give them as `--receiver_opt=NAME=VALUE` to protoc and to `generate`, or under `opt:` in buf.gen.yaml, on every run. " +
		"Where values\nare listed, the first is the default.\n\n")
	var rows [][]string
	for _, option := range plugin.OptionUsages() {
		rows = append(rows, []string{code(option.Usage), option.Doc})
	}
	table(text, []string{"option", "what it does"}, rows)
}

// referenceOfServers prints the help of a generated server.
func referenceOfServers(text *strings.Builder) {
	text.WriteString("\n## Flags of a server\n\nThey are those of each generated server. Those under \"This program\" come from its main, which is yours.\n[Configuration](configuration.md) has the other ways to give them.\n\n")
	var help strings.Builder
	if _, err := server.Parse("receiver-server", []string{"--help"}, func(string) string { return "" }, &help,
		new(guard.Config).Flags, new(rejected.Config).Flags); !errors.Is(err, flag.ErrHelp) {
		panic(err)
	}
	fence(text, strings.ReplaceAll(help.String(), "\t", "  "))
}

// referenceOfProtos lists what is read in protos.
func referenceOfProtos(text *strings.Builder) {
	text.WriteString(`
## Comments

Write one on a line of its own directly above what it is about, or after a field on its line; several may share a line. For protos of
others write them [in a file](protos.md#protos-of-others).
`)
	messages, fields, rpcs := model.Comments()
	for _, part := range []struct {
		title    string
		comments []model.Comment
	}{{"Above a message", messages}, {"Above a field, or after it", fields}, {"Above an RPC", rpcs}} {
		fmt.Fprintf(text, "\n### %s\n\n", part.title)
		var rows [][]string
		for _, comment := range part.comments {
			written := code("// receiver:" + comment.Text)
			same := slices.IndexFunc(rows, func(row []string) bool { return row[1] == comment.Doc })
			if same >= 0 {
				rows[same][0] += ", " + written
				continue
			}
			rows = append(rows, []string{written, comment.Doc})
		}
		table(text, []string{"comment", "what it says"}, rows)
	}
	text.WriteString(`
## Roles of an event's fields

A comment gives a role, or else the name of a field does: the first of these that has the right type. In a message whose name is
` + "`Event`" + ` or ends so, and that is an event by its names, there are a type and at least one of source, subject and time. Where the name
of the RPC has one of the words ` + strings.Join(model.ReportVerbs(), ", ") + `, a Timestamp or an enum for the type is enough.

`)
	roles(text, model.EventRoles())
	text.WriteString("\n## Fields of a reply\n\nSkeletons fill them in, also optional ones.\n\n")
	roles(text, model.ReplyRoles())
	text.WriteString("\n## Fields of a tail's request\n\nThey say where a tail begins.\n\n")
	roles(text, model.TailRoles())
}

// roles prints a table of the names and types of fields.
func roles(text *strings.Builder, all []model.Naming) {
	var rows [][]string
	commented := false
	for _, role := range all {
		var names []string
		for _, name := range role.Names {
			names = append(names, code(name))
		}
		byComment := role.ByComment
		if byComment == role.ByName {
			byComment = "the same"
		}
		rows = append(rows, []string{role.Role, strings.Join(names, ", "), role.ByName, byComment})
		commented = commented || role.ByComment != ""
	}
	head := []string{"role", "names", "what it must be by name", "by comment"}
	if !commented {
		head = head[:3]
	}
	table(text, head, rows)
}

// referenceOfProcesses lists what processes end with and read.
func referenceOfProcesses(text *strings.Builder) {
	text.WriteString("\n## Exit codes\n\n")
	var rows [][]string
	for _, row := range exitCodes {
		rows = append(rows, []string{program, row[0], row[1]})
	}
	for _, row := range generatedExitCodes {
		rows = append(rows, row[:])
	}
	table(text, []string{"program", "code", "when"}, rows)
	text.WriteString("\nAs a plugin, " + program + ` answers what is wrong with protos or options with an error in its response, and 0: protoc and buf print
it, and end with a code of theirs.

## Environment

`)
	rows = nil
	for _, row := range variables {
		rows = append(rows, []string{program, code(row[0]), strings.ReplaceAll(row[1], "\n", " ")})
	}
	for _, row := range generatedVariables {
		rows = append(rows, row[:])
	}
	table(text, []string{"program", "variable", "what it does"}, rows)
}

// What can't be derived from the code of the generated programs: package command
// and the template of a server's main decide it.
var (
	generatedExitCodes = [][3]string{
		{"`{app}-server`", "0", "a signal stopped it, and calls and the log have ended well; or it printed help, its configuration, or what `events` or `keys` was asked for"},
		{"`{app}-server`", "1", "it did not start, a part of it failed, or the log could not be closed; the command line is wrong"},
		{"`{app}-client`", "0", "the server answered, or help was printed; a signal ended a call with many replies that had begun"},
		{"`{app}-client`", "1", "the call failed or was interrupted, or could not be made; the command line is wrong"},
	}
	generatedVariables = [][3]string{
		{"`{app}-server`", "`{APP}_SERVER_{FLAG}`", "sets a flag that the command line does not: `--drain-timeout` by `RECEIVER_SERVER_DRAIN_TIMEOUT`"},
		{"`{app}-server`", "`{APP}_SERVER_{FLAG}_FILE`", "names a file with the value of a flag"},
		{"`{app}-client`", "`{APP}_CLIENT_ADDR`", "the address of the server, where `--addr` is not given"},
		{"`{app}-client`", "`{APP}_CLIENT_TOKEN_FILE`", "the file of the token, where `--token-file` is not given"},
	}
)

func fence(text *strings.Builder, body string) {
	fmt.Fprintf(text, "```text\n%s```\n", body)
}

// code returns a word as code in a table.
func code(word string) string { return "`" + strings.ReplaceAll(word, "|", `\|`) + "`" }

func table(text *strings.Builder, head []string, rows [][]string) {
	fmt.Fprintf(text, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, row := range rows {
		fmt.Fprintf(text, "| %s |\n", strings.Join(row[:len(head)], " | "))
	}
}
