package main

import (
	"github.com/spf13/cobra"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
)

// explainCommand is the command explain.
func explainCommand() *cobra.Command {
	var options compile.Options
	command := &cobra.Command{
		Use:   "explain [flags] [FILE.proto ...]",
		Short: "print how each RPC is read, and which files it gets",
		Long: `Prints how each RPC is read and why: whether it takes events, which field has
which role of an event, and which files the RPC gets. It writes nothing. Without
FILE.proto it takes every .proto below the folders of -I.`,
		Example: `protoc-gen-receiver explain
protoc-gen-receiver explain -I proto shop/v1/orders.proto`,
		RunE: func(command *cobra.Command, files []string) error {
			options.Files = files
			return compile.Explain(command.Context(), options, command.OutOrStdout())
		},
	}
	command.Flags().SortFlags = false
	addProtoFlags(command, &options)
	return command
}
