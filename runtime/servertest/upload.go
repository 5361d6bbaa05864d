//runtime:used

package servertest

// Upload sends a request over a stream, as the only one, and returns how the
// call ended.
func Upload[Request, Reply any](stream interface {
	Send(*Request) error
	CloseAndRecv() (*Reply, error)
}, request *Request) error {
	_ = stream.Send(request) // what went wrong is in the reply
	_, err := stream.CloseAndRecv()
	return err
}

// Exchange sends a request over a stream, waits for the answer, and returns how
// the call ended.
func Exchange[Request, Reply any](stream interface {
	Send(*Request) error
	Recv() (*Reply, error)
	CloseSend() error
}, request *Request) error {
	_ = stream.Send(request) // what went wrong is in the reply
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return First(stream)
}
