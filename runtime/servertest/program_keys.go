//runtime:used

package servertest

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// WithKeys is the part of a program that asks callers for API keys if it runs with --keys.
func WithKeys() Part {
	return Part{tests: []programTest{{"with --keys it asks for API keys", (*runningProgram).asksForKeys}}}
}

func (r *runningProgram) asksForKeys(t *testing.T) {
	r.obeys(t, "keys", "add", "test", "--all-sources", "--keys=keys.txt")
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
