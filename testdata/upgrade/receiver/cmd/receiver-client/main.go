// Command receiver-client calls the RPCs of receiver-server: a subcommand for each.
package main

import (
	"os"

	"example.com/receiver/internal/receiver-runtime/command"
)

func main() {
	os.Exit(command.Main("receiver-client", commands))
}
