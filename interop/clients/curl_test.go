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
	for rpc, want := range map[string]string{
		"Find":    "501",
		"Publish": "405",
	} {
		url := "http://" + server.HTTP + "/orders.v1.OrdersService/" + rpc
		answer := orders.Output(t, ".", curl, "-sS", "-G", "-w", "\n%{http_code}", url, "-d", "encoding=json", "--data-urlencode", "message={}")
		if body, status, _ := strings.Cut(answer, "\n"); !strings.HasSuffix(status, want) || !strings.HasPrefix(body, `{"code":"unimplemented","message":"`) {
			t.Errorf("GET %s answers %s, want status %s and an error", rpc, answer, want)
		}
	}
	if strings.Contains(server.Log(), "msg=stored") {
		t.Error("a GET stored an event")
	}
}
