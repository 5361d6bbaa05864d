package main

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/catalog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// completionCommand is the command completion. It replaces cobra's, which is a
// command for each shell, with a page of help each.
func completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "print a script with which a shell completes commands, flags and values",
		Long: `Prints a script with which a shell completes commands, flags and values. The
examples load it in bash (which needs its package bash-completion), zsh, fish and
PowerShell; written to a file that the shell's start reads, they last.`,
		Example: `source <(protoc-gen-receiver completion bash)
source <(protoc-gen-receiver completion zsh)
protoc-gen-receiver completion fish | source
protoc-gen-receiver completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: shells,
		RunE: func(command *cobra.Command, args []string) error {
			print := map[string]func(io.Writer) error{
				"bash":       func(out io.Writer) error { return command.Root().GenBashCompletionV2(out, true) },
				"zsh":        withValues(command.Root().GenZshCompletion),
				"fish":       withValues(func(out io.Writer) error { return command.Root().GenFishCompletion(out, true) }),
				"powershell": command.Root().GenPowerShellCompletionWithDesc,
			}
			switch {
			case len(args) != 1:
				return wrongUse(command, "completion wants one shell of %s", strings.Join(shells, ", "))
			case print[args[0]] == nil:
				return wrongUse(command, "completion knows no shell %q: want one of %s", args[0], strings.Join(shells, ", "))
			}
			return print[args[0]](command.OutOrStdout())
		},
	}
}

// withValues mends what cobra's scripts do with --flag=name=value. They take all up to
// the last = for the flag, and write it before each value; and fish takes a value
// that is to be split for a flag of its own command.
func withValues(print func(io.Writer) error) func(io.Writer) error {
	return func(out io.Writer) error {
		var script strings.Builder
		if err := print(&script); err != nil {
			return err
		}
		mended := strings.NewReplacer("'-.*='", "'^-[^=]*='", `string split --max 1 \t`, `string split --max 1 -- \t`)
		_, err := mended.WriteString(out, script.String())
		return err
	}
}

// complete has the values of a flag completed.
func complete(command *cobra.Command, flag string, by cobra.CompletionFunc) {
	if err := command.RegisterFlagCompletionFunc(flag, by); err != nil {
		panic(err) // the command has no such flag, or it was done already
	}
}

func completeNothing(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func completeFolders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func completeProtos(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"proto"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeTemplates completes the paths of templates, after --export.
func completeTemplates(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	if !command.Flags().Changed("export") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := catalog.Names()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeOption completes an option of the plugin: its name, then its value if the
// values are listed, or are files or folders. After a name and a folder there is more
// to write.
func completeOption(_ *cobra.Command, _ []string, written string) (all []string, _ cobra.ShellCompDirective) {
	name, value, named := strings.Cut(written, "=")
	for _, option := range plugin.OptionUsages() {
		known, takes, _ := strings.Cut(option.Usage, "=")
		switch {
		case strings.HasSuffix(known, ".proto"): // the name of a file is part of it
		case !named:
			all = append(all, known+"=\t"+option.Doc)
		case name != known:
		case takes == "DIR", takes == "FILE":
			for _, at := range below(value, takes == "DIR") {
				all = append(all, name+"="+at)
			}
		case strings.Contains(takes, "|"):
			for one := range strings.SplitSeq(takes, "|") {
				all = append(all, name+"="+one)
			}
			return all, cobra.ShellCompDirectiveNoFileComp
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// below returns the folders, and unless only they are wanted also the files, with
// which a path that is half written can go on. Folders end with a slash.
func below(written string, folders bool) (all []string) {
	dir, _ := path.Split(filepath.ToSlash(written))
	entries, _ := os.ReadDir(filepath.FromSlash(path.Clean(dir))) // what can't be read completes nothing
	for _, entry := range entries {
		info, err := os.Stat(filepath.Join(filepath.FromSlash(dir), entry.Name())) // through links
		switch {
		case err != nil, strings.HasPrefix(entry.Name(), "."):
		case info.IsDir():
			all = append(all, dir+entry.Name()+"/")
		case !folders:
			all = append(all, dir+entry.Name())
		}
	}
	return all
}
