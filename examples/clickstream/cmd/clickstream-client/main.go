// Command clickstream-client calls clickstream-server. It has a subcommand for each RPC.
package main

import (
	"os"

	"example.com/clickstream/internal/receiver-runtime/command"
)

func main() {
	os.Exit(command.Main("clickstream-client", commands))
}
