//runtime:with eventlog validate

package servertest

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Least makes a message with as few fields as it must have: by its rules, or because they
// are required (proto2).
func Least[M proto.Message]() M {
	message := empty[M]()
	f := filler{endless: map[protoreflect.FullName]bool{}, required: true}
	f.fill(message.ProtoReflect(), maxDepth)
	addRequired(message.ProtoReflect(), filler{endless: f.endless})
	return message
}

// LeastRequest returns the message in a file of JSON, such as "testdata/follow.json". If
// there is no such file, it returns what [Least] does.
func LeastRequest[M proto.Message](t testing.TB, file string) M {
	t.Helper()
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return Least[M]()
	}
	return Request[M](t, file)
}
