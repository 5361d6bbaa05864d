package servertest_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// stream is the server's side of a stream of texts.
type stream struct{ received, sent []string }

func (s *stream) Recv() (*string, error) {
	if len(s.received) == 0 {
		return nil, io.EOF
	}
	next := s.received[0]
	s.received = s.received[1:]
	return &next, nil
}

func (s *stream) Send(reply *string) error {
	s.sent = append(s.sent, *reply)
	return nil
}

func (s *stream) SendAndClose(reply *string) error { return s.Send(reply) }

// TestAFakeAnswersWithWhatIsSet: what calls of each kind get, one after the other.
func TestAFakeAnswersWithWhatIsSet(t *testing.T) {
	type fake = servertest.Fake[string, string]
	oops := status.Error(codes.ResourceExhausted, "oops")
	kinds := map[string]func(*fake, ...string) ([]string, error){
		"unary": func(f *fake, requests ...string) (got []string, err error) {
			for _, request := range requests {
				reply, err := f.Unary(&request)
				if err != nil {
					return got, err
				}
				got = append(got, *reply)
			}
			return got, nil
		},
		"server stream": func(f *fake, requests ...string) (got []string, err error) {
			s := &stream{}
			err = f.ServerStream(&requests[0], s)
			return s.sent, err
		},
		"client stream": func(f *fake, requests ...string) (got []string, err error) {
			s := &stream{received: requests}
			err = f.ClientStream(s)
			return s.sent, err
		},
		"bidi": func(f *fake, requests ...string) (got []string, err error) {
			s := &stream{received: requests}
			err = f.Bidi(s)
			return s.sent, err
		},
	}
	a, b := "a", "b"
	for _, test := range []struct {
		kind string
		set  func(*fake)
		want []string
		err  error
	}{
		{"unary", func(f *fake) { f.Reply(&a, &b) }, []string{"a", "b", "b"}, nil},
		{"unary", func(f *fake) { f.Reply() }, []string{"", "", ""}, nil},
		{"unary", func(f *fake) { f.Reply(&a); f.Fail(oops) }, []string{"a"}, oops},
		{"unary", func(f *fake) { f.Fail(oops); f.Reply(&a) }, []string{"a", "a", "a"}, nil},
		{"server stream", func(f *fake) { f.Reply(&a, &b) }, []string{"a", "b"}, nil},
		{"server stream", func(f *fake) { f.Reply() }, nil, nil},
		{"server stream", func(f *fake) { f.Reply(&a); f.Fail(oops) }, []string{"a"}, oops},
		{"client stream", func(f *fake) { f.Reply(&a, &b) }, []string{"a"}, nil},
		{"client stream", func(f *fake) { f.Fail(oops) }, nil, oops},
		{"bidi", func(f *fake) { f.Reply(&a, &b) }, []string{"a", "b", "b"}, nil},
		{"bidi", func(f *fake) { f.Reply(&a); f.Fail(oops) }, []string{"a"}, oops},
	} {
		var f fake
		if _, err := kinds[test.kind](&f, "early"); status.Code(err) != codes.Unimplemented {
			t.Errorf("a %s fake without replies ends a call with %v, want Unimplemented", test.kind, err)
		}
		test.set(&f)
		got, err := kinds[test.kind](&f, "1", "2", "3")
		if !slices.Equal(got, test.want) || !errors.Is(err, test.err) {
			t.Errorf("a %s fake answers %q and ends with %v, want %q and %v", test.kind, got, err, test.want, test.err)
		}
		var requests []string
		for _, request := range f.Requests() {
			requests = append(requests, *request)
		}
		want := []string{"early", "1", "2", "3"}
		switch {
		case test.kind == "server stream":
			want = want[:2]
		case test.err != nil && test.kind != "client stream":
			want = want[:len(test.want)+2]
		}
		if !slices.Equal(requests, want) {
			t.Errorf("a %s fake recorded %q, want %q", test.kind, requests, want)
		}
	}
}
