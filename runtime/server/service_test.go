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

// ended has Run end as soon as it serves.
func ended(t *testing.T, options ...Option) error {
	t.Helper()
	config := free()
	server, err := Listen(config, tested(&service{}))
	if err != nil {
		t.Fatal(err)
	}
	defer server.listener.Close()
	config.Addr = server.Addr() // taken: whoever gets as far as listening is stopped by it
	return Run(t.Context(), config, options...)
}

// withoutOthers are the options for a TestService alone.
func withoutOthers() (options []Option) {
	for _, name := range siblings(testpb.TestService_ServiceDesc.ServiceName) {
		if name != testpb.TestService_ServiceDesc.ServiceName {
			options = append(options, Without(name))
		}
	}
	return options
}

func TestAServiceThatIsLeftOutIsMissedByName(t *testing.T) {
	err := ended(t, tested(&service{}))
	oneLine(t, err, "grpc.testing.ReconnectService", "grpc.testing.UnimplementedService", "server.Without(\"grpc.testing.")
	if strings.Contains(err.Error(), "grpc.testing.TestService") {
		t.Errorf("%q misses what is served", err)
	}
	if names := siblings(testpb.TestService_ServiceDesc.ServiceName); strings.Count(err.Error(), "grpc.testing.Hook") != 1 || !slices.Contains(names, "grpc.testing.HookService") {
		t.Errorf("%q names a service more than once", err)
	}
}

func TestAServiceMayBeLeftOutOnPurpose(t *testing.T) {
	others := withoutOthers()
	if len(others) < 2 {
		t.Fatal("the package has too few services to tell")
	}
	oneLine(t, ended(t, append(others, tested(&service{}))...), "in use")

	last := others[len(others)-1].(without)
	err := ended(t, append(others[:len(others)-1], tested(&service{}))...)
	oneLine(t, err, "no implementation is served for "+string(last)+":")
}

func TestAServiceWithoutAProtoStandsAlone(t *testing.T) {
	oneLine(t, ended(t, Service{Desc: &handMade, Impl: &service{}}), "in use")
}

func TestServicesThatCannotBeServedAreRefused(t *testing.T) {
	for _, test := range []struct {
		options []Option
		says    string
	}{
		{nil, "no service"},
		{[]Option{Without("grpc.testing.TestService")}, "no service"},
		{[]Option{tested(&service{}), tested(&service{})}, "grpc.testing.TestService is served twice"},
		{[]Option{Service{Desc: &testpb.TestService_ServiceDesc}}, "grpc.testing.TestService is served by nil"},
	} {
		_, err := Listen(free(), test.options...)
		oneLine(t, err, test.says)
		oneLine(t, Run(t.Context(), free(), test.options...), test.says)
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

func TestTheUsersHealthServiceTakesThePlaceOfOurs(t *testing.T) {
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
