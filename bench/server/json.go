//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"google.golang.org/protobuf/encoding/protojson"

	"example.com/receiver/gen/receiverpb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/web"
)

// listening makes the server listen for HTTP, too.
func listening(*server.Service) (setup, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return setup{}, err
	}
	port := web.Config{Addr: free.Addr().String()}
	return setup{options: []server.Option{port.Option()}, http: port.Addr}, free.Close()
}

// jsonCallers returns how callers call the RPC by HTTP with JSON. By HTTP/1.1 each has a
// connection, which it keeps; by HTTP/2 they share those that there are.
func jsonCallers(two bool, addr string, connections, callers int, message *receiverpb.Event) ([]func(context.Context) error, error) {
	body, err := protojson.Marshal(message)
	if err != nil {
		return nil, err
	}
	if !two {
		connections = 1
	}
	clients := make([]*http.Client, connections)
	for i := range clients {
		transport := &http.Transport{MaxIdleConnsPerHost: callers, Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(!two)
		transport.Protocols.SetUnencryptedHTTP2(two)
		clients[i] = &http.Client{Transport: transport}
	}
	all := make([]func(context.Context) error, callers)
	for i := range all {
		client := clients[i%len(clients)]
		all[i] = func(ctx context.Context) (err error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+receiverpb.Receiver_Receive_FullMethodName, bytes.NewReader(body))
			if err != nil {
				return err
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := client.Do(request)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, response.Body.Close()) }()
			answer, err := io.ReadAll(response.Body)
			if err == nil && response.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s: %s", response.Status, answer)
			}
			return err
		}
	}
	return all, nil
}
