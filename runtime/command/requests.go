package command

import (
	"io"
	"os"

	"google.golang.org/protobuf/proto"
)

// requests are the requests of a call: the one that flags describe, or those of
// the standard input. It counts what was read.
type requests struct {
	one  proto.Message                 // nil if they come from the standard input, or once it was returned
	read func() (proto.Message, error) // the next of the standard input; nil if none come from there

	first, last int // lines of the first and the last element of the last request
	elements    int // of the last request; 1 without batches
}

// readStandardInput returns the requests of a parsed command line that come from there.
// It is nil in a module whose commands read nothing.
var readStandardInput func(c Command, env Env, p *parsed) *requests

// next returns the next request, or io.EOF after the last.
func (r *requests) next() (proto.Message, error) {
	r.elements = 1
	switch {
	case r.one != nil:
		one := r.one
		r.one = nil
		return one, nil
	case r.read == nil:
		return nil, io.EOF
	}
	return r.read()
}

// requests returns the requests of a parsed command line.
func (c Command) requests(env Env, p *parsed) *requests {
	if !p.reads {
		return &requests{one: p.request}
	}
	return readStandardInput(c, env, p)
}

// redirected reports whether something may come from a standard input that nobody
// types: a file or a pipe.
func redirected(stdin io.Reader) bool {
	file, ok := stdin.(*os.File)
	if !ok {
		return stdin != nil
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice == 0
}
