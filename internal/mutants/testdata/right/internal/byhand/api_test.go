package byhand

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindstest"
)

// TestContract knows the service by its interface alone.
func TestContract(t *testing.T) {
	kindstest.IntakeContract{
		NewService: func(_ testing.TB, events *kindsevents.Log) kindspb.IntakeServer {
			return NewAPI(journal{events})
		},
	}.Test(t)
}
