// Package server runs gRPC services: reachable from this machine only unless
// told otherwise, bounded in all it takes on, with health and reflection, and
// with an end that lets calls finish.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
)

// Run serves until ctx ends or the process is told to stop by SIGINT or
// SIGTERM. It then takes no new calls and lets those under way finish, for as
// long as config allows; a second signal ends them at once. The error is nil
// if every call could finish.
//
// Run refuses to start if a proto package of the services that it is given has
// one that it is not given, unless told [Without] it.
func Run(ctx context.Context, config Config, options ...Option) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	services, err := collect(options)
	if err != nil {
		return err
	}
	if err := services.complete(); err != nil {
		return err
	}
	server, err := Listen(config, options...)
	if err != nil {
		return err
	}
	return server.serve(ctx, signals)
}

// Server is a server that listens.
type Server struct {
	config   Config
	log      *slog.Logger
	grpc     *grpc.Server
	health   *watchedHealth
	listener net.Listener

	alongside []companion
	needs     []need
}

// Listen makes a server of services, all of their packages or some, and takes
// its address. [Server.Serve] has it answer.
func Listen(config Config, options ...Option) (*Server, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	services, err := collect(options)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: config, log: config.Logger(os.Stderr), health: newWatchedHealth(),
		alongside: services.alongside, needs: services.needs,
	}
	serverOptions, err := s.options()
	if err != nil {
		return nil, err
	}
	s.grpc = grpc.NewServer(serverOptions...)
	for _, service := range services.served {
		s.grpc.RegisterService(service.Desc, service.Impl)
		s.health.SetServingStatus(service.Desc.ServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	}
	s.health.ready(len(s.needs) == 0)
	s.registerOwn()
	listener, err := net.Listen("tcp", config.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another program: stop that, or choose another --addr", config.Addr)
	}
	if err != nil {
		return nil, fmt.Errorf("--addr %s: %w", config.Addr, err)
	}
	s.listener = netutil.LimitListener(listener, config.MaxConnections)
	return s, nil
}

// registerOwn adds the server's own services, but for those that the user has
// an implementation of.
func (s *Server) registerOwn() {
	own := []Service{{Desc: &grpc_health_v1.Health_ServiceDesc, Impl: s.health}}
	if s.config.Reflection {
		own = append(own,
			Service{Desc: &grpc_reflection_v1.ServerReflection_ServiceDesc,
				Impl: reflection.NewServerV1(reflection.ServerOptions{Services: s.grpc})},
			Service{Desc: &grpc_reflection_v1alpha.ServerReflection_ServiceDesc,
				Impl: reflection.NewServer(reflection.ServerOptions{Services: s.grpc})},
		)
	}
	theirs := s.grpc.GetServiceInfo()
	for _, service := range own {
		if _, taken := theirs[service.Desc.ServiceName]; !taken {
			s.grpc.RegisterService(service.Desc, service.Impl)
		}
	}
}

// options are the bounds of the configuration in gRPC's terms.
func (s *Server) options() ([]grpc.ServerOption, error) {
	watch := watch{log: s.log, draining: s.health.draining}
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.config.MaxMessageBytes),
		grpc.MaxConcurrentStreams(uint32(min(int64(s.config.MaxStreams), math.MaxUint32))),
		grpc.MaxHeaderListSize(64 << 10),
		// Draining begins once no connection is just being made.
		grpc.ConnectionTimeout(min(10*time.Second, max(2*time.Second, s.config.DrainTimeout/2))),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(watch.unary),
		grpc.StreamInterceptor(watch.stream),
	}
	if s.config.TLSCert == "" {
		return options, nil
	}
	certificate, err := tls.LoadX509KeyPair(s.config.TLSCert, s.config.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", s.config.TLSCert, s.config.TLSKey, err)
	}
	return append(options, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
	}))), nil
}

// Addr is the address that the server listens on, as host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve answers until ctx ends, then drains: no new calls, and those under way
// may finish within the configuration's DrainTimeout, as may what runs
// [Alongside]. The error is nil if they all did. However it ends, nothing of it
// runs any more once it returns, but for what it had to cut off.
func (s *Server) Serve(ctx context.Context) error {
	return s.serve(ctx, nil)
}

func (s *Server) serve(ctx context.Context, signals <-chan os.Signal) error {
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- s.grpc.Serve(s.listener)
	}()
	s.log.Info("serving", "addr", s.Addr(), "tls", s.config.TLSCert != "")
	company := accompany(ctx, slices.Concat(s.alongside, s.checks()))
	var failure error
	patience := 2 // signals until calls are cut off, even if the first ended ctx too
	select {
	case err := <-ended:
		failure = fmt.Errorf("serving %s: %w", s.Addr(), err)
		go s.grpc.Stop() // it ends no handler: drain waits for those
	case failure = <-company.failed:
		s.log.Error("what runs alongside has failed", "error", failure)
	case <-ctx.Done():
	case told := <-signals:
		patience--
		s.log.Info("told to stop", "signal", told.String())
	}
	err := s.drain(company, signals, patience)
	if failure == nil {
		failure = company.failure()
	}
	if err != nil {
		return errors.Join(failure, err)
	}
	<-ended
	s.log.Info("stopped")
	return failure
}

// drain tells load balancers to go elsewhere and waits for the calls under way
// and for what runs alongside, unless there come as many signals as there is
// patience for.
func (s *Server) drain(company *company, signals <-chan os.Signal, patience int) error {
	s.health.drain()
	company.leave()
	finished := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		<-company.gone
		close(finished)
	}()
	timeout := time.After(s.config.DrainTimeout)
	for patience > 0 {
		select {
		case <-finished:
			return nil
		case <-timeout:
			s.grpc.Stop()
			if running := company.names(); len(running) > 0 {
				return fmt.Errorf("%s still ran %s after the signal to stop: it was cut off", strings.Join(running, ", "), s.config.DrainTimeout)
			}
			return fmt.Errorf("calls were still under way %s after the signal to stop: they were cut off", s.config.DrainTimeout)
		case <-signals:
			patience--
		}
	}
	go s.grpc.Stop() // it would wait for connections that are just being made
	return errors.New("told to stop a second time: the calls under way were cut off")
}
