package ops

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// pages returns all pages of a server. The error is that of a [server.Page] whose pattern
// is not one, or is there twice.
func pages(s *server.Server, profiles bool) (_ http.Handler, err error) {
	mux, paths := http.NewServeMux(), []string{}
	add := func(pattern string, page http.Handler) {
		defer func() {
			if cause := recover(); cause != nil {
				err = fmt.Errorf("server.Page(%q): %v", pattern, cause)
			}
		}()
		mux.Handle(pattern, page)
		_, path, found := strings.Cut(pattern, " ")
		if !found {
			path = pattern
		}
		paths = append(paths, path)
	}
	add("GET /livez", http.HandlerFunc(live))
	add("GET /readyz", http.HandlerFunc(func(to http.ResponseWriter, _ *http.Request) { ready(to, s) }))
	s.Pages(add)
	if profiles {
		add("GET /debug/pprof/", http.HandlerFunc(pprof.Index))
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol) // of go tool pprof
	}
	slices.Sort(paths)
	mux.HandleFunc("GET /{$}", func(to http.ResponseWriter, _ *http.Request) {
		to.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(to, strings.Join(paths, "\n"))
	})
	return safe(mux), err
}

// safe adds headers by which browsers take pages for what they are, and nobody caches them.
func safe(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(to http.ResponseWriter, request *http.Request) {
		to.Header().Set("X-Content-Type-Options", "nosniff")
		to.Header().Set("Cache-Control", "no-store")
		pages.ServeHTTP(to, request)
	})
}

func live(to http.ResponseWriter, _ *http.Request) {
	to.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(to, "ok")
}

// readiness is what /readyz answers.
type readiness struct {
	Ready    bool   `json:"ready"`
	Draining bool   `json:"draining"` // the server stops
	Needs    []need `json:"needs"`
}

type need struct {
	Name  string    `json:"name"`
	Met   bool      `json:"met"`
	Why   string    `json:"why,omitempty"` // it is not met
	Since time.Time `json:"since"`         // it is, or is not
}

func ready(to http.ResponseWriter, s *server.Server) {
	needs, leaving := s.Readiness()
	answer := readiness{Ready: !leaving, Draining: leaving, Needs: []need{}}
	for _, state := range needs {
		one := need{Name: state.Name, Met: state.Err == nil, Since: state.Since.UTC()}
		if state.Err != nil {
			one.Why, answer.Ready = state.Err.Error(), false
		}
		answer.Needs = append(answer.Needs, one)
	}
	to.Header().Set("Content-Type", "application/json")
	if !answer.Ready {
		to.WriteHeader(http.StatusServiceUnavailable)
	}
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(answer) // it can only fail if the client has left
}
