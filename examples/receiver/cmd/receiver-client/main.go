// Command receiver-client calls receiver-server. It has a subcommand for each RPC.
package main

import (
	"os"

	"example.com/receiver/internal/receiver-runtime/command"
)

func main() {
	os.Exit(command.Main("receiver-client", commands))
}
