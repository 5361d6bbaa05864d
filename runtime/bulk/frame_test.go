package bulk

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
)

var frames = []CallFrame{
	{Number: 1, ID: "an id", Request: []byte("request"), Metadata: metadata.MD{"a": {"1", "2"}, "b-bin": {"\x00"}}},
	{},
	{Number: 1<<64 - 1, Request: make([]byte, 1000)},
}

func TestCallsAreReadAsTheyWereWritten(t *testing.T) {
	message := AppendTimeout(nil, 1500*time.Millisecond)
	for i := range frames {
		before := len(message)
		message = AppendCall(message, &frames[i])
		if added := len(message) - before; added < frames[i].Size() || added > frames[i].Size()+3 {
			t.Errorf("frame %d has %d bytes, Size says %d", i, added, frames[i].Size())
		}
	}
	i := 0
	if err := ReadCalls(message, func(c CallFrame, timeout time.Duration) error {
		if timeout != 1500*time.Millisecond || !reflect.DeepEqual(c, frames[i]) {
			t.Errorf("call %d is %+v within %s, want %+v", i, c, timeout, frames[i])
		}
		i++
		return nil
	}); err != nil || i != len(frames) {
		t.Errorf("%d calls, %v", i, err)
	}
}

func TestAnswersAreReadAsTheyWereWritten(t *testing.T) {
	want := []AnswerFrame{
		{Number: 7, Reply: []byte("reply"), Header: metadata.MD{"a": {"1"}}, Trailer: metadata.MD{"b": {"2", "3"}}},
		{Number: 8, Status: []byte("status")},
		{},
	}
	var message []byte
	for i := range want {
		message = AppendAnswer(message, &want[i])
	}
	message = AppendTaken(message, 0)
	var got []AnswerFrame
	taken, last, err := ReadAnswers(message, func(a AnswerFrame) { got = append(got, a) })
	if err != nil || taken != 0 || !last || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %d, %v, %v", got, taken, last, err)
	}
}

func FuzzFrames(f *testing.F) {
	message := AppendTimeout(nil, time.Second)
	for i := range frames {
		message = AppendCall(message, &frames[i])
	}
	f.Add(message)
	f.Add(AppendTaken(AppendAnswer(nil, &AnswerFrame{Number: 1, Status: []byte("x")}), 3))
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, message []byte) {
		var calls []CallFrame
		var within []time.Duration
		err := ReadCalls(message, func(c CallFrame, timeout time.Duration) error {
			if timeout < 0 {
				t.Errorf("a timeout of %s", timeout)
			}
			calls, within = append(calls, c), append(within, timeout)
			return nil
		})
		if err == nil { // what was read can be written, and is read again
			for i, c := range calls {
				again := AppendCall(nil, &c)
				if err := ReadCalls(again, func(d CallFrame, _ time.Duration) error {
					if d.Number != c.Number || d.ID != c.ID || string(d.Request) != string(c.Request) || len(d.Metadata) != len(c.Metadata) {
						t.Errorf("call %d within %s is %+v, and then %+v", i, within[i], c, d)
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		}
		_, _, _ = ReadAnswers(message, func(AnswerFrame) {})
	})
}
