package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// incoming is a request that connect receives, which keeps to the limits of the server.
type incoming struct {
	call    *server.PortCall
	into    proto.Message
	decoded bool
	err     error // as the caller should see it
}

// replies writes fields that have their zero value, too, since scripts and pages that
// read JSON have no schema to take it from. Names are in lowerCamelCase, as the Connect
// protocol says.
var replies = protojson.MarshalOptions{EmitDefaultValues: true}

// codec encodes and decodes messages for connect.
type codec struct {
	name string
	json bool
}

func (c codec) Name() string { return c.name }

// UnmarshalRead leaves in a message's err why it can't be decoded.
func (c codec) UnmarshalRead(_ context.Context, from io.Reader, into any) error {
	in, ok := into.(*incoming)
	if !ok {
		return fmt.Errorf("%T is not a request", into)
	}
	if in.decoded {
		return nil // a second message where there may be one, which connect refuses
	}
	buffer, ok := from.(*bytes.Buffer)
	if !ok {
		buffer = new(bytes.Buffer)
		if _, err := buffer.ReadFrom(from); err != nil {
			return err
		}
	}
	in.decoded = true
	if c.json {
		in.err = in.call.DecodeJSON(buffer.Bytes(), in.into)
	} else {
		in.err = in.call.Decode(buffer.Bytes(), in.into)
	}
	return in.err
}

// scratch has buffers for replies.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// mostScratch is the length up to which a buffer is kept.
const mostScratch = 64 << 10

func (c codec) MarshalWrite(_ context.Context, to io.Writer, from any) (err error) {
	message, ok := from.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a message of protobuf", from)
	}
	buffer := scratch.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= mostScratch {
			scratch.Put(buffer)
		}
	}()
	if !c.json {
		if *buffer, err = (proto.MarshalOptions{}).MarshalAppend((*buffer)[:0], message); err == nil {
			_, err = to.Write(*buffer)
		}
		return err
	}
	if *buffer, err = replies.MarshalAppend((*buffer)[:0], message); err != nil {
		return err
	}
	if whole, ok := to.(*bytes.Buffer); ok {
		return json.Compact(whole, *buffer) // protojson varies the space from build to build
	}
	_, err = to.Write(*buffer)
	return err
}
