package other

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsserver"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindstest"
)

// newService builds the service for every test, as main does.
func newService(testing.TB) kindspb.OtherServer {
	return New()
}

// serve runs the service and returns a client of it.
func serve(t testing.TB) kindspb.OtherClient {
	return kindstest.Serve(t, kindsserver.Other(newService(t))).Other()
}

func TestContract(t *testing.T) {
	kindstest.OtherContract{NewService: newService}.Test(t)
}
