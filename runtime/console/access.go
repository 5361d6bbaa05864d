package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

const (
	// A request of the page may have so much, and its answer may take so long.
	mostRequestBytes = 4 << 20
	answerTimeout    = 20 * time.Second
	// policy lets the page use its own files, and nothing else, and no script make markup of
	// a text.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

// reach says who reaches the port of the console.
type reach struct {
	local  bool   // the server's own machine only
	closed string // why the console is not served; "" if it is
}

// reachOf returns who reaches an address, as host:port.
func reachOf(addr, mode string, knowsCallers bool) (r reach) {
	host, _, _ := net.SplitHostPort(addr)
	r.local = isLoopback(host)
	switch {
	case r.local:
	case mode == Local:
		r.closed = "other machines reach its port, and --console is local: give --console read or --console write, and API keys (--keys), or another --ops-addr"
	case !knowsCallers:
		r.closed = "other machines reach its port, and the server has no API keys: give it some (--keys), or another --ops-addr"
	}
	return r
}

// isLoopback reports whether the name or address of a host is this machine's own.
func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// guarded lets requests pass that come from where the console may be used.
func (p *page) guarded(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		reach := p.reach.Load()
		if reach == nil {
			fail(w, status.Error(codes.Unavailable, "the server is about to start"))
			return
		}
		if why := reach.refuses(r); why != "" {
			fail(w, status.Error(codes.PermissionDenied, why))
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			fail(w, status.Error(codes.PermissionDenied, "another site sent this request"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuses returns why a request may not use the console, "" if it may.
func (c *reach) refuses(r *http.Request) string {
	if c.closed != "" {
		return "the console is not served: " + c.closed
	}
	if strings.HasPrefix(r.URL.Path, Path+"api/") {
		// Browsers say where a request comes from. Pages of others may not even ask.
		if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
			return "another site sent this request"
		}
	}
	if !c.local {
		return ""
	}
	// A page of another site can have a name that means this machine by now. Browsers
	// then take this for its own server, but send its name.
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !isLoopback(host) {
		return "this is not a name of the machine itself: use localhost, or 127.0.0.1"
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return "this request came by a proxy, and whoever is before that is not on this machine: give --console read or --console write, keys, and an --ops-addr that the proxy reaches from outside"
		}
	}
	return ""
}

// caller returns who sends a request.
func (p *page) caller(r *http.Request) server.Caller {
	caller := server.Caller{Addr: net.Addr(&net.TCPAddr{}), Operator: p.reach.Load().local}
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		caller.Addr = net.TCPAddrFromAddrPort(from)
	}
	if scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		caller.Key = strings.TrimSpace(key)
	}
	return caller
}

// identify returns why a request is refused, or whether whoever sends it may do everything,
// and what the log says of them.
func (p *page) identify(r *http.Request) (everything bool, who slog.Attr, err error) {
	ctx, everything, err := p.server.Load().Identify(r.Context(), p.caller(r), "the console")
	if err != nil {
		return false, who, err
	}
	attrs := []any{"address", r.RemoteAddr}
	if p.name != nil && p.name(ctx) != "" {
		attrs = append(attrs, "key", p.name(ctx))
	}
	return everything, slog.Group("by", attrs...), nil
}

// writes reports whether the console may change anything.
func (p *page) writes() bool { return p.mode == Write }

// reads answers requests that change nothing.
func (p *page) reads(answer func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := p.identify(r); err != nil {
			fail(w, err)
			return
		}
		reply(w, r, func(r *http.Request) (any, error) {
			done, err := p.work.begin()
			if err != nil {
				return nil, err
			}
			defer done()
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(p.work.ctx, cancel)()
			return answer(r.WithContext(ctx))
		})
	})
}

// changes answers requests that change something.
func (p *page) changes(answer func(*http.Request, []byte) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := p.identify(r); err != nil {
			fail(w, err)
			return
		}
		if !p.writes() {
			fail(w, status.Error(codes.PermissionDenied, "this console changes nothing: give the server --console write"))
			return
		}
		// Forms of other sites can't have this type, whatever a browser lets them send.
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			fail(w, status.Error(codes.InvalidArgument, "the request is not JSON"))
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostRequestBytes))
		if err != nil {
			fail(w, status.Errorf(codes.InvalidArgument, "the request has more than %d bytes, or was cut off", mostRequestBytes))
			return
		}
		done, err := p.work.begin()
		if err != nil {
			fail(w, err)
			return
		}
		defer done() // once the answer is on its way
		reply(w, r, func(r *http.Request) (any, error) { return answer(r, body) })
		_ = http.NewResponseController(w).Flush()
	})
}

// reply writes an answer as JSON.
func reply(w http.ResponseWriter, r *http.Request, answer func(*http.Request) (any, error)) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	value, err := answer(r.WithContext(ctx))
	if err != nil {
		fail(w, err)
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		fail(w, err)
		return
	}
	write(w, http.StatusOK, text)
}

// write writes an answer. By its length it is whole once it is flushed: the server may close
// the connection then.
func write(w http.ResponseWriter, code int, text []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(code)
	_, _ = w.Write(text) // a browser that has left needs no answer
}

// statuses are those of HTTP for codes.
var statuses = map[codes.Code]int{
	codes.Unauthenticated: http.StatusUnauthorized, codes.PermissionDenied: http.StatusForbidden, codes.NotFound: http.StatusNotFound,
	codes.InvalidArgument: http.StatusBadRequest, codes.ResourceExhausted: http.StatusTooManyRequests,
	codes.Unavailable: http.StatusServiceUnavailable, codes.AlreadyExists: http.StatusConflict,
}

// fail writes an error as JSON.
func fail(w http.ResponseWriter, err error) {
	var known interface{ GRPCStatus() *status.Status }
	failure := struct {
		Code  string `json:"code"`
		Error string `json:"error"`
	}{codes.Internal.String(), err.Error()}
	code := http.StatusInternalServerError
	if errors.As(err, &known) {
		failure.Code, failure.Error = known.GRPCStatus().Code().String(), known.GRPCStatus().Message()
		if found, ok := statuses[known.GRPCStatus().Code()]; ok {
			code = found
		}
	}
	text, _ := json.Marshal(failure)
	write(w, code, text)
}

// invalid returns the error for a request that can't be.
func invalid(format string, args ...any) error {
	return status.Error(codes.InvalidArgument, fmt.Sprintf(format, args...))
}
