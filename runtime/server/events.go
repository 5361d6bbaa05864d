//runtime:with eventlog

package server

// TakesEvent describes an RPC whose request, or each of them in a stream, has one event.
// source returns the source of that.
func TakesEvent[Request any](source func(Request) string) RPC {
	return RPC{Sources: func(request any, each func(string) error) error {
		return each(source(request.(Request)))
	}}
}

// TakesEvents describes an RPC whose request, or each of them in a stream, has a list of
// events. source returns the source of one, which may be nil.
func TakesEvents[Request, Event any](events func(Request) []Event, source func(Event) string) RPC {
	return RPC{Sources: func(request any, each func(string) error) error {
		for _, event := range events(request.(Request)) {
			if err := each(source(event)); err != nil {
				return err
			}
		}
		return nil
	}}
}

// WithFields returns a description with the fields of the event.
func (r RPC) WithFields(fields Fields) RPC {
	r.Fields = &fields
	return r
}
