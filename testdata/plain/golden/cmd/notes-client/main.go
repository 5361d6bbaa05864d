// Command notes-client calls notes-server. It has a subcommand for each RPC.
package main

import (
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
)

func main() {
	// What the program has besides the commands of its RPCs.
	all := command.With(commands, command.Contexts, command.Output, command.Completion)
	os.Exit(command.Main("notes-client", all))
}
