package main

import (
	"flag"
	"fmt"
	"io"
	"runtime/debug"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/project"
)

const newUsage = `Usage: protoc-gen-receiver new MODULE [flags]

new makes a Go module in the current folder: a proto with a service that takes
events, all that is generated from it, a Makefile, a README, and CI. If the folder
has a go.mod, it adds a service to that module, and MODULE may be left out. It
overwrites nothing.

  protoc-gen-receiver new example.com/orders
  protoc-gen-receiver new example.com/shop --service Orders --event OrderPlaced
  protoc-gen-receiver new --service Payments
  protoc-gen-receiver new example.com/shop --from shop.proto

Flags:
  --service NAME     name of the service (default: after the module)
  --event NAME       name of the message that is an event (default Event)
  --dir DIR          folder of the module (default .)
  --from FILE.proto  build the module around this proto; may be repeated
  -I DIR             where what those import is; may be repeated
  --templates DIR    folder of templates that override ours
  --dry-run          list the files, and write none
`

// newConfig parses the arguments of the command new. The error is [flag.ErrHelp] if
// they ask for help.
func newConfig(args []string) (project.Config, error) {
	config := project.Config{Version: release()}
	flags := flag.NewFlagSet("new", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&config.Service, "service", "", "")
	flags.StringVar(&config.Event, "event", "", "")
	flags.StringVar(&config.Dir, "dir", "", "")
	flags.StringVar(&config.Templates, "templates", "", "")
	flags.BoolVar(&config.DryRun, "dry-run", false, "")
	repeated := func(list *[]string) func(string) error {
		return func(value string) error {
			*list = append(*list, value)
			return nil
		}
	}
	flags.Func("from", "", repeated(&config.From))
	flags.Func("I", "", repeated(&config.ImportPaths))
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return config, err
		}
		if args = flags.Args(); len(args) > 0 {
			if config.Module != "" {
				return config, fmt.Errorf("want one module, not also %s (see protoc-gen-receiver help new)", args[0])
			}
			config.Module, args = args[0], args[1:]
		}
	}
	return config, nil
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
