package main

import (
	"github.com/spf13/cobra"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/colour"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
)

// generateCommand is the command generate.
func generateCommand(coloured bool) *cobra.Command {
	var options compile.Options
	var watch, poll bool
	command := &cobra.Command{
		Use:   "generate [flags] [FILE.proto ...]",
		Short: "compile protos and generate, without protoc or buf",
		Long: `Compiles protos, runs protoc-gen-go, protoc-gen-go-grpc and protoc-gen-receiver
on them, and writes their files. After an error nothing is written. Files of
protoc-gen-receiver that are no longer made are deleted. Without FILE.proto it
takes every .proto below the folders of -I.

protoc-gen-go and protoc-gen-go-grpc are the module's tools (go get -tool), else
those on PATH. By default they get module=PATH, with the module's path from go.mod.`,
		Example: `protoc-gen-receiver generate
protoc-gen-receiver generate -I proto shop/v1/orders.proto
protoc-gen-receiver generate --receiver_opt=program=shop
protoc-gen-receiver generate --check
protoc-gen-receiver generate --watch -I proto`,
		RunE: func(command *cobra.Command, files []string) error {
			options.Files = files
			out := command.OutOrStdout()
			switch {
			case poll && !watch:
				return wrongUse(command, "--poll says how to watch: use it with --watch")
			case watch && (options.Check || options.Diff):
				return wrongUse(command, "--watch writes files, and --check and --diff write none: leave one of them out")
			case watch:
				return compile.Watch(command.Context(), options, poll, out, command.ErrOrStderr())
			}
			if coloured && options.Diff {
				out = colour.Lines(out, colour.Diff)
			}
			return compile.Generate(command.Context(), options, out, command.ErrOrStderr())
		},
	}
	addGenerateFlags(command, &options)
	flags := command.Flags()
	flags.BoolVar(&watch, "watch", false, "generate, and again each time that a proto is saved;\nprint what has changed in meaning, and go on after\nmistakes")
	flags.BoolVar(&poll, "poll", false, "with --watch: look at the files a few times a second,\nand do not rely on the system to report changes")
	inGroup(flags, "While you edit", "watch", "poll")
	return command
}

// addGenerateFlags adds the flags of generate.
func addGenerateFlags(command *cobra.Command, options *compile.Options) {
	flags := command.Flags()
	flags.SortFlags = false
	addProtoFlags(command, options)
	flags.BoolVar(&options.Check, "check", false, "list the files that would change, and exit with\ncode 1 if there are any")
	flags.BoolVar(&options.Diff, "diff", false, "like --check, and also show how they would change")
	inGroup(flags, "Flags that write nothing", "check", "diff")
}

const receiverOpt = "receiver_opt" // the flag for options of the plugin

// addProtoFlags adds the flags that say what is compiled, and with which options.
// Their values may have commas, so that they are arrays and not slices.
func addProtoFlags(command *cobra.Command, options *compile.Options) {
	flags := command.Flags()
	addImportPaths(command, &options.ImportPaths)
	flags.StringArrayVar(&options.Receiver, receiverOpt, nil, "option `NAME=VALUE` of protoc-gen-receiver\n(see protoc-gen-receiver help options)")
	flags.StringArrayVar(&options.Go, "go_opt", nil, "option `NAME=VALUE` of protoc-gen-go")
	flags.StringArrayVar(&options.GoGRPC, "go-grpc_opt", nil, "option `NAME=VALUE` of protoc-gen-go-grpc")
	inGroup(flags, "Flags that may be repeated", importPath, receiverOpt, "go_opt", "go-grpc_opt")
	command.ValidArgsFunction = completeProtos
	complete(command, receiverOpt, completeOption)
	complete(command, "go_opt", completeNothing)
	complete(command, "go-grpc_opt", completeNothing)
}

const importPath = "proto_path" // the flag for folders of protos, in short -I

// addImportPaths adds the flag -I, for a command that reads protos.
func addImportPaths(command *cobra.Command, to *[]string) {
	command.Flags().StringArrayVarP(to, importPath, "I", nil, "folder `DIR` to find protos in (default .)")
	complete(command, importPath, completeFolders)
}
