package console

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// work is what the console does with the log and the RPCs of a server. The server waits for
// it when it drains, as for calls, since main closes the log after that.
type work struct {
	ctx context.Context // ends when the server drains; what only reads ends with it
	end context.CancelFunc

	mu    sync.Mutex // no work begins once ctx has ended
	group sync.WaitGroup
}

func newWork() *work {
	w := &work{}
	w.ctx, w.end = context.WithCancel(context.Background())
	return w
}

// begin begins work, which lasts until done is called, unless the server drains.
func (w *work) begin() (done func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		return nil, status.Error(codes.Unavailable, "the server stops")
	}
	w.group.Add(1)
	return w.group.Done, nil
}

// finish lets no further work begin, and waits for what is under way.
func (w *work) finish() {
	w.mu.Lock()
	w.end()
	w.mu.Unlock()
	w.group.Wait()
}
