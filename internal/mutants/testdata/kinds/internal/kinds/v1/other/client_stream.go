package other

import (
	"errors"
	"io"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
)

// ClientStream counts each name as often as it says, and answers the sum.
func (s *Service) ClientStream(stream kindspb.Other_ClientStreamServer) error {
	var sum uint32
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		s.add(request.GetMessage(), request.GetCount())
		sum += request.GetCount()
	}
	return stream.SendAndClose(&kindspb.Reply{Message: "sum", Count: sum})
}
