// Command parcels-client calls parcels-server. It has a subcommand for each RPC.
package main

import (
	"context"
	"os"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"example.com/hooked/gen/parcels/v1/parcelsv1client"
	"example.com/hooked/internal/receiver-runtime/command"
)

func main() {
	os.Exit(command.Main("parcels-client", commands, parcelsv1client.PerCall(number)))
}

// number gives a call an id of its own, which the server logs.
func number(ctx context.Context, _ string) (context.Context, error) {
	return metadata.AppendToOutgoingContext(ctx, "x-request-id", uuid.NewString()), nil
}
