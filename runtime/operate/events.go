// Package operate is what an operator does with a server's events, also beside
// the running server.
package operate

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Events runs the subcommand of a server that args name: "replay" prints the
// stored events, a line of JSON each. The log is the one that the server itself
// would open. The error is [flag.ErrHelp] if help was asked for.
func Events(ctx context.Context, program string, args []string, getenv func(string) string, out io.Writer) error {
	flags := flag.NewFlagSet(program+" events replay", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	url := flags.String("events", server.Defaults(program).Events, "`URL` of the event log")
	after := flags.Int64("after", 0, "print what stands behind this `position`")
	if len(args) == 0 || args[0] != "replay" {
		return fmt.Errorf("want: %s events replay [flags]", program)
	}
	if err := server.FromEnvironment(flags, program, getenv); err != nil {
		return err
	}
	if err := flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(out, "Usage: %s events replay [flags]\n\nPrints the stored events, a line of JSON each.\n\nFlags:\n", program)
			flags.SetOutput(out)
			flags.PrintDefaults()
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	log, err := eventlog.OpenReader(ctx, *url)
	if err != nil {
		return err
	}
	return errors.Join(replay(ctx, log, eventlog.Position(*after), out), log.Close())
}

func replay(ctx context.Context, log eventlog.Log, after eventlog.Position, out io.Writer) error {
	buffered := bufio.NewWriter(out)
	lines := json.NewEncoder(buffered)
	lines.SetEscapeHTML(false)
	for record, err := range log.Read(ctx, eventlog.After(after)) {
		if err != nil {
			return errors.Join(err, buffered.Flush())
		}
		if err := lines.Encode(lineOf(record)); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

// line is a stored event as it is printed: the attributes of a CloudEvent in
// JSON (CloudEvents JSON format 1.0), and where and when it was stored.
type line struct {
	Position     eventlog.Position `json:"position"`
	Recorded     time.Time         `json:"recordedtime"`
	ID           string            `json:"id"`
	Source       string            `json:"source"`
	Type         string            `json:"type"`
	Subject      string            `json:"subject,omitempty"`
	Time         time.Time         `json:"time"`
	Schema       string            `json:"dataschema"`
	Data         json.RawMessage   `json:"data,omitempty"`
	DataInBase64 string            `json:"data_base64,omitempty"`
}

func lineOf(record eventlog.Record) line {
	l := line{
		Position: record.Position,
		Recorded: record.Recorded,
		ID:       record.ID,
		Source:   record.Source,
		Type:     record.Type,
		Subject:  record.Subject,
		Time:     record.Time.UTC(),
		Schema:   record.Schema,
	}
	data, err := inJSON(record)
	if err != nil {
		l.DataInBase64 = base64.StdEncoding.EncodeToString(record.Data)
		return l
	}
	l.Data = data
	return l
}

// inJSON is the message of an event in JSON, if this program knows its type.
func inJSON(record eventlog.Record) (json.RawMessage, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(record.Schema))
	if err != nil {
		return nil, err
	}
	message := kind.New().Interface()
	if err := proto.Unmarshal(record.Data, message); err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
}
