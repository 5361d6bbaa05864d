package clients

import (
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/orders"
)

// TestCurlGets calls an RPC without side effects by GET, and one with them, which must
// not be called so: any page can make a browser do that.
func TestCurlGets(t *testing.T) {
	curl := orders.Tool(t, "curl", "apt-get install curl")
	server := orders.Start(t)
	for rpc, want := range map[string]struct{ status, body string }{
		"Find":    {"501", `{"code":"unimplemented","message":"Find is not implemented yet"}`},
		"Publish": {"405", "NO_SIDE_EFFECTS"},
	} {
		url := "http://" + server.HTTP + "/orders.v1.OrdersService/" + rpc
		answer := orders.Output(t, ".", curl, "-sS", "-G", "-w", "\n%{http_code}", url, "-d", "encoding=json", "--data-urlencode", "message={}")
		if !strings.Contains(answer, want.body) || !strings.HasSuffix(answer, "\n"+want.status) {
			t.Errorf("GET %s answers %s, want status %s and %s", rpc, answer, want.status, want.body)
		}
	}
	if strings.Contains(server.Log(), "msg=stored") {
		t.Error("a GET stored an event")
	}
}
