package main

import (
	"github.com/spf13/cobra"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/catalog"
)

// templatesCommand is the command templates.
func templatesCommand() *cobra.Command {
	var list bool
	var overrides, export string
	command := &cobra.Command{
		Use:   "templates --list [--templates=DIR]\ntemplates --export=DIR [TEMPLATE ...]",
		Short: "list the templates, or export them to start from",
		Long: `--list prints the path of each template, its scope (what it is executed for) and
the owner of the files that it makes. --export writes our templates below a
folder, all of them or the named ones. If one of the files exists already,
nothing is written. Keep only those that you change, because the built-in ones
are updated with new versions.

With the option templates=DIR the templates of a folder override ours: one at the
same path replaces ours, one at a new path adds a file, and an empty one makes no
file. docs/templates.md describes what they can use.`,
		Example: `protoc-gen-receiver templates --list
protoc-gen-receiver templates --export=overrides 'program/cmd/{app}-server/main.events.go.tmpl'
protoc-gen-receiver templates --list --templates=overrides
protoc-gen-receiver generate --receiver_opt=templates=overrides`,
		RunE: func(command *cobra.Command, names []string) error {
			switch {
			case list && export == "" && len(names) == 0:
				return catalog.List(overrides, command.OutOrStdout())
			case export != "" && !list && overrides == "":
				return catalog.Export(export, names, command.OutOrStdout())
			}
			return wrongUse(command, "templates wants either --list, with or without --templates=DIR, or --export=DIR")
		},
		ValidArgsFunction: completeTemplates,
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.BoolVar(&list, "list", false, "list templates")
	flags.StringVar(&overrides, "templates", "", "also list those of the folder `DIR`, and what they\nreplace")
	flags.StringVar(&export, "export", "", "write our templates to the folder `DIR`")
	complete(command, "templates", completeFolders)
	complete(command, "export", completeFolders)
	return command
}
