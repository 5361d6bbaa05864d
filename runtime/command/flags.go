package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// Flag sets a field of the request. The type of the field says what it takes:
//
//   - A number, a string or an enum's name or number is given as it is, a bool
//     too, and alone the flag means true: --on, --on=false. Bytes are base64.
//     Given twice, the last one holds.
//   - A message is its protobuf JSON, once. The quotes may be left out where
//     that JSON is a string: --when 2026-01-02T15:04:05Z. A text that starts
//     with a quote is JSON.
//   - A repeated field takes one element at a time: --tag a --tag b.
//   - A map takes a JSON object, and any number of them are merged.
//
// A field whose flag is given is set, also to its zero value. Of a oneof, one
// flag may be given. What is wrong with a JSON text is told with line and
// column, both counted from 1, the column in characters.
type Flag struct {
	Name  string // no general flag's (see below), and no other Flag's of its command
	Field string // the field's name in the proto
	Doc   string // may be empty, and may have several lines
}

// general are the names of the flags that a command has of its own, in the
// order in which help shows them.
func (c Command) general() []string {
	if c.Event {
		return []string{"addr", "timeout", "json", "event-id", "insecure", "ca"}
	}
	return []string{"addr", "timeout", "json", "insecure", "ca"}
}

// parsed is a command line as understood.
type parsed struct {
	help     bool // was asked for, and all else was left unread
	addr     string
	timeout  time.Duration
	bounded  bool // whether the timeout is for all of the call, rather than for opening it
	json     bool
	eventID  string
	insecure bool
	ca       string
	request  proto.Message // nil if requests are to be read from the standard input
}

// define adds the general flags of a command to a set.
func (p *parsed) define(set *flag.FlagSet, env Env, c Command) {
	variable := addrVariable(env.Program)
	addr := env.Getenv(variable)
	if addr == "" {
		addr = "localhost:50051"
	}
	set.StringVar(&p.addr, "addr", addr, "`HOST:PORT` where the server is (default $"+variable+", or else localhost:50051)")
	bounds, prints := "`DURATION` that connecting and the call may take together (default 10s)", "print the reply as JSON, in one line"
	if c.Call.manyReplies {
		bounds = "`DURATION` that connecting and the call may take together (default 10s for connecting, no limit for the call)"
		prints = "print each reply as JSON, in one line"
	}
	set.DurationVar(&p.timeout, "timeout", 10*time.Second, bounds)
	set.BoolVar(&p.json, "json", false, prints)
	if c.Event {
		set.StringVar(&p.eventID, "event-id", "", "`ID` under which the event is stored once, however often it is sent (default a new one)")
	}
	set.BoolVar(&p.insecure, "insecure", false, "speak unencrypted also to another machine")
	set.StringVar(&p.ca, "ca", "", "`FILE` of PEM certificates to check the server's against, in place of the system's")
}

// addrVariable is the environment variable that stands in for --addr:
// RECEIVER_CLIENT_ADDR for receiver-client.
func addrVariable(program string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return '_'
	}, program) + "_ADDR"
}

func (p *parsed) check() error {
	switch {
	case p.timeout <= 0:
		return fmt.Errorf("--timeout: %s is no time to wait", p.timeout)
	case p.insecure && p.ca != "":
		return errors.New("--insecure and --ca contradict each other")
	}
	return nil
}

func (p *parsed) context(ctx context.Context) context.Context {
	if p.eventID == "" {
		return ctx
	}
	return client.WithEventID(ctx, p.eventID)
}

func (p *parsed) options() []client.Option {
	switch {
	case p.insecure:
		return []client.Option{client.Insecure()}
	case p.ca != "":
		return []client.Option{client.RootCAs(p.ca)}
	}
	return nil
}

// parse reads a command line.
func (c Command) parse(env Env, args []string) (*parsed, error) {
	fields, err := c.fields()
	if err != nil {
		return nil, err
	}
	p := &parsed{bounded: !c.Call.manyReplies}
	set := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	p.define(set, env, c)
	given := make(map[string][]string) // by flag, what it was given, in order
	for i, f := range c.Flags {
		define := set.Func
		if fields[i].Kind() == protoreflect.BoolKind {
			define = set.BoolFunc
		}
		define(f.Name, "", func(text string) error {
			given[f.Name] = append(given[f.Name], text)
			return nil
		})
	}
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return &parsed{help: true}, nil
	case err != nil:
		return nil, c.misused(env, err)
	case set.NArg() > 0:
		return nil, c.misused(env, stray(set.Arg(0)))
	}
	if err := p.check(); err != nil {
		return nil, c.misused(env, err)
	}
	set.Visit(func(f *flag.Flag) { p.bounded = p.bounded || f.Name == "timeout" })
	if c.Call.manyRequests && len(given) == 0 {
		return p, nil
	}
	p.request = c.Call.request()
	if err := c.fill(p.request.ProtoReflect(), fields, given); err != nil {
		return nil, err
	}
	return p, nil
}

func (c Command) misused(env Env, err error) error {
	return fmt.Errorf("%w (run '%s help %s')", err, env.Program, c.Name)
}

func stray(arg string) error {
	if arg == "true" || arg == "false" {
		return fmt.Errorf("%q belongs to no flag; a bool takes its value as in --name=%s", arg, arg)
	}
	return fmt.Errorf("%q belongs to no flag", arg)
}

// fields finds the field of each flag. It is where a program that is wrong is
// told so, before the flag package would panic.
func (c Command) fields() ([]protoreflect.FieldDescriptor, error) {
	if c.Call.do == nil {
		return nil, errors.New("the program is wrong: the command has no call")
	}
	request := c.Call.request().ProtoReflect().Descriptor()
	taken := append(c.general(), "help", "h")
	var fields []protoreflect.FieldDescriptor
	for _, f := range c.Flags {
		field := request.Fields().ByName(protoreflect.Name(f.Field))
		switch {
		case field == nil:
			return nil, fmt.Errorf("the program is wrong: --%s is for the field %q, which %s does not have", f.Name, f.Field, request.FullName())
		case f.Name == "" || strings.HasPrefix(f.Name, "-") || strings.Contains(f.Name, "="):
			return nil, fmt.Errorf("the program is wrong: %q can't be the name of a flag", f.Name)
		case slices.Contains(taken, f.Name):
			return nil, fmt.Errorf("the program is wrong: it has --%s twice", f.Name)
		}
		taken = append(taken, f.Name)
		fields = append(fields, field)
	}
	return fields, nil
}

// fill sets the fields of the request whose flags were given.
func (c Command) fill(request protoreflect.Message, fields []protoreflect.FieldDescriptor, given map[string][]string) error {
	oneofs := make(map[protoreflect.OneofDescriptor]string) // by oneof, the flag that set it
	for i, f := range c.Flags {
		texts := given[f.Name]
		if len(texts) == 0 {
			continue
		}
		if oneof := fields[i].ContainingOneof(); oneof != nil {
			if other, set := oneofs[oneof]; set {
				return fmt.Errorf("--%s and --%s exclude each other: both are of the oneof %s", other, f.Name, oneof.Name())
			}
			oneofs[oneof] = f.Name
		}
		if err := setField(request, fields[i], texts); err != nil {
			return fmt.Errorf("--%s: %w", f.Name, err)
		}
	}
	if err := proto.CheckInitialized(request.Interface()); err != nil {
		return explainProto(err)
	}
	return nil
}
