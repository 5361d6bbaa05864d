package command

import (
	"flag"
	"fmt"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// help prints the commands of a program, or the help of the command that args
// name.
func help(env Env, commands []Command, args []string) error {
	switch len(args) {
	case 0:
		return write(env.Stdout, overview(env, commands))
	case 1:
		command, err := find(env, commands, args[0])
		if err != nil {
			return err
		}
		return command.help(env)
	default:
		return fmt.Errorf("help takes one command at a time, not %q", args)
	}
}

func overview(env Env, commands []Command) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Usage: %s COMMAND [flags]\n\nCommands:\n", env.Program)
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, c := range commands {
		summary, _, _ := strings.Cut(c.doc(), "\n")
		fmt.Fprintf(table, "  %s\t%s\n", shortest(commands, c), summary)
	}
	fmt.Fprintf(table, "  help\tShows the flags of a command: %s help COMMAND\n", env.Program)
	table.Flush()
	return text.String()
}

// doc returns the command's description, marked if the command is deprecated.
func (c Command) doc() string {
	if !c.Deprecated {
		return c.Doc
	}
	summary, rest, ok := strings.Cut(c.Doc, "\n")
	summary = strings.TrimSpace(summary + " (deprecated)")
	if ok {
		return summary + "\n" + rest
	}
	return summary
}

// help prints what a command does and the flags it takes.
func (c Command) help(env Env) error {
	fields, err := c.fields()
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	var text strings.Builder
	if doc := c.doc(); doc != "" {
		fmt.Fprintf(&text, "%s\n\n", doc)
	}
	fmt.Fprintf(&text, "Usage: %s %s [flags]\n", env.Program, c.Name)
	if standardInput != nil && env.plan == nil {
		fmt.Fprint(&text, standardInput.help(c))
	}
	if c.Call.manyReplies {
		fmt.Fprint(&text, "\nIt prints each reply as it arrives, in one line, until the server ends the\n"+
			"call or you do with Ctrl-C, which is not an error.\n")
	}
	if len(fields) > 0 {
		fmt.Fprintf(&text, "\nFields of %s:\n", fields[0].ContainingMessage().FullName())
	}
	for i, f := range c.Flags {
		describe(&text, f.Name, valueOf(fields[i]), f.Doc)
	}
	set := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	p := new(parsed)
	p.define(set, env, c)
	general := func(title string, names []string) {
		fmt.Fprintf(&text, "\n%s:\n", title)
		for _, name := range names {
			value, usage := flag.UnquoteUsage(set.Lookup(name))
			describe(&text, name, value, usage)
		}
	}
	general("General flags", c.general())
	general("Authentication", c.accessFlags().list())
	if extend != nil {
		extend.help(p, general)
	}
	return write(env.Stdout, text.String())
}

func describe(text *strings.Builder, name, value, doc string) {
	fmt.Fprintln(text, strings.TrimRight("  --"+name+" "+value, " "))
	for line := range strings.Lines(strings.Trim(doc, "\n")) {
		// A comment in a proto has a space after the slashes.
		line = "        " + strings.TrimPrefix(line, " ")
		fmt.Fprintln(text, strings.TrimRight(line, " \n"))
	}
}

// valueOf describes the values that the flag of a field takes.
func valueOf(field protoreflect.FieldDescriptor) string {
	text := typeName(field)
	switch oneof := field.ContainingOneof(); {
	case field.IsMap():
		return fmt.Sprintf("JSON (map<%s, %s>)", protoName(field.MapKey()), protoName(field.MapValue()))
	case field.IsList():
		return "repeated " + text
	case oneof != nil && !oneof.IsSynthetic():
		return text + ", of the oneof " + string(oneof.Name())
	}
	return text
}

func typeName(field protoreflect.FieldDescriptor) string {
	switch {
	case field.Enum() != nil:
		return valueNames(field.Enum(), "|")
	case field.Kind() == protoreflect.BytesKind:
		return "base64"
	case field.Message() == nil:
		return field.Kind().String()
	case bareStrings[field.Message().FullName()] != "":
		return bareStrings[field.Message().FullName()]
	default:
		return "JSON (" + protoName(field) + ")"
	}
}

// protoName returns the type of a field as a proto spells it.
func protoName(field protoreflect.FieldDescriptor) string {
	switch {
	case field.Enum() != nil:
		return string(field.Enum().FullName())
	case field.Message() != nil:
		return string(field.Message().FullName())
	default:
		return field.Kind().String()
	}
}
