//runtime:with publisher

package client

import (
	"context"

	"google.golang.org/grpc"
)

// New returns a connection to target, as [Dial] does, but does not wait for the server: it
// connects when the first call is made. No call is tried again.
func New(target string, options ...Option) (*grpc.ClientConn, error) {
	later := func(s *settings) { s.later = true }
	return Dial(context.Background(), target, nil, append(options[:len(options):len(options)], later)...)
}
