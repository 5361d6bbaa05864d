package command

import (
	"io"

	"google.golang.org/protobuf/proto"
)

// standardInput is how commands read requests from the standard input. It is nil in a
// module whose commands read nothing.
var standardInput *reader

type reader struct {
	// isRead reports whether a command reads them, after the values of each flag.
	isRead func(c Command, env Env, given map[string][]string) bool
	// follow makes a call with them, or as many as there are requests for. The function
	// that it returns says what to report when the command ends, with an error or without.
	follow func(Command, Env, *parsed, *exchange) (note func(err error, replies int) string)
	// help returns what help says of it.
	help func(Command) string
}

// single returns one request, and then io.EOF.
func single(request proto.Message) func() (proto.Message, error) {
	return func() (proto.Message, error) {
		one := request
		if request = nil; one == nil {
			return nil, io.EOF
		}
		return one, nil
	}
}
