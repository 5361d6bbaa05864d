package client

import (
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
)

// balanced is the service config that sends calls to all servers of a target in turn.
// When one stops, calls go to the others at once.
//
// There is no health check in it. That would be a stream on each connection, which the
// server's own interceptors have to let through without what other calls have, such as a
// token, and a server whose log is full would get no calls at all, not even those that
// read. It is not needed either: a server that stops answers calls until it has sent its
// clients elsewhere.
const balanced = `{"loadBalancingConfig":[{"round_robin":{}}]}`

// balance returns the options that make a connection use all servers of a target, and the
// target as gRPC knows it.
func balance(target string) (string, []grpc.DialOption) {
	servers := list(target)
	switch {
	case len(servers) > 0:
		return "list:///" + strings.Join(servers, ","), []grpc.DialOption{
			grpc.WithResolvers(servers), grpc.WithDefaultServiceConfig(balanced), grpc.WithDisableServiceConfig(),
		}
	case local(target):
		// One server, perhaps at two addresses. Without WithDisableServiceConfig gRPC asks
		// the DNS for a configuration of localhost, which takes long where no DNS server
		// answers.
		return target, []grpc.DialOption{grpc.WithDisableServiceConfig()}
	default:
		return target, []grpc.DialOption{grpc.WithDefaultServiceConfig(balanced)}
	}
}

// servers are those of a target that lists them: "host:port,host:port". It is a resolver
// of gRPC, and builds one.
type servers []string

// list returns the servers that a target lists, or none if it is of another form. There
// may be spaces around them.
func list(target string) servers {
	if !strings.Contains(target, ",") {
		return nil
	}
	var all servers
	for server := range strings.SplitSeq(target, ",") {
		server = strings.TrimSpace(server)
		if server == "" {
			continue // after the last comma
		}
		host, port, err := net.SplitHostPort(server)
		if err != nil || host == "unix" || strings.Contains(port, "/") {
			return nil
		}
		all = append(all, server)
	}
	return all
}

// Scheme implements [resolver.Builder].
func (s servers) Scheme() string { return "list" }

// Build implements [resolver.Builder]. The certificate of each server is checked against
// the server's own name.
func (s servers) Build(_ resolver.Target, conn resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	var state resolver.State
	for _, server := range s {
		address := resolver.Address{Addr: server, ServerName: server}
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{address}})
	}
	return s, conn.UpdateState(state)
}

// OverrideAuthority implements [resolver.AuthorityOverrider].
func (s servers) OverrideAuthority(resolver.Target) string { return s[0] }

// ResolveNow implements [resolver.Resolver].
func (s servers) ResolveNow(resolver.ResolveNowOptions) {}

// Close implements [resolver.Resolver].
func (s servers) Close() {}
