package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// helpCommand is the command help.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "print the help of the program, a command or a topic",
		Example: program + " help generate\n" + program + " help options",
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) == 0 {
				return root.Help()
			}
			for _, one := range root.Commands() {
				if one.Name() == args[0] {
					return one.Help()
				}
			}
			return unknownCommand(root, args[0])
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, one := range root.Commands() {
					if !one.Hidden {
						names = append(names, one.Name()+"\t"+one.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// optionsTopic is help without a command.
func optionsTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "options",
		Short: "the options of the plugin, which generate and explain take, too",
		Long: `Options of the plugin, as --receiver_opt=NAME=VALUE for protoc and for generate,
and as opt in buf.gen.yaml; where values are listed, the first is the default:

` + strings.TrimRight(plugin.OptionHelp(), "\n"),
	}
}

// helpOf returns the help of a command.
func helpOf(command *cobra.Command) string {
	var text strings.Builder
	section := func(title, body string) {
		if body == "" {
			return
		}
		fmt.Fprintf(&text, "\n%s:\n", title)
		for line := range strings.SplitSeq(body, "\n") {
			text.WriteString(strings.TrimRight("  "+line, " ") + "\n")
		}
	}
	if command.HasParent() && command.Runnable() {
		for line := range strings.SplitSeq(command.Use, "\n") {
			lead := "Usage: "
			if text.Len() > 0 {
				lead = "       "
			}
			fmt.Fprintln(&text, lead+program, line)
		}
		text.WriteString("\n")
	}
	text.WriteString(longOf(command) + "\n")
	section("Commands", list(command, (*cobra.Command).Runnable))
	section("More help", list(command, func(one *cobra.Command) bool { return !one.Runnable() }))
	section("Examples", command.Example)
	for _, group := range flagGroups(command.Flags()) {
		section(group.title, columns(group.rows))
	}
	if !command.HasParent() {
		section("Exit codes", columns(exitCodes))
		section("Environment", columns(variables))
	}
	return text.String()
}

func longOf(command *cobra.Command) string {
	if command.Long != "" {
		return command.Long
	}
	return strings.ToUpper(command.Short[:1]) + command.Short[1:] + "."
}

// list returns a line for each command below another that is chosen.
func list(command *cobra.Command, chosen func(*cobra.Command) bool) string {
	var rows [][2]string
	for _, one := range command.Commands() {
		if chosen(one) && !one.Hidden {
			name := one.Name()
			if !one.Runnable() {
				name = "help " + name
			}
			rows = append(rows, [2]string{name, one.Short})
		}
	}
	return columns(rows)
}

// columns returns a line for each row, in which the second column is below itself.
func columns(rows [][2]string) string {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = fmt.Sprintf("%-*s  %s", width, row[0], strings.ReplaceAll(row[1], "\n", "\n"+strings.Repeat(" ", width+2)))
	}
	return strings.Join(lines, "\n")
}

// flagGroup is a part of the flags of a command.
type flagGroup struct {
	title string
	rows  [][2]string // how the flag is written, and what it does
}

// groupKey is the annotation of a flag that has the title of its group.
const groupKey = "group"

// inGroup puts flags into a group of the help.
func inGroup(flags *pflag.FlagSet, title string, names ...string) {
	for _, name := range names {
		flags.Lookup(name).Annotations = map[string][]string{groupKey: {title}}
	}
}

// flagGroups returns the flags of a command in the order in which they were added.
func flagGroups(flags *pflag.FlagSet) (groups []*flagGroup) {
	flags.SortFlags = false
	flags.VisitAll(func(flag *pflag.Flag) {
		title := "Flags"
		if of := flag.Annotations[groupKey]; of != nil {
			title = of[0]
		}
		if len(groups) == 0 || groups[len(groups)-1].title != title {
			groups = append(groups, &flagGroup{title: title})
		}
		_, usage := pflag.UnquoteUsage(flag)
		last := groups[len(groups)-1]
		last.rows = append(last.rows, [2]string{synopsis(flag), usage})
	})
	return groups
}

// synopsis returns how a flag is written.
func synopsis(flag *pflag.Flag) string {
	text := "--" + flag.Name
	if value, _ := pflag.UnquoteUsage(flag); flag.NoOptDefVal == "" {
		text += "=" + value
		if flag.Shorthand != "" {
			return "-" + flag.Shorthand + " " + value + ", " + text
		}
	}
	if flag.Shorthand != "" {
		return "-" + flag.Shorthand + ", " + text
	}
	return text
}
