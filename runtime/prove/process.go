package prove

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// starter starts the server.
type starter struct {
	test, program, dir string
	args               []string
}

// process is the process of a server.
type process struct {
	served  served
	conn    *grpc.ClientConn
	command *exec.Cmd
	output  lastLines
	ended   chan struct{} // closed once it has ended
	control net.Conn
	orders  *json.Encoder
	replies *json.Decoder
}

// start starts the server with a log, and returns once it listens.
func (s starter) start(events string) (*process, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	args, err := json.Marshal(append([]string{"--addr=127.0.0.1:0", "--events=" + events}, s.args...))
	if err != nil {
		return nil, err
	}
	names := strings.Split(regexp.QuoteMeta(s.test), "/")
	p := &process{ended: make(chan struct{})}
	p.command = exec.Command(os.Args[0], "-test.run=^"+strings.Join(names, "$/^")+"$", "-test.timeout=0")
	// By the environment goes what not every main has a flag for.
	variable := strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(s.program))
	p.command.Env = append(os.Environ(), parentVariable+"="+listener.Addr().String(), argumentsVariable+"="+string(args),
		variable+"_OPS_ADDR=127.0.0.1:0", variable+"_LOG_LEVEL=warn")
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.command.Wait()
		close(p.ended)
		_ = listener.Close()
	}()
	_ = listener.(*net.TCPListener).SetDeadline(time.Now().Add(startTime))
	if p.control, err = listener.Accept(); err == nil {
		p.orders, p.replies = json.NewEncoder(p.control), json.NewDecoder(p.control)
		_ = p.control.SetReadDeadline(time.Now().Add(startTime))
		err = p.replies.Decode(&p.served)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.kill()
		return nil, fmt.Errorf("it does not listen within %s: does main call server.Run with the context that it gets? It printed:\n%s", startTime, p.output.String())
	}
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("it has ended, and printed:\n%s", p.output.String())
	}
	p.conn, err = grpc.NewClient(p.served.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return p, err
}

// order has the server do something.
func (p *process) order(what order) error {
	if err := p.orders.Encode(what); err != nil {
		return err
	}
	_ = p.control.SetReadDeadline(time.Now().Add(startTime))
	var reply string
	if err := p.replies.Decode(&reply); err != nil {
		return err
	}
	if reply != "" {
		return errors.New(reply)
	}
	return nil
}

// kill kills the process, and returns once it has ended.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
	p.close()
}

func (p *process) close() {
	if p.conn != nil {
		_ = p.conn.Close()
	}
	if p.control != nil {
		_ = p.control.Close()
	}
}

// endedEarly returns an error if the process has ended by itself.
func (p *process) endedEarly() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s; it printed:\n%s", p.command.ProcessState, p.output.String())
	default:
		return nil
	}
}

// stop lets the process end.
func (p *process) stop() error {
	defer p.close()
	_ = p.orders.Encode(stopServer) // it may be gone before it replies
	select {
	case <-p.ended:
	case <-time.After(startTime):
		return fmt.Errorf("it still runs %s later", startTime)
	}
	if !p.command.ProcessState.Success() {
		return p.endedEarly()
	}
	return nil
}

// lastLines keeps the end of what is written to it.
type lastLines struct {
	mu   sync.Mutex
	text []byte
}

const mostOutput = 4 << 10

func (l *lastLines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, text...)
	if more := len(l.text) - mostOutput; more > 0 {
		l.text = bytes.Clone(l.text[more:])
	}
	return len(text), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
