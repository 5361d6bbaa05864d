// Command collector is a collector of OpenTelemetry for the pages about traces: it writes
// a line into a file for each span that it gets by gRPC, on the usual port.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strings"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(file string) error {
	spans, err := os.Create(file)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "localhost:4317")
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, &writer{to: spans})
	log.Print("listening")
	return s.Serve(listener)
}

type writer struct {
	collector.UnimplementedTraceServiceServer
	to *os.File
}

func (w *writer) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, of := range request.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				kind := strings.TrimPrefix(span.GetKind().String(), "SPAN_KIND_")
				if _, err := fmt.Fprintf(w.to, "%s %s links=%d\n", span.GetName(), kind, len(span.GetLinks())); err != nil {
					return nil, err
				}
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}
