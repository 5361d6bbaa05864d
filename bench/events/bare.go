package main

import (
	"encoding/binary"
	"os"
	"sync"

	"google.golang.org/protobuf/proto"
)

// bareFile is the least that makes messages durable: a file that they are written to the
// end of. What comes while others are synced is synced together. It knows no duplicates and
// no positions, and nobody can read it meanwhile.
type bareFile struct {
	file *os.File

	mu      sync.Mutex
	wake    sync.Cond // of mu: something waits, or nothing will any longer
	bytes   []byte    // that wait
	done    chan struct{}
	err     error // of the first write that failed
	closing bool
	closed  chan struct{}
}

func openBareFile(path string) (*bareFile, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	f := &bareFile{file: file, done: make(chan struct{}), closed: make(chan struct{})}
	f.wake.L = &f.mu
	go f.run()
	return f, nil
}

// append returns once a message is durable.
func (f *bareFile) append(message proto.Message) error {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.bytes = binary.AppendUvarint(f.bytes, uint64(len(encoded)))
	f.bytes = append(f.bytes, encoded...)
	done := f.done
	f.wake.Signal()
	f.mu.Unlock()
	<-done
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// run writes and syncs what waits, in turn.
func (f *bareFile) run() {
	defer close(f.closed)
	var spare []byte
	for {
		f.mu.Lock()
		for len(f.bytes) == 0 && !f.closing {
			f.wake.Wait()
		}
		bytes, done := f.bytes, f.done
		f.bytes, f.done = spare[:0], make(chan struct{})
		f.mu.Unlock()
		if len(bytes) == 0 {
			return
		}
		_, err := f.file.Write(bytes)
		if err == nil {
			err = syncData(f.file)
		}
		if err != nil {
			f.mu.Lock()
			f.err = err
			f.mu.Unlock()
		}
		close(done)
		spare = bytes
	}
}

func (f *bareFile) close() error {
	f.mu.Lock()
	f.closing = true
	f.wake.Signal()
	f.mu.Unlock()
	<-f.closed
	return f.file.Close()
}
