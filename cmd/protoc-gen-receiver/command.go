package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/spelling"
)

const program = "protoc-gen-receiver"

// What the process ends with.
const (
	exitDone    = 0
	exitRefused = 1 // protos, the module or the disk; with --check, something would change
	exitUsage   = 2
)

// exitCodes is how help and the reference describe them.
var exitCodes = [][2]string{
	{strconv.Itoa(exitDone), "done"},
	{strconv.Itoa(exitRefused), "refused or failed; with --check and --diff also: something would change"},
	{strconv.Itoa(exitUsage), "the command line is wrong"},
}

// variables are those of the environment that help and the reference describe.
var variables = [][2]string{
	{"NO_COLOR", "with any value nothing is coloured; nor is it with TERM=dumb, with CI,\nand in pipes and files"},
	{"PATH", "where protoc-gen-go and protoc-gen-go-grpc are, unless they are tools\nof the module"},
}

// usageError is an error of the command line.
type usageError struct{ text, command string }

func (e *usageError) Error() string { return e.text + " (see " + e.command + ")" }

// wrongUse returns an error of a command's line. It ends with where its help is.
func wrongUse(command *cobra.Command, format string, args ...any) error {
	see := program + " help"
	if command.HasParent() {
		see += " " + command.Name()
	}
	return &usageError{fmt.Sprintf(format, args...), see}
}

// noArguments refuses the arguments of a command that takes none.
func noArguments(command *cobra.Command, args []string) error {
	if len(args) > 0 {
		return wrongUse(command, "%s takes no argument such as %q", command.Name(), args[0])
	}
	return nil
}

// exitCode returns what the process ends with after an error.
func exitCode(err error) int {
	var usage *usageError
	var option *plugin.OptionError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.As(err, &option):
		return exitUsage
	}
	return exitRefused
}

// runCommand runs the command that args name.
func runCommand(ctx context.Context, env env) error {
	root := rootCommand(env)
	root.SetArgs(append([]string{}, withTwoDashesOf(root, env.args)...)) // nil would be those of the process
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	return root.ExecuteContext(ctx)
}

// withTwoDashesOf is withTwoDashes for the flags of the command that args begin with.
func withTwoDashesOf(root *cobra.Command, args []string) []string {
	if len(args) == 0 {
		return args
	}
	for _, command := range root.Commands() {
		if command.Name() == args[0] {
			return append(args[:1:1], withTwoDashes(command.Flags(), args[1:])...)
		}
	}
	if strings.HasPrefix(args[0], "-") {
		return withTwoDashes(root.Flags(), args)
	}
	return args // of an unknown command, or of those with which shells complete
}

// rootCommand returns the program with all its commands. Help lists them in this order.
func rootCommand(env env) *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   program + " COMMAND",
		Short: "generates a complete Go gRPC service from a .proto",
		Long: program + ` generates a complete Go gRPC service from a .proto.

As a plugin:   protoc --go_out=. --go-grpc_out=. --receiver_out=. FILE.proto
As a command:  ` + program + ` COMMAND`,
		Example: program + ` generate
` + program + ` help generate`,
		Args:              cobra.ArbitraryArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	printVersion := root.Flags().Bool("version", false, "print the version")
	root.RunE = func(command *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return unknownCommand(command, args[0])
		case *printVersion:
			return writeVersion(command.OutOrStdout())
		}
		return command.Help()
	}
	root.SetHelpFunc(func(command *cobra.Command, _ []string) { fmt.Fprint(command.OutOrStdout(), helpOf(command)) })
	root.SetFlagErrorFunc(wrongFlag)
	root.AddCommand(newCommand(), generateCommand(env.colourOut), explainCommand(), templatesCommand(), completionCommand(), versionCommand(), optionsTopic())
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultHelpCmd()
	for _, command := range append(root.Commands(), root) {
		command.DisableFlagsInUseLine = true
		command.InitDefaultHelpFlag()
		command.Flags().Lookup("help").Usage = "print this text"
	}
	return root
}

// unknownCommand returns the error for a command that does not exist.
func unknownCommand(root *cobra.Command, name string) error {
	if strings.HasSuffix(name, ".proto") {
		return wrongUse(root, "there is no command %q: to generate from it, run %s generate %[1]s", name, program)
	}
	var names []string
	for _, command := range root.Commands() {
		if !command.Hidden && (command.Runnable() || command.HasSubCommands()) {
			names = append(names, command.Name())
		}
	}
	if near := nearest(name, names); near != "" {
		return wrongUse(root, "there is no command %q: did you mean %s?", name, near)
	}
	return wrongUse(root, "there is no command %q: want one of %s", name, strings.Join(names, ", "))
}

// nearest returns the name that begins with a word, if there is only one, or else the
// most similar one, or "".
func nearest(word string, names []string) string {
	longer := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, word) })
	if len(word) > 1 && len(longer) == 1 {
		return longer[0]
	}
	return spelling.Nearest(word, names)
}

// wrongFlag returns the error for a flag that can't be parsed.
func wrongFlag(command *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	var badValue *pflag.InvalidValueError
	var badSyntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown):
		return unknownFlag(command, unknown)
	case errors.As(err, &noValue):
		return wrongUse(command, "the flag %s has no value: want %s", dashed(noValue.GetSpecifiedName()), synopsis(noValue.GetFlag()))
	case errors.As(err, &badValue):
		return wrongUse(command, "the flag %s has the value %q: want true or false", dashed(badValue.GetFlag().Name), badValue.GetValue())
	case errors.As(err, &badSyntax):
		return wrongUse(command, "%q is not a flag", badSyntax.GetSpecifiedFlag())
	}
	return wrongUse(command, "%v", err)
}

// unknownFlag returns the error for a flag that a command does not have: it may be
// a flag that is misspelt, or an option of the plugin.
func unknownFlag(command *cobra.Command, unknown *pflag.NotExistError) error {
	name := unknown.GetSpecifiedName()
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		name, _, _ = strings.Cut(short, "=") // all of -nam: with one dash, as the flag package has it
	}
	if !command.HasParent() {
		return wrongUse(command, "there is no command before the flag %s: the first word must be one, as in %s generate %[1]s", written(unknown), program)
	}
	of := command.Name()
	var names []string
	command.Flags().VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	option := ""
	if command.Flags().Lookup(receiverOpt) != nil {
		option = plugin.Meant(name)
	}
	near := nearest(name, names)
	switch {
	case option != "" && (near == "" || strings.HasPrefix(option, name+"=")):
		return wrongUse(command, "%s has no flag %s: did you mean --%s=%s?", of, dashed(name), receiverOpt, option)
	case near != "":
		return wrongUse(command, "%s has no flag %s: did you mean --%s?", of, dashed(name), near)
	}
	return wrongUse(command, "%s has no flag %s", of, dashed(name))
}

// written returns a flag as it is on the command line, without its value.
func written(unknown *pflag.NotExistError) string {
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		return "-" + short
	}
	return dashed(unknown.GetSpecifiedName())
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// withTwoDashes returns args with two dashes before the long names of flags that have
// one, as the package flag takes them. pflag would read -check as the flags -c -h -e -c -k.
func withTwoDashes(flags *pflag.FlagSet, args []string) []string {
	args = slices.Clone(args)
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		if !strings.HasPrefix(args[i], "-") {
			continue
		}
		name, _, valued := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		flag := flags.Lookup(name)
		if len(name) == 1 {
			flag = flags.ShorthandLookup(name)
		}
		if flag == nil {
			continue
		}
		if len(name) > 1 && !strings.HasPrefix(args[i], "--") {
			args[i] = "-" + args[i]
		}
		if !valued && flag.NoOptDefVal == "" {
			i++ // the value, whatever it begins with
		}
	}
	return args
}
