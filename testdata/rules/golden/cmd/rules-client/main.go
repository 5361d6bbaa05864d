// Command rules-client calls rules-server. It has a subcommand for each RPC.
package main

import (
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
)

func main() {
	os.Exit(command.Main("rules-client", commands))
}
