//runtime:with eventlog

package web

import (
	"context"
	"io"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// call calls an RPC for a request of HTTP that has its messages in a form of its own: with
// all that the calls of clients pass, from limits to interceptors. path is that of the
// RPC, as "/shop.v1.Orders/Place".
//
// receive makes the next request of the call, once guards have let it in; its error is
// io.EOF after the last. It may read the body of the exchange, which is that of r within
// the limits, with an error that says which one ended it. The replies are not sent. What
// the handler sets as headers and trailer goes to the headers of to, a trailer with the
// prefix "Trailer-", as in the Connect protocol. The call has the metadata md, which
// receive may change before it returns the first request.
//
// The error is what the caller of the RPC would get, with its code as a status; nothing
// else is written to to. Its headers may have been set.
func (p *port) call(to http.ResponseWriter, r *http.Request, path string, md metadata.MD,
	receive func(x *exchange, into proto.Message) error,
) error {
	rpc, ok := p.rpcs[path]
	if !ok {
		return status.Errorf(codes.Unimplemented, "there is no RPC at %s", shorten(path))
	}
	x, err := p.enter(to, r, rpc)
	if err != nil {
		return err
	}
	defer x.leave()
	if r.Body != http.NoBody {
		x.receives(false)
	}
	ctx, cancel := context.WithCancel(x.request.Context())
	defer cancel()
	s, err := x.stream(ctx, &own{x, receive}, to.Header(), trailer{to.Header()})
	if err != nil {
		return err
	}
	defer s.stop()
	s.ctx = metadata.NewIncomingContext(s.ctx, md)
	if err := rpc.Handle(s); err != nil {
		if after := retryAfter(err); after != "" {
			to.Header().Set("Retry-After", after)
		}
		return err
	}
	return nil
}

// own are messages in a form of the caller's.
type own struct {
	x        *exchange
	incoming func(x *exchange, into proto.Message) error
}

func (o *own) receive(into proto.Message) error {
	err := o.incoming(o.x, into)
	if err == nil || err == io.EOF {
		return err
	}
	if cut := o.x.call.Cut(); cut != nil {
		return cut
	}
	return err
}

func (o *own) send(proto.Message) error { return nil }

func (o *own) sendHeaders() error { return nil }

// trailer adds to headers what is sent as a trailer.
type trailer struct{ http.Header }

func (t trailer) Add(name, value string) { t.Header.Add("Trailer-"+name, value) }
