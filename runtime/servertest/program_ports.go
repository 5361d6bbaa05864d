//runtime:used

package servertest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// WithHTTP is the part of a program that answers by HTTP at --http-addr.
func WithHTTP() Part {
	return Part{args: []string{"--http-addr=127.0.0.1:0"}, tests: []programTest{{"it answers by HTTP", func(r *runningProgram, t *testing.T) {
		url := r.url(t, "http-addr", "httpPort")
		if slices.Contains(r.Services, health) {
			t.Skip("it answers as the program's own service does")
		}
		reply, err := http.Post(url+"/"+health+"/Check", "application/json", strings.NewReader("{}"))
		expectOK(t, health, reply, err)
	}}}}
}

// WithProbes is the part of a program that answers probes at --ops-addr, and has further
// pages there, such as "/metrics".
func WithProbes(pages ...string) Part {
	return Part{args: []string{"--ops-addr=127.0.0.1:0"}, tests: []programTest{{"probes are answered", func(r *runningProgram, t *testing.T) {
		for _, page := range append([]string{"/livez", "/readyz"}, pages...) {
			reply, err := http.Get(r.url(t, "ops-addr", "opsPort") + page)
			expectOK(t, page, reply, err)
		}
	}}}}
}

// url returns how to reach the port of a flag, which comes from a configuration in main.
func (r *runningProgram) url(t *testing.T, flag, config string) string {
	t.Helper()
	addr := r.server.PortAddr(flag)
	if addr == "" {
		t.Fatalf("main.go: --%s has no effect: pass %s.Option() to server.Run", flag, config)
	}
	return "http://" + addr
}

func expectOK(t *testing.T, page string, reply *http.Response, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
		return
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		t.Errorf("main.go: %s is answered with %s, want 200 OK: is what answers it passed to server.Run?", page, reply.Status)
	}
}
