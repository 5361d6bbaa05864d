package conformance

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/proto"

	pb "github.com/protoc-gen-receiver/protoc-gen-receiver/interop/conformance/conformancev1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/web"
)

// Program is a server under test, as the suite runs it: it reads how to serve from in,
// serves on free ports, writes where one of them is to out, and goes on until ctx ends.
// That port is the one of gRPC, or if http is true that of HTTP.
func Program(ctx context.Context, in io.Reader, out io.Writer, http bool) error {
	request := &pb.ServerCompatRequest{}
	if err := read(in, request); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	config := server.Defaults("conformance-server")
	config.Addr = "127.0.0.1:0"
	if request.GetMessageReceiveLimit() > 0 {
		config.MaxMessageBytes = int(request.GetMessageReceiveLimit())
	}
	if request.GetUseTls() {
		for _, file := range []struct {
			path    *string
			name    string
			content []byte
		}{
			{&config.TLSCert, "cert.pem", request.GetServerCreds().GetCert()},
			{&config.TLSKey, "key.pem", request.GetServerCreds().GetKey()},
			{&config.TLSClientCA, "clients.pem", request.GetClientTlsCert()},
		} {
			if len(file.content) == 0 {
				continue
			}
			*file.path = filepath.Join(folder, file.name)
			if err := os.WriteFile(*file.path, file.content, 0o600); err != nil {
				return err
			}
		}
	}
	beside, listens := web.Config{Addr: config.Addr}, make(listeners, 2)
	s, err := server.Listen(config, server.Logger(slog.New(listens)), beside.Option(),
		server.Service{Desc: &pb.ConformanceService_ServiceDesc, Impl: Service{}})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	addr := s.Addr()
	if http {
		select {
		case addr = <-listens:
		case err := <-ended:
			return err
		}
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	response := &pb.ServerCompatResponse{Host: host, Port: uint32(number), PemCert: request.GetServerCreds().GetCert()}
	if err := write(out, response); err != nil {
		return err
	}
	return <-ended
}

// listeners is a log that receives the address of HTTP.
type listeners chan string

func (l listeners) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(attr slog.Attr) bool {
		if record.Message == "serving HTTP" && attr.Key == "addr" {
			l <- attr.Value.String()
		}
		return true
	})
	return nil
}

func (l listeners) Enabled(context.Context, slog.Level) bool { return true }

func (l listeners) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l listeners) WithGroup(string) slog.Handler { return l }

// read reads a message after its length, as the suite writes it.
func read(in io.Reader, into proto.Message) error {
	var length uint32
	if err := binary.Read(in, binary.BigEndian, &length); err != nil {
		return fmt.Errorf("reading the length of a message of the suite: %w", err)
	}
	encoded := make([]byte, length)
	if _, err := io.ReadFull(in, encoded); err != nil {
		return fmt.Errorf("reading a message of the suite: %w", err)
	}
	return proto.Unmarshal(encoded, into)
}

func write(out io.Writer, message proto.Message) error {
	encoded, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	_, err = out.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(encoded))), encoded...))
	return err
}
