package command

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
)

// codec is protobuf's, except that a reply which can't be read leaves its message
// empty and is kept aside: it is shown raw, where gRPC would end the call. It may
// come from a server with an older proto, in which a string was bytes.
type codec struct {
	mu     sync.Mutex
	unread map[any]unread // by their messages
}

type unread struct {
	data   []byte
	reason error
}

func (c *codec) Name() string { return "proto" }

func (c *codec) Marshal(v any) ([]byte, error) {
	message, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a protobuf message", v)
	}
	return proto.Marshal(message)
}

func (c *codec) Unmarshal(data []byte, v any) error {
	message, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a protobuf message", v)
	}
	err := proto.Unmarshal(data, message)
	if err == nil {
		return nil
	}
	proto.Reset(message)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unread == nil {
		c.unread = make(map[any]unread)
	}
	c.unread[v] = unread{append([]byte{}, data...), readableError(err)}
	return nil
}

// take returns the bytes of a reply that could not be read, and why, once.
func (c *codec) take(reply proto.Message) (raw unread, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	raw, ok = c.unread[reply]
	delete(c.unread, reply)
	return raw, ok
}
