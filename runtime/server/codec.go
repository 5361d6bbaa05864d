package server

import (
	"io"

	"google.golang.org/grpc/encoding"
	// Clients may compress their requests by gzip, as exporters of OpenTelemetry do by
	// default. A request counts against MaxMessageBytes as it is uncompressed, so a
	// small one can't take more memory than a large one.
	_ "google.golang.org/grpc/encoding/gzip"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec
	"google.golang.org/grpc/mem"
)

// received is a message as it arrived, decompressed.
type received struct{ data mem.BufferSlice }

// rawCodec is gRPC's own codec, except that it leaves a message as it is if that
// is asked for, or if it is encoded already.
type rawCodec struct{ encoding.CodecV2 }

var codec = rawCodec{encoding.GetCodecV2("proto")}

func (c rawCodec) Marshal(message any) (mem.BufferSlice, error) {
	if encoded, ok := message.(mem.BufferSlice); ok {
		return encoded, nil
	}
	return c.CodecV2.Marshal(message)
}

func (c rawCodec) Unmarshal(data mem.BufferSlice, into any) error {
	raw, ok := into.(*received)
	if !ok {
		return c.CodecV2.Unmarshal(data, into)
	}
	if raw.data != nil {
		return io.ErrUnexpectedEOF // a second message
	}
	data.Ref()
	raw.data = data
	return nil
}
