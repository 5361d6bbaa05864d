package main

import (
	"errors"
	"runtime/debug"

	"github.com/spf13/cobra"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/project"
)

// newCommand is the command new.
func newCommand() *cobra.Command {
	config := project.Config{Version: release()}
	command := &cobra.Command{
		Use:   "new MODULE [flags]",
		Short: "make a module around a new service, or add a service to a module",
		Long: `Makes a Go module in the current folder: a proto with a service that takes
events, all that is generated from it, a Makefile, a README, and CI. If the folder
has a go.mod, it adds a service to that module, and MODULE may be left out. It
overwrites nothing.`,
		Example: `protoc-gen-receiver new example.com/orders
protoc-gen-receiver new example.com/shop --service Orders --event OrderPlaced
protoc-gen-receiver new --service Payments
protoc-gen-receiver new example.com/shop --from shop.proto`,
		Args: func(command *cobra.Command, modules []string) error {
			if len(modules) > 1 {
				return wrongUse(command, "want one module, not also %s", modules[1])
			}
			return nil
		},
		ValidArgsFunction: completeNothing,
		RunE: func(command *cobra.Command, modules []string) error {
			if len(modules) > 0 {
				config.Module = modules[0]
			}
			err := project.New(command.Context(), config, command.OutOrStdout(), command.ErrOrStderr())
			if wrong, ok := errors.AsType[*project.UsageError](err); ok {
				return wrongUse(command, "%v", wrong)
			}
			return err
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&config.Service, "service", "", "`NAME` of the service (default: after the module)")
	flags.StringVar(&config.Event, "event", "", "`NAME` of the message that is an event (default Event)")
	flags.StringVar(&config.Dir, "dir", "", "folder `DIR` of the module (default .)")
	flags.StringArrayVar(&config.From, "from", nil, "build the module around `FILE.proto`; may be repeated")
	flags.StringArrayVarP(&config.ImportPaths, importPath, "I", nil, "folder `DIR` of what those import; may be repeated")
	flags.StringVar(&config.Templates, "templates", "", "folder `DIR` of templates that override ours")
	flags.BoolVar(&config.DryRun, "dry-run", false, "list the files, and write none")
	complete(command, "service", completeNothing)
	complete(command, "event", completeNothing)
	complete(command, "dir", completeFolders)
	complete(command, "from", completeProtos)
	complete(command, importPath, completeFolders)
	complete(command, "templates", completeFolders)
	return command
}

// release returns the version of this program as Go's module proxies know it; "" for
// one that was built from a checkout. Those have no checksum.
func release() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Sum == "" || !semver.IsValid(info.Main.Version) || module.CheckPath(info.Main.Path) != nil {
		return ""
	}
	return info.Main.Version
}
