package server

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// runOnTakenAddress calls Run with an address that is in use, so that it returns
// as soon as it listens.
func runOnTakenAddress(t *testing.T, options ...Option) error {
	t.Helper()
	config := free()
	server, err := Listen(config, tested(&service{}))
	if err != nil {
		t.Fatal(err)
	}
	defer server.listener.Close()
	config.Addr = server.Addr()
	return Run(t.Context(), config, options...)
}

// withoutOthers returns the options to serve TestService alone.
func withoutOthers() (options []Option) {
	for _, name := range siblings(testpb.TestService_ServiceDesc.ServiceName) {
		if name != testpb.TestService_ServiceDesc.ServiceName {
			options = append(options, Without(name))
		}
	}
	return options
}

func TestAMissingServiceIsReportedByName(t *testing.T) {
	err := runOnTakenAddress(t, tested(&service{}))
	oneLine(t, err, "grpc.testing.ReconnectService", "grpc.testing.UnimplementedService", "server.Without(\"grpc.testing.")
	if strings.Contains(err.Error(), "grpc.testing.TestService") {
		t.Errorf("%q names a service that is served", err)
	}
	if names := siblings(testpb.TestService_ServiceDesc.ServiceName); strings.Count(err.Error(), "grpc.testing.Hook") != 1 || !slices.Contains(names, "grpc.testing.HookService") {
		t.Errorf("%q names a service more than once", err)
	}
}

func TestAServiceMayBeLeftOutOnPurpose(t *testing.T) {
	others := withoutOthers()
	if len(others) < 2 {
		t.Fatal("the package has too few services for this test")
	}
	oneLine(t, runOnTakenAddress(t, append(others, tested(&service{}))...), "in use")

	last := others[len(others)-1].(without)
	err := runOnTakenAddress(t, append(others[:len(others)-1], tested(&service{}))...)
	oneLine(t, err, "no implementation is served for "+string(last)+":")
}

func TestAServiceWithoutAProtoNeedsNoOther(t *testing.T) {
	oneLine(t, runOnTakenAddress(t, Service{Desc: &handMade, Impl: &service{}}), "in use")
}

func TestServicesThatCannotBeServedAreRefused(t *testing.T) {
	for _, test := range []struct {
		options []Option
		want    string
	}{
		{nil, "no service"},
		{[]Option{Without("grpc.testing.TestService")}, "no service"},
		{[]Option{tested(&service{}), tested(&service{})}, "grpc.testing.TestService is given twice"},
		{[]Option{Service{Desc: &testpb.TestService_ServiceDesc}}, "grpc.testing.TestService has a nil implementation"},
	} {
		_, err := Listen(free(), test.options...)
		oneLine(t, err, test.want)
		oneLine(t, Run(t.Context(), free(), test.options...), test.want)
	}
}

func TestAServiceLeftOutIsUnimplemented(t *testing.T) {
	running := serve(t, free(), tested(&service{}), Without("grpc.testing.HookService"))
	_, err := testpb.NewHookServiceClient(dial(t, running.Addr())).Hook(soon(t), &testpb.Empty{})
	if status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
}

// ownHealth is a health service that the user implements.
type ownHealth struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (ownHealth) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return nil, status.Error(codes.DataLoss, "mine")
}

func TestTheUsersHealthServiceReplacesOurs(t *testing.T) {
	running := serve(t, free(), Service{Desc: &grpc_health_v1.Health_ServiceDesc, Impl: ownHealth{}})
	_, err := grpc_health_v1.NewHealthClient(dial(t, running.Addr())).Check(soon(t), &grpc_health_v1.HealthCheckRequest{})
	if status.Code(err) != codes.DataLoss {
		t.Errorf("the error is %v, want the user's", err)
	}
}

func TestAStreamWithoutAnEndEndsWhenTheServerDrains(t *testing.T) {
	endless := &service{stream: func(stream testpb.TestService_FullDuplexCallServer) error {
		ctx, stop := UntilDrain(stream.Context())
		defer stop()
		if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	running := serve(t, free(), tested(endless), Without("grpc.testing.HookService"))
	stream, err := testpb.NewTestServiceClient(dial(t, running.Addr())).FullDuplexCall(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	running.stop()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ends with %v, want code Unavailable", err)
	}
}
