package operate

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// schemaLine is a version of a schema as it is printed.
type schemaLine struct {
	Schema  string `json:"dataschema"`
	Version string `json:"schemaversion,omitempty"` // none: it is not known what the message was
	Assumed bool   `json:"assumed,omitempty"`       // some events were stored before the log kept versions
}

// schemaUse is which events have a version.
type schemaUse struct {
	schemaLine
	Events int64             `json:"events"`
	First  eventlog.Position `json:"first"`
	Last   eventlog.Position `json:"last"`
}

// listSchemas reads all events: that some have a version is all that a log keeps of it.
func listSchemas(*flag.FlagSet) action {
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		used := map[[2]string]*schemaUse{}
		for record, err := range log.Read(ctx, eventlog.From{}) {
			if err != nil {
				return err
			}
			key := [2]string{record.Schema, record.Version}
			if used[key] == nil {
				used[key] = &schemaUse{schemaLine: schemaLine{Schema: record.Schema, Version: record.Version}, First: record.Position}
			}
			used[key].Events++
			used[key].Last = record.Position
		}
		schemas, err := eventlog.Schemas(ctx, log)
		if err != nil {
			return err
		}
		for _, use := range used {
			use.Assumed = slices.ContainsFunc(schemas, func(s eventlog.Schema) bool { return s.Version == use.Version && s.Assumed })
		}
		byName := func(a, b *schemaUse) int {
			return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.First, b.First))
		}
		for _, use := range slices.SortedFunc(maps.Values(used), byName) {
			if err := print(use); err != nil {
				return err
			}
		}
		return nil
	}
}

// errNoSchemas is the error of a log that is not a [eventlog.SchemaLog], such as a file that
// export has written, which has messages as JSON by the names of their fields.
var errNoSchemas = errors.New("this log keeps no schemas: nothing in it says what its messages were when they were stored; ask the log that its events come from")

func keepsSchemas(log eventlog.Log) bool {
	_, ok := log.(eventlog.SchemaLog)
	return ok
}

// exportSchema writes a google.protobuf.FileDescriptorSet.
func exportSchema(flags *flag.FlagSet) action {
	version := flags.String("version", "", "the `version`, as schemas list prints it")
	to := flags.String("to", "", "the `file` to write, such as schema.binpb; it is replaced")
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		if *version == "" || *to == "" {
			return errors.New("say which version to write, and where, with --version and --to")
		}
		if !keepsSchemas(log) {
			return errNoSchemas
		}
		schemas, err := eventlog.Schemas(ctx, log)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(schemas, func(s eventlog.Schema) bool { return s.Version == *version })
		if at < 0 {
			return fmt.Errorf("the log has no version %q: schemas list prints those there are", *version)
		}
		files, err := proto.Marshal(schemas[at].Files)
		if err != nil {
			return err
		}
		err = replaceFile(*to, func(to *bufio.Writer) error {
			_, err := to.Write(files)
			return err
		})
		if err != nil {
			return err
		}
		return print(struct {
			File   string `json:"file"`
			Schema string `json:"dataschema"`
		}{*to, schemas[at].Name})
	}
}
