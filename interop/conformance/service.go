// Package conformance has the service that connectrpc's conformance suite calls,
// written as any service of gRPC is, and a program that serves it by both ports of
// our server: gRPC's, and that of HTTP.
package conformance

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	pb "github.com/protoc-gen-receiver/protoc-gen-receiver/interop/conformance/conformancev1"
)

// Service answers each call as its first request says, with what it saw of the call. Its
// RPC Unimplemented is not implemented, as the suite wants it.
type Service struct {
	pb.UnimplementedConformanceServiceServer
}

func (Service) Unary(ctx context.Context, request *pb.UnaryRequest) (*pb.UnaryResponse, error) {
	payload, err := answer(ctx, request.GetResponseDefinition(), request)
	return &pb.UnaryResponse{Payload: payload}, err
}

func (Service) IdempotentUnary(ctx context.Context, request *pb.IdempotentUnaryRequest) (*pb.IdempotentUnaryResponse, error) {
	payload, err := answer(ctx, request.GetResponseDefinition(), request)
	return &pb.IdempotentUnaryResponse{Payload: payload}, err
}

func (Service) ClientStream(stream grpc.ClientStreamingServer[pb.ClientStreamRequest, pb.ClientStreamResponse]) error {
	var requests []proto.Message
	var definition *pb.UnaryResponseDefinition
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if requests == nil {
			definition = request.GetResponseDefinition()
		}
		requests = append(requests, request)
	}
	payload, err := answer(stream.Context(), definition, requests...)
	if err != nil {
		return err
	}
	return stream.SendAndClose(&pb.ClientStreamResponse{Payload: payload})
}

func (Service) ServerStream(request *pb.ServerStreamRequest, stream grpc.ServerStreamingServer[pb.ServerStreamResponse]) error {
	a, err := begin(stream, request.GetResponseDefinition(), func(payload *pb.ConformancePayload) error {
		return stream.Send(&pb.ServerStreamResponse{Payload: payload})
	})
	if err != nil {
		return err
	}
	a.saw(request)
	if err := a.sendAll(); err != nil {
		return err
	}
	return a.end()
}

func (Service) BidiStream(stream grpc.BidiStreamingServer[pb.BidiStreamRequest, pb.BidiStreamResponse]) error {
	request, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	a := &answers{stream: stream, definition: request.GetResponseDefinition(), send: func(payload *pb.ConformancePayload) error {
		return stream.Send(&pb.BidiStreamResponse{Payload: payload})
	}}
	inTurn := request.GetFullDuplex()
	if inTurn {
		err = a.begin()
	}
	for ; err == nil; request, err = stream.Recv() {
		a.saw(request)
		if !inTurn {
			continue
		}
		if a.sentAll() {
			return a.end()
		}
		if err := a.sendNext(); err != nil {
			return err
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	// A client of HTTP/1.1 may not read before it has sent everything.
	if !inTurn {
		if err := a.begin(); err != nil {
			return err
		}
	}
	if err := a.sendAll(); err != nil {
		return err
	}
	return a.end()
}

// answer returns the payload that a definition describes, or the error, with the headers
// and trailers of the definition.
func answer(ctx context.Context, definition *pb.UnaryResponseDefinition, requests ...proto.Message) (*pb.ConformancePayload, error) {
	info, err := seen(ctx, requests)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		grpc.SetHeader(ctx, metadataOf(definition.GetResponseHeaders())),
		grpc.SetTrailer(ctx, metadataOf(definition.GetResponseTrailers())),
	)
	if err != nil {
		return nil, err
	}
	sleep(definition.GetResponseDelayMs())
	if definition.GetError() != nil {
		return nil, errorOf(definition.GetError(), info)
	}
	return &pb.ConformancePayload{Data: definition.GetResponseData(), RequestInfo: info}, nil
}

// answers are those of a stream.
type answers struct {
	stream     grpc.ServerStream
	definition *pb.StreamResponseDefinition
	send       func(*pb.ConformancePayload) error
	requests   []proto.Message // since the last answer
	sent       int
}

func begin(stream grpc.ServerStream, definition *pb.StreamResponseDefinition, send func(*pb.ConformancePayload) error) (*answers, error) {
	a := &answers{stream: stream, definition: definition, send: send}
	return a, a.begin()
}

// begin sets the trailers, and sends the headers at once if there will be answers.
func (a *answers) begin() error {
	a.stream.SetTrailer(metadataOf(a.definition.GetResponseTrailers()))
	headers := metadataOf(a.definition.GetResponseHeaders())
	if a.sentAll() {
		return a.stream.SetHeader(headers)
	}
	return a.stream.SendHeader(headers)
}

func (a *answers) saw(request proto.Message) { a.requests = append(a.requests, request) }

func (a *answers) sentAll() bool { return a.sent == len(a.definition.GetResponseData()) }

func (a *answers) sendAll() error {
	for !a.sentAll() {
		if err := a.sendNext(); err != nil {
			return err
		}
	}
	return nil
}

// sendNext sends the next answer. The first has all that was seen of the call, the others
// the requests since.
func (a *answers) sendNext() error {
	payload := &pb.ConformancePayload{Data: a.definition.GetResponseData()[a.sent]}
	var err error
	if a.sent == 0 {
		payload.RequestInfo, err = seen(a.stream.Context(), a.requests)
	} else if len(a.requests) > 0 {
		payload.RequestInfo = &pb.ConformancePayload_RequestInfo{}
		payload.RequestInfo.Requests, err = wrap(a.requests)
	}
	if err != nil {
		return err
	}
	sleep(a.definition.GetResponseDelayMs())
	if err := a.stream.Context().Err(); err != nil {
		return err
	}
	a.sent++
	a.requests = nil
	return a.send(payload)
}

// end returns the error of the definition. If nothing was sent, it has what was seen of
// the call.
func (a *answers) end() error {
	if a.definition.GetError() == nil {
		return nil
	}
	if a.sent > 0 {
		return errorOf(a.definition.GetError(), nil)
	}
	info, err := seen(a.stream.Context(), a.requests)
	if err != nil {
		return err
	}
	return errorOf(a.definition.GetError(), info)
}

// seen returns what the handler sees of a call.
func seen(ctx context.Context, requests []proto.Message) (*pb.ConformancePayload_RequestInfo, error) {
	wrapped, err := wrap(requests)
	if err != nil {
		return nil, err
	}
	info := &pb.ConformancePayload_RequestInfo{Requests: wrapped}
	if deadline, ok := ctx.Deadline(); ok {
		info.TimeoutMs = proto.Int64(max(0, time.Until(deadline).Milliseconds()))
	}
	incoming, _ := metadata.FromIncomingContext(ctx)
	for name, values := range incoming {
		header := &pb.Header{Name: name}
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				value = base64.RawStdEncoding.EncodeToString([]byte(value))
			}
			header.Value = append(header.Value, value)
		}
		info.RequestHeaders = append(info.RequestHeaders, header)
	}
	return info, nil
}

func wrap(requests []proto.Message) ([]*anypb.Any, error) {
	wrapped := make([]*anypb.Any, 0, len(requests))
	for _, request := range requests {
		one, err := anypb.New(request)
		if err != nil {
			return nil, err
		}
		wrapped = append(wrapped, one)
	}
	return wrapped, nil
}

// errorOf returns the status of a definition, with info as its last detail.
func errorOf(defined *pb.Error, info *pb.ConformancePayload_RequestInfo) error {
	details := defined.GetDetails()
	if info != nil {
		detail, err := anypb.New(info)
		if err != nil {
			return err
		}
		details = append(details, detail)
	}
	return grpcstatus.ErrorProto(&status.Status{
		Code: int32(defined.GetCode()), Message: defined.GetMessage(), Details: details,
	})
}

// metadataOf returns headers as metadata. The suite has binary values in base64.
func metadataOf(headers []*pb.Header) metadata.MD {
	md := metadata.MD{}
	for _, header := range headers {
		for _, value := range header.GetValue() {
			if strings.HasSuffix(strings.ToLower(header.GetName()), "-bin") {
				if decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "=")); err == nil {
					value = string(decoded)
				}
			}
			md.Append(header.GetName(), value)
		}
	}
	return md
}

func sleep(ms uint32) { time.Sleep(time.Duration(ms) * time.Millisecond) }
