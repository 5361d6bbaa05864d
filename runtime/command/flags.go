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
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// Flag sets a field of the request. The type of the field says what it takes:
//
//   - A number, a string, or an enum's name or number is given as it is, as is a
//     bool: --on means true, --on=false means false. Bytes are base64. If the
//     flag is given twice, the last value counts.
//   - A message is given once, as protobuf JSON. If that JSON is a string, the
//     quotes may be left out: --when 2026-01-02T15:04:05Z. A text that starts
//     with a quote is JSON.
//   - A repeated field takes one element at a time: --tag a --tag b.
//   - A map takes a JSON object. Several are merged.
//
// A field whose flag is given is set, also if it is set to its zero value. Only
// one flag of a oneof may be given. Errors in a JSON text have a line and a
// column, both counted from 1, the column in characters.
type Flag struct {
	Name  string // differs from the general flags (see below) and the command's other flags
	Field string // the field's name in the proto
	Doc   string // may be empty, and may have several lines
}

// general returns the names of the flags that every command has and that no field can
// have, in the order in which help shows them.
func (c Command) general() []string {
	names := []string{"addr", "timeout", "json", "insecure", "ca"}
	if c.Event {
		return slices.Insert(names, 3, "event-id")
	}
	return names
}

// parsed is a parsed command line.
type parsed struct {
	help     bool // whether it asks for help; then nothing else is set
	addr     string
	timeout  time.Duration
	bounded  bool // whether the timeout is for the whole call, and not only for opening it
	json     bool
	eventID  string
	insecure bool
	ca       string
	access   access

	extended any                         // by extensions
	instead  func(context.Context) error // runs the command in another way; nil for a call
	printer  func(proto.Message) error   // prints a reply; nil for JSON

	reads   bool          // whether requests, or the elements of batches, are read from the standard input
	calls   bool          // whether each of them, or each batch, is a call of its own
	request proto.Message // nil if it is read; what the elements are added to if they are
}

// define adds the general flags of a command to a set.
func (p *parsed) define(set *flag.FlagSet, env Env, c Command) {
	variable := variable(env.Program, "ADDR")
	addr := env.Getenv(variable)
	if addr == "" {
		addr = "localhost:50051"
	}
	set.StringVar(&p.addr, "addr", addr, "`HOST:PORT` of the server (default $"+variable+", or else localhost:50051)")
	timeoutUsage, jsonUsage := "`DURATION` that connecting and the call may take together (default 10s)", "print the reply as JSON, in one line"
	switch {
	case c.Call.manyReplies || c.Call.manyRequests:
		timeoutUsage = "`DURATION` that connecting and the call may take together (default 10s for connecting, no limit for the call)"
	case c.Reads || c.Batch != "":
		timeoutUsage = "`DURATION` that each call may take, and the first together with connecting (default 10s)"
	}
	if c.Call.manyReplies {
		jsonUsage = "print each reply as JSON, in one line"
	}
	set.DurationVar(&p.timeout, "timeout", 10*time.Second, timeoutUsage)
	set.BoolVar(&p.json, "json", false, jsonUsage)
	if c.Event {
		set.StringVar(&p.eventID, "event-id", "", "`ID` of the event, which is stored once however often it is sent (default a new one)")
	}
	set.BoolVar(&p.insecure, "insecure", false, "allow an unencrypted connection to another machine")
	set.StringVar(&p.ca, "ca", "", "`FILE` of PEM certificates to trust instead of the system's")
	p.access.define(set, env, c)
	if extend != nil {
		extend.define(p, set, env, c)
	}
}

// variable returns the environment variable for a flag, such as RECEIVER_CLIENT_ADDR
// for receiver-client and ADDR.
func variable(program, name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return '_'
	}, program) + "_" + name
}

func (p *parsed) check() error {
	switch {
	case p.timeout <= 0:
		return fmt.Errorf("--timeout: %s is not more than 0", p.timeout)
	case p.insecure && p.ca != "":
		return errors.New("--insecure and --ca exclude each other: give only one of them")
	case p.insecure && p.access.cert != "":
		return fmt.Errorf("--insecure and --%s exclude each other: give only one of them", p.access.names.cert)
	}
	if err := eventid.Check(p.eventID); err != nil {
		return fmt.Errorf("--event-id: %w", err)
	}
	return p.access.check()
}

func (p *parsed) options() []client.Option {
	var options []client.Option
	switch {
	case p.insecure:
		options = append(options, client.Insecure())
	case p.ca != "":
		options = append(options, client.RootCAs(p.ca))
	}
	return append(options, p.access.options()...)
}

// parse parses a command line.
func (c Command) parse(env Env, args []string) (*parsed, error) {
	fields, err := c.fields()
	if err != nil {
		return nil, err
	}
	p := &parsed{bounded: !c.Call.manyReplies && !c.Call.manyRequests}
	set := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	p.define(set, env, c)
	given := make(map[string][]string) // the values of each flag, in order
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
		return nil, c.misused(env, unexpected(set.Arg(0)))
	}
	if extend != nil {
		if err := extend.parsed(p); err != nil {
			return nil, c.misused(env, err)
		}
	}
	if err := p.check(); err != nil {
		return nil, c.misused(env, err)
	}
	set.Visit(func(f *flag.Flag) { p.bounded = p.bounded || f.Name == "timeout" })
	p.reads = p.instead == nil && standardInput != nil && standardInput.isRead(c, env, given)
	p.calls = p.reads && !c.Call.manyRequests
	if p.reads && c.Batch == "" {
		return p, nil
	}
	p.request = c.Call.request()
	if err := c.fill(p.request.ProtoReflect(), fields, given); err != nil {
		return nil, err
	}
	if err := proto.CheckInitialized(p.request); err != nil && p.instead == nil { // it may have the rest
		return nil, readableError(err)
	}
	return p, nil
}

// misused adds to an error how to get help.
func (c Command) misused(env Env, err error) error {
	return fmt.Errorf("%w (run '%s help %s')", err, env.Program, c.Name)
}

func unexpected(arg string) error {
	if arg == "true" || arg == "false" {
		return fmt.Errorf("unexpected argument %q; give a bool its value as in --name=%s", arg, arg)
	}
	return fmt.Errorf("unexpected argument %q", arg)
}

// fields returns the field of each flag. It returns an error if the program
// declares its flags wrongly, for which package flag would panic.
func (c Command) fields() ([]protoreflect.FieldDescriptor, error) {
	if c.Call.do == nil {
		return nil, errors.New("the program has a bug: the command has no call")
	}
	if standardInput == nil && (c.Call.manyRequests || c.Reads || c.Batch != "") {
		return nil, errors.New("the program has a bug: what reads the standard input is not in its copy of the runtime: generate again")
	}
	request := c.Call.request().ProtoReflect().Descriptor()
	if field := request.Fields().ByName(protoreflect.Name(c.Batch)); c.Batch != "" && (field == nil || !field.IsList() || field.Message() == nil) {
		return nil, fmt.Errorf("the program has a bug: %s has no repeated field %q of messages", request.FullName(), c.Batch)
	}
	used := append(c.general(), "help", "h")
	var fields []protoreflect.FieldDescriptor
	for _, f := range c.Flags {
		field := request.Fields().ByName(protoreflect.Name(f.Field))
		switch {
		case field == nil:
			return nil, fmt.Errorf("the program has a bug: --%s is for the field %q, which %s does not have", f.Name, f.Field, request.FullName())
		case f.Name == "" || strings.HasPrefix(f.Name, "-") || strings.Contains(f.Name, "="):
			return nil, fmt.Errorf("the program has a bug: %q can't be the name of a flag", f.Name)
		case slices.Contains(used, f.Name):
			return nil, fmt.Errorf("the program has a bug: it has --%s twice", f.Name)
		}
		used = append(used, f.Name)
		fields = append(fields, field)
	}
	return fields, nil
}

// fill sets the fields of the request whose flags were given.
func (c Command) fill(request protoreflect.Message, fields []protoreflect.FieldDescriptor, given map[string][]string) error {
	oneofs := make(map[protoreflect.OneofDescriptor]string) // the flag that set each oneof
	for i, f := range c.Flags {
		texts := given[f.Name]
		if len(texts) == 0 {
			continue
		}
		if oneof := fields[i].ContainingOneof(); oneof != nil {
			if other, ok := oneofs[oneof]; ok {
				return fmt.Errorf("--%s and --%s exclude each other: both set the oneof %s", other, f.Name, oneof.Name())
			}
			oneofs[oneof] = f.Name
		}
		if err := setField(request, fields[i], texts); err != nil {
			return fmt.Errorf("--%s: %w", f.Name, err)
		}
	}
	return nil
}
