package prove

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// process is a server in a process of its own.
type process struct {
	description
	conn    *grpc.ClientConn
	command *exec.Cmd
	control net.Conn // for orders
	output  lastOutput
	ended   chan struct{} // closed once it has ended
}

// start starts the server in a folder and with a log, as the given test of this binary, and
// returns once it listens.
func start(test, program, dir, events string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	p := &process{ended: make(chan struct{})}
	p.command = exec.Command(self, "-test.run=^"+strings.ReplaceAll(regexp.QuoteMeta(test), "/", "$/^")+"$", "-test.timeout=0",
		"--", "--addr=127.0.0.1:0", "--events="+events)
	p.command.Dir = dir
	// By its environment it gets what not every main has a flag for.
	variable := strings.ToUpper(strings.ReplaceAll(program, "-", "_"))
	p.command.Env = append(os.Environ(), parentVariable+"="+listener.Addr().String(), variable+"_OPS_ADDR=127.0.0.1:0", variable+"_LOG_LEVEL=warn")
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.command.Wait()
		close(p.ended)
		_ = listener.Close() // nobody will come
	}()
	deadline := time.Now().Add(startTime)
	_ = listener.(*net.TCPListener).SetDeadline(deadline)
	if p.control, err = listener.Accept(); err == nil {
		_ = p.control.SetReadDeadline(deadline)
		err = json.NewDecoder(p.control).Decode(&p.description)
	}
	if err == nil {
		p.conn, err = grpc.NewClient(p.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	if err == nil {
		return p, nil
	}
	p.kill()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, fmt.Errorf("within %s it does not listen: does main call server.Run with the context that it gets? It printed:\n%s", startTime, p.output)
	}
	return nil, p.endedEarly()
}

// order has the server do something.
func (p *process) order(what byte) { _, _ = p.control.Write([]byte{what}) }

// kill kills the process, and returns once it has ended.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
	if p.conn != nil {
		_ = p.conn.Close()
	}
	if p.control != nil {
		_ = p.control.Close()
	}
}

// endedEarly returns an error if the process has ended.
func (p *process) endedEarly() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s; it printed:\n%s", p.command.ProcessState, p.output)
	default:
		return nil
	}
}

// stop lets the process end by itself.
func (p *process) stop() error {
	defer p.kill()
	p.order(stopServer)
	select {
	case <-p.ended:
	case <-time.After(startTime):
		return fmt.Errorf("it still runs after %s", startTime)
	}
	if !p.command.ProcessState.Success() {
		return p.endedEarly()
	}
	return nil
}

// lastOutput keeps the end of what is written to it.
type lastOutput []byte

func (l *lastOutput) Write(text []byte) (int, error) {
	*l = append(*l, text...)
	*l = (*l)[max(0, len(*l)-4<<10):]
	return len(text), nil
}
