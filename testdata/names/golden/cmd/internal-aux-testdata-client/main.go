// Command internal-aux-testdata-client calls internal-aux-testdata-server. It has a subcommand for each RPC.
package main

import (
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
)

func main() {
	// What the program has besides the commands of its RPCs.
	all := command.With(commands, command.Contexts, command.Output, command.Completion, command.From, command.Bench)
	os.Exit(command.Main("internal-aux-testdata-client", all))
}
