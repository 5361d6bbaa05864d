// Package server runs gRPC services. By default a server can be reached from
// its own machine only. It limits messages, streams and connections, has gRPC's
// health and reflection services, and lets calls finish when it stops.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
)

// Run serves until ctx ends or the process gets SIGINT or SIGTERM. Then it stops, in
// this order:
//
//  1. The health of all services becomes NOT_SERVING. For the DrainDelay of config it
//     serves on, so that load balancers have time to send calls elsewhere.
//  2. It takes no new connections and calls: clients take their calls to another server.
//     Calls under way finish, within the DrainTimeout, which begins here.
//  3. Streams that would keep it end with code Unavailable: tails, watches of the health,
//     and streams on which nothing comes.
//  4. What runs [Alongside] has ended. Run returns, and main closes the event log.
//
// A second SIGINT or SIGTERM, a second or more after the first, ends the delay; one
// after that ends all calls at once. The error is nil if every call could finish.
//
// On SIGHUP the server looks at the files that it watches (see [Watch]) and goes on.
// If there are none, SIGHUP is the same as SIGTERM, unless it is ignored, as nohup does.
//
// Run returns an error at once if a proto package of the given services declares
// another service that is not given, unless options have [Without] for it.
func Run(ctx context.Context, config Config, options ...Option) error {
	signals, hangUps := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(hangUps, syscall.SIGHUP)
		defer signal.Stop(hangUps)
	}
	services, err := collect(options)
	if err != nil {
		return err
	}
	if err := services.checkComplete(); err != nil {
		return err
	}
	server, err := Listen(config, options...)
	if err != nil {
		return err
	}
	return server.serve(ctx, signals, hangUps)
}

// Server is a gRPC server that listens on its address.
type Server struct {
	config   Config
	log      *slog.Logger
	grpc     *grpc.Server
	health   *watchedHealth
	limits   *limits
	listener net.Listener

	services    []Service
	alongside   companions // nil for none
	leaving     atomic.Bool
	watched     []*watched
	intercept   interceptor
	guards      []Guard
	observer    observer
	ports       otherPorts                                                  // nil for none
	lanes       func(*Server, Service, *grpc.ServiceDesc) *grpc.ServiceDesc // adds them; nil for none
	bound       []boundService
	credentials credentials.TransportCredentials // of the user; nil for those of the configuration

	certificates *certificates // nil without TLS by the configuration
}

// otherPorts are those at which a server listens besides that of gRPC (see [Ports]).
type otherPorts interface {
	open(*Server) error
	serve() <-chan error // receives the error of a port that ends early
	drain()              // returns when the calls under way have ended
	close()
}

// companions are what runs alongside the calls of a server (see [Alongside] and [Needs]).
type companions interface {
	check(served map[string]bool) error // names of services
	follow(*Server)                     // by the health of its services, from now on
	start(context.Context) <-chan error // receives the first error of one
	end()                               // cancels them, and returns when they have returned
	running() []string                  // names of those that have not returned
	states() []NeedState
}

// NeedState says how one of the [Needs] of a server is now.
type NeedState struct {
	Name string
	// Err is the error of the last check; nil if the need is met.
	Err error
	// Since is when the need began to be met, or not to be.
	Since time.Time
}

// Readiness returns the states of all needs, and whether the server is leaving: it stops,
// and load balancers are to send calls elsewhere. It is ready if it is not leaving and
// all needs are met.
func (s *Server) Readiness() (needs []NeedState, leaving bool) {
	if s.alongside != nil {
		needs = s.alongside.states()
	}
	return needs, s.leaving.Load()
}

// Listen makes a server of services and listens on its address. Unlike [Run], it
// doesn't require all services of a proto package. [Server.Serve] answers calls.
func Listen(config Config, options ...Option) (*Server, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	config = config.withoutZeros()
	services, err := collect(options)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: config, log: withCall(cmp.Or(services.log, config.Logger(os.Stderr))), health: newWatchedHealth(),
		services: services.served, alongside: services.alongside, guards: services.guards, credentials: services.credentials,
		observer: services.observer, ports: services.ports, lanes: services.lanes,
	}
	if err := errors.Join(s.checkCredentials(), services.checkGRPC(services.grpc)); err != nil {
		return nil, err
	}
	if err := s.loadFiles(services.watches); err != nil {
		return nil, err
	}
	s.intercept = interceptor{log: s.log, notices: newNotices(s.log, s.observer), draining: s.health.draining, unaries: services.unary, streams: services.stream, keep: services.keep}
	s.limits = newLimits(config, s.intercept.notices, s.health.draining)
	s.limits.keepsRefused = services.keep != nil
	serverOptions := slices.Concat(defaultOptions, services.grpc, s.options())
	for _, handler := range services.stats {
		serverOptions = append(serverOptions, grpc.StatsHandler(handler))
	}
	s.grpc = grpc.NewServer(serverOptions...)
	for _, service := range services.served {
		s.register(service, false)
		setHealth(s.health.Server, service.Desc.ServiceName, true)
	}
	if s.alongside != nil {
		s.alongside.follow(s)
	}
	s.registerOwn()
	listener, err := net.Listen("tcp", config.Addr)
	if err != nil {
		s.grpc.Stop() // its workers
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another program: stop that program, or choose another --addr", config.Addr)
	}
	if err != nil {
		return nil, fmt.Errorf("--addr %s: %w", config.Addr, err)
	}
	s.limits.connections = listenWithin(s.limits, listener)
	s.listener = s.limits.connections
	if s.ports != nil {
		if err := s.ports.open(s); err != nil {
			s.grpc.Stop()
			return nil, errors.Join(err, listener.Close())
		}
	}
	s.observer.listening(s)
	return s, nil
}

// encrypts reports whether clients connect with encryption.
func (s *Server) encrypts() bool {
	if s.credentials == nil {
		return s.config.TLSCert != ""
	}
	return s.credentials.Info().SecurityProtocol != "insecure"
}

// checkCredentials returns an error if it is not clear how clients connect, or if the
// server would serve other machines in plaintext without being asked to.
func (s *Server) checkCredentials() error {
	if s.credentials != nil && s.config.TLSCert != "" {
		return errors.New("the server has server.Credentials and --tls-cert: give it one of them")
	}
	if s.encrypts() {
		return nil
	}
	return s.config.checkPlaintext()
}

// register adds a service, ours or one of the user's.
func (s *Server) register(service Service, ours bool) {
	desc := s.limits.bound(service, s.intercept, s.guards, s.observer, ours)
	s.bound = append(s.bound, boundService{desc, service.Impl, service.RPCs})
	if s.lanes != nil && !ours {
		desc = s.lanes(s, service, desc)
	}
	s.grpc.RegisterService(desc, service.Impl)
}

// boundService is a service whose calls keep to the limits, and are all streams.
type boundService struct {
	desc *grpc.ServiceDesc
	impl any
	rpcs map[string]RPC
}

// registerOwn adds the server's own services, except those that the user
// implements.
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
	registered := s.grpc.GetServiceInfo()
	for _, service := range own {
		if _, ok := registered[service.Desc.ServiceName]; !ok {
			s.register(service, true)
		}
	}
}

// workers is how many goroutines handle one call after the other. Calls that find all
// of them busy get a goroutine each.
const workers = 64

// defaultOptions are options of gRPC that those of the user may replace.
var defaultOptions = []grpc.ServerOption{
	// A new goroutine for each call begins with a small stack, and copies it several
	// times until it is large enough: that takes a seventh of a call's time.
	grpc.NumStreamWorkers(workers),
	grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
}

// options returns the options of gRPC for the configuration, which those of the user
// must not replace.
func (s *Server) options() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.InTapHandle(s.limits.letIn),
		grpc.ForceServerCodecV2(codec),
		grpc.ReadBufferSize(0), // a follower has the buffer
		// Without these gRPC lets a client send up to 16 MiB for each call that
		// nobody has asked for yet.
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connectionWindow),
		grpc.MaxRecvMsgSize(s.config.MaxMessageBytes),
		grpc.MaxConcurrentStreams(uint32(min(int64(s.config.MaxStreams), math.MaxUint32))),
		grpc.MaxHeaderListSize(uint32(min(int64(s.config.MaxMetadataBytes), math.MaxUint32))),
		// gRPC drains only once all connections have finished their handshakes,
		// so one must not take as long as the drain timeout.
		grpc.ConnectionTimeout(min(10*time.Second, max(2*time.Second, s.config.DrainTimeout/2))),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: time.Minute, Timeout: 20 * time.Second,
			MaxConnectionIdle: s.config.IdleTimeout,
			MaxConnectionAge:  s.config.MaxConnectionAge, MaxConnectionAgeGrace: s.config.MaxConnectionAgeGrace,
		}),
	}
	if s.credentials != nil {
		return append(options, grpc.Creds(handshake{s.credentials, s.log}))
	}
	if s.certificates == nil {
		return append(options, grpc.Creds(handshake{}))
	}
	return append(options, grpc.Creds(handshake{s.certificates.credentials(), s.log}))
}

// warnIfOpen logs what the configuration leaves open to other machines at an address.
func (s *Server) warnIfOpen(addr string, encrypted bool) {
	if private(addr) {
		return
	}
	known := slices.ContainsFunc(s.guards, func(g Guard) bool { return g.KnowsCallers })
	switch {
	case known && !encrypted:
		s.log.Warn("API keys and tokens come in plaintext: whoever sees them on their way can use them. Give --tls-cert and --tls-key, unless something in front encrypts", "addr", addr)
	case !known && s.config.TLSClientCA == "" && s.credentials == nil && len(s.intercept.unaries) == 0:
		s.log.Warn("anyone who reaches this address can call this server: give it API keys (--keys) or --tls-client-ca, or check callers in an interceptor, or in a Guard that has KnowsCallers", "addr", addr)
	}
}

// Addr returns the address that the server listens on, as host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve answers calls until ctx ends. Then it stops as [Run] does: its health is
// NOT_SERVING, after the configuration's DrainDelay it takes no new calls, and lets the
// calls under way and what runs [Alongside] finish within its DrainTimeout. The error is
// nil if all of them did. When Serve returns, nothing that it started is still running,
// except what it had to cut off.
func (s *Server) Serve(ctx context.Context) error {
	return s.serve(ctx, nil, nil)
}

func (s *Server) serve(ctx context.Context, signals, hangUps <-chan os.Signal) error {
	s.listening(ctx)
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- s.grpc.Serve(s.listener)
	}()
	var portsEnded <-chan error
	if s.ports != nil {
		portsEnded = s.ports.serve()
		defer s.ports.close()
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	stopWatching := make(chan struct{})
	defer close(stopWatching)
	watching.Go(func() { s.limits.watch(stopWatching) })
	stopFiles := func() {}
	if len(s.watched) > 0 {
		stopFiles = s.watchFiles(hangUps)
		hangUps = nil // it does not end the server
	}
	s.log.Info("serving", "addr", s.Addr(), "tls", s.encrypts())
	s.warnIfOpen(s.Addr(), s.encrypts())
	var failed <-chan error
	if s.alongside != nil {
		failed = s.alongside.start(ctx)
	}
	var failure error
	delay := s.config.DrainDelay
	select {
	case err := <-ended:
		failure = fmt.Errorf("serving %s: %w", s.Addr(), err)
		go s.grpc.Stop() // it doesn't end handlers: drain waits for those
		delay = 0
	case failure = <-portsEnded:
		s.log.Error("a port failed", "error", failure)
	case failure = <-failed:
		s.log.Error("a task that runs alongside the server failed", "error", failure)
	case <-ctx.Done():
	case received := <-signals:
		s.log.Info("stopping", "signal", received.String())
	case received := <-hangUps:
		s.log.Info("stopping", "signal", received.String())
	}
	err := s.drain(stopFiles, signals, s.leave(delay, signals))
	if failure == nil && len(failed) > 0 {
		failure = <-failed
	}
	if err != nil {
		return errors.Join(failure, err)
	}
	for range ended { // its error could only say that the server was stopped
	}
	s.log.Info("stopped")
	return failure
}

// secondSignal is how long after a signal another one counts. One that comes sooner is the
// same again: it also ended the context, or was sent to the process and to its group, as
// GNU timeout does.
const secondSignal = time.Second

// leave sets the health to NOT_SERVING, so that load balancers go elsewhere, and waits
// for a delay while the server goes on serving. A second signal ends the wait. It returns
// when the last signal came that counts.
func (s *Server) leave(delay time.Duration, signals <-chan os.Signal) (last time.Time) {
	last = time.Now()
	s.leaving.Store(true)
	s.health.Shutdown() // for good
	if delay == 0 {
		return last
	}
	s.log.Info("not ready: serving on, until load balancers know", "drain_delay", delay.String())
	timeout := time.After(delay)
	for {
		select {
		case <-timeout:
			return last
		case <-signals:
			if time.Since(last) >= secondSignal {
				return time.Now()
			}
		}
	}
}

// drain takes no new calls, and waits for the calls under way, for what runs alongside,
// and for files that are just being read again. It cuts them off after the drain timeout,
// or when it receives another signal than the last one.
func (s *Server) drain(stopFiles func(), signals <-chan os.Signal, last time.Time) error {
	s.health.drain() // ends the calls of Watch, and what else waits for it
	finished := make(chan struct{})
	go func() {
		var group sync.WaitGroup
		group.Go(s.grpc.GracefulStop)
		group.Go(stopFiles)
		if s.ports != nil {
			group.Go(s.ports.drain)
		}
		if s.alongside != nil {
			group.Go(s.alongside.end)
		}
		group.Wait()
		close(finished)
	}()
	timeout := time.After(s.config.DrainTimeout)
	for {
		select {
		case <-finished:
			return nil
		case <-timeout:
			s.grpc.Stop()
			what := "calls were still under way"
			if s.alongside != nil {
				if running := s.alongside.running(); len(running) > 0 {
					what = strings.Join(running, ", ") + " still ran"
				}
			}
			return fmt.Errorf("%s %s after the server began to stop: cut off (see --drain-timeout)", what, s.config.DrainTimeout)
		case <-signals:
			if time.Since(last) < secondSignal {
				continue
			}
			go s.grpc.Stop() // in the background, because it waits for handshakes
			return errors.New("stopped by a second signal: the calls under way were cut off")
		}
	}
}
