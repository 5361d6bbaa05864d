//runtime:used

package servertest

import (
	"io"
	"os"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/guard"
)

// WithKeys is the part of a program that asks for API keys, if it has --keys.
func WithKeys() Part {
	return Part{tests: []programTest{{"with --keys it asks for API keys", (*runningProgram).asksForKeys}}}
}

func (r *runningProgram) asksForKeys(t *testing.T) {
	if err := os.WriteFile("keys.txt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.obeys(t, "keys", "list", "--keys=keys.txt")
	if err := guard.Keys("test", []string{"add", "test", "--all-sources", "--keys=keys.txt"}, func(string) string { return "" }, io.Discard); err != nil {
		t.Fatal(err)
	}
	locked := &runningProgram{Program: r.Program}
	locked.start(t, "--keys=keys.txt", "--events=sqlite:locked.db")
	for _, service := range locked.server.Services() {
		if service.Desc.ServiceName == health {
			continue // probes have no key
		}
		var names []string
		for _, method := range service.Desc.Methods {
			names = append(names, method.MethodName)
		}
		for _, stream := range service.Desc.Streams {
			names = append(names, stream.StreamName)
		}
		for _, name := range names {
			name = "/" + service.Desc.ServiceName + "/" + name
			if err := locked.conn.Invoke(locked.context(t), name, &emptypb.Empty{}, &emptypb.Empty{}); status.Code(err) != codes.Unauthenticated {
				t.Errorf("main.go: a call of %s without an API key has the error %v, want code Unauthenticated: pass access.Option() to server.Run", name, err)
			}
		}
	}
	locked.stop(t)
}
