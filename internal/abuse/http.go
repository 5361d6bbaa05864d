//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http2"
)

// httpAttacks are those on the port for HTTP, by HTTP/1.1 and in plaintext by HTTP/2.
var httpAttacks = []attack{
	{name: "HTTP: slow headers", sends: "2,000 connections from 8 addresses: a byte of headers of HTTP/1.1 a second",
		bound: []term{perConnection}, run: slowText(2000, "POST /x HTTP/1.1\r\nHost: x\r\n")},
	{name: "HTTP: slow bodies", sends: "4,000 requests of HTTP/1.1 from 8 addresses: a byte of JSON a second, with a length and in chunks, and by HTTP/2",
		bound: []term{perCall, perConnection, requests}, run: slowJSON},
	{name: "HTTP: many headers", sends: "5,000 headers, and 1 MiB of one, in each request",
		bound: []term{perCall, perConnection, metadataHeld}, wants: []string{"HTTP 431"}, run: manyHeaders},
	{name: "HTTP: gzip bombs", sends: "256 MiB of spaces in 256 KiB, and 4 MiB in 4 KiB: whole bodies, and messages of streams",
		bound: []term{perCall, perConnection, requests}, wants: []string{"HTTP 429"}, run: httpBombs},
	{name: "HTTP: JSON bombs", sends: "10,000 levels, millions of {}, names twice, long numbers, and texts of escapes, in 4 MiB",
		bound: []term{perCall, perConnection, requests}, wants: []string{"HTTP 400"}, run: posts(4, 8, jsonBombs)},
	{name: "HTTP: CloudEvents", sends: "batches of millions, and of 50,000 events; data of 100 levels; many headers ce-",
		bound: []term{perCall, perConnection, requests, metadataHeld}, wants: []string{"HTTP 400", "HTTP 413"}, run: posts(4, 4, cloudEvents)},
	{name: "HTTP: unread answers", sends: "500 answers of 1 MiB by HTTP/1.1 that are not read, from 8 addresses",
		bound: []term{perCall, perConnection, requests, tails}, run: unreadText(500, func() []byte {
			return post(service+"Lookup", `{"data":{"k":"`+strings.Repeat("x", mib)+`"}}`)
		})},
	{name: "HTTP: unread tails", sends: "2,000 tails that are not read, from 8 addresses, by HTTP/1.1 and HTTP/2", stored: 64,
		bound: []term{perCall, perConnection, tails}, run: unreadHTTPTails},
	{name: "HTTP: unread refusals", sends: "240 requests for nothing on each of 1,000 connections by HTTP/2, from 8 addresses, without a window for the answer",
		bound: []term{perCall, perConnection}, run: unreadRefusals},
	{name: "HTTP: rapid reset", sends: "calls by HTTP/2 that are reset at once, on 16 connections",
		bound: []term{perCall, perConnection}, run: rapidReset},
	{name: "HTTP: idle connections", sends: "5,000 from one address: silent, and with half a request",
		bound: []term{perConnection}, wants: []string{"closed"}, run: halfRequests},
	{name: "HTTP: pipelined", sends: "requests of HTTP/1.1 on and on, on 64 connections, without reading the answers",
		bound: []term{perCall, perConnection, requests}, run: pipelined},
	{name: "HTTP: endless chunks", sends: "bodies in chunks that never end, of 1 byte, of 64 KiB, and with long extensions, on 64 connections",
		bound: []term{perCall, perConnection, requests}, run: endlessChunks},
	{name: "HTTP: floods", sends: "preflights of two origins, OPTIONS, other methods and paths, long queries, on 32 connections",
		flags: []string{"--cors-origins=https://a.example"},
		bound: []term{perCall, perConnection}, wants: []string{"HTTP 403", "HTTP 404", "HTTP 405", "HTTP 204"}, run: floods},
	{name: "HTTP: smuggling", sends: "two lengths, a length and chunks, folded headers, controls and names with spaces",
		bound: []term{perCall, perConnection}, wants: []string{"HTTP 400"}, run: smuggling},
	{name: "ops: slow clients", sends: "1,000 connections to the ops port: silent, half a request, no body that was promised, metrics that are not read",
		bound: []term{perConnection}, run: slowOps},
}

func init() {
	for _, a := range httpAttacks {
		a.http, a.ops = strings.HasPrefix(a.name, "HTTP: "), strings.HasPrefix(a.name, "ops: ")
		attacks = append(attacks, a)
	}
}

// inJSON is the header of a request in JSON.
const inJSON = "Content-Type: application/json\r\n"

// begin returns the head of a request of HTTP/1.1, with more headers, each with its end.
func begin(method, path string, more ...string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(more, "") + "\r\n"
}

// post returns a request with a body in JSON, or in what the headers say.
func post(path, body string, more ...string) []byte {
	if len(more) == 0 {
		more = []string{inJSON}
	}
	return []byte(begin("POST", path, append(more, fmt.Sprintf("Content-Length: %d\r\n", len(body)))...) + body)
}

// text connects from the nth address as a client of HTTP/1.1, until ctx ends.
func (t *target) text(ctx context.Context, from int) (net.Conn, error) {
	conn, err := t.connect(ctx, from)
	if err == nil {
		context.AfterFunc(ctx, func() { conn.Close() })
	}
	return conn, err
}

// listens reads answers of HTTP/1.1 and counts them, until there are n or the connection ends.
func (t *target) listens(ctx context.Context, from *bufio.Reader, n int) error {
	for range n {
		response, err := http.ReadResponse(from, nil)
		if err != nil {
			if ctx.Err() == nil {
				t.answered("closed")
			}
			return err
		}
		t.answered("HTTP " + strconv.Itoa(response.StatusCode))
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err != nil {
			return err
		}
		if response.Close {
			return io.EOF
		}
	}
	return nil
}

// drip sends a byte a second until the server closes the connection.
func (t *target) drip(ctx context.Context, conn net.Conn, drop string) error {
	ended := make(chan error, 1)
	go func() { ended <- t.listens(ctx, bufio.NewReader(conn), 1) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Second):
			if _, err := io.WriteString(conn, drop); err != nil {
				return err
			}
		}
	}
}

func slowText(connections int, head string) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		swarm(ctx, connections, time.Second, func(ctx context.Context, n int) error {
			conn, err := t.text(ctx, n%8)
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, head[:1+n%len(head)]); err != nil {
				return err
			}
			return t.drip(ctx, conn, "x")
		})
	}
}

func slowJSON(ctx context.Context, t *target) {
	var all sync.WaitGroup
	all.Go(func() { slowBodies("Publish")(ctx, t) })
	swarm(ctx, 4000, time.Second, func(ctx context.Context, n int) error {
		conn, err := t.text(ctx, n%8)
		if err != nil {
			return err
		}
		defer conn.Close()
		head, drop := begin("POST", service+"Publish", inJSON, "Content-Length: 1048576\r\n"), " "
		if n%2 == 0 {
			head, drop = begin("POST", "/events/abuse.v1.AbuseService", inJSON, "Transfer-Encoding: chunked\r\n"), "1\r\n \r\n"
		}
		if _, err := io.WriteString(conn, head); err != nil {
			return err
		}
		return t.drip(ctx, conn, drop)
	})
	all.Wait()
}

// posts sends requests in turn, each from several connections of some addresses.
func posts(addresses, each int, requests func() [][]byte) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		all := requests()
		swarm(ctx, addresses*each, 50*time.Millisecond, func(ctx context.Context, n int) error {
			conn, err := t.text(ctx, n%addresses)
			if err != nil {
				return err
			}
			defer conn.Close()
			from := bufio.NewReader(conn)
			for i := n; ctx.Err() == nil; i++ {
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					_, _ = conn.Write(all[i%len(all)]) // the answer says why not
				}()
				if err := t.listens(ctx, from, 1); err != nil {
					return err
				}
				<-sent
			}
			return nil
		})
	}
}

func manyHeaders(ctx context.Context, t *target) {
	posts(4, 16, func() [][]byte {
		var many, some strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&many, "x-%d: y\r\n", i)
			if i < 300 {
				fmt.Fprintf(&some, "x-%d: y\r\n", i)
			}
		}
		return [][]byte{
			post(service+"Publish", "{}", inJSON, many.String()),
			post(service+"Publish", "{}", inJSON, some.String()),
			post(service+"Publish", "{}", inJSON, "x-long: "+strings.Repeat("x", mib)+"\r\n"),
			post(service+"Publish", "{}", inJSON, strings.Repeat("x-same: y\r\n", 1000)),
			post(service+"Publish", "{}", inJSON, strings.Repeat("x-bin: "+strings.Repeat("AAAA,", 200)+"\r\n", 10)),
			post("/"+strings.Repeat("x", mib), "{}"),
		}
	})(ctx, t)
}

func httpBombs(ctx context.Context, t *target) {
	var all sync.WaitGroup
	large, small := zipped(bytes.Repeat([]byte(" "), 256*mib)), zipped([]byte(`{"data":{"k":"`+strings.Repeat("x", largest-1<<10)+`"}}`))
	all.Go(func() {
		posts(4, 8, func() (requests [][]byte) {
			for _, body := range [][]byte{large, small, small, small} {
				requests = append(requests,
					post(service+"Lookup", string(body), inJSON, "Content-Encoding: gzip\r\n"),
					post("/events/abuse.v1.AbuseService", string(body), "Content-Type: application/cloudevents+json\r\n", "Content-Encoding: gzip\r\n"),
					post(service+"PublishStream", string(prefixed(1, body)), "Content-Type: application/connect+json\r\n", "Connect-Content-Encoding: gzip\r\n"),
					post(service+"Lookup", string(prefixed(1, body)), "Content-Type: application/grpc-web+json\r\n", "Grpc-Encoding: gzip\r\n"))
			}
			return requests
		})(ctx, t)
	})
	gzipBombs(ctx, t)
	all.Wait()
}

// jsonBombs are requests that are small, or invalid, and that could become large.
func jsonBombs() (requests [][]byte) {
	in := func(before, part, after string) string {
		return before + strings.Repeat(part, (nearly-len(before)-len(after))/len(part)) + after
	}
	deep := func(most int, open, middle, end string) string {
		n := min(most, (nearly-100)/(len(open)+len(end)))
		return strings.Repeat(open, n) + middle + strings.Repeat(end, n)
	}
	for _, levels := range []int{30, 10_000, 10_000_000} {
		requests = append(requests,
			post(service+"Lookup", `{"data":`+deep(levels, `{"":`, "1", "}")+"}"),
			post(service+"Lookup", `{"value":`+deep(levels, "[", "", "]")+"}"),
			post(service+"Lookup", deep(levels, `{"within":`, "{}", "}")),
			post(service+"Lookup", deep(levels, `{"within":`, "", "")))
	}
	return append(requests,
		post(service+"PublishBatch", in(`{"events":[`, "{},", `{}]}`)),
		post(service+"Lookup", in(`{"all":[`, "{},", `{}]}`)),
		post(service+"Lookup", in(`{"numbers":[`, "1,", `1]}`)),
		post(service+"Lookup", in(`{"words":[`, `"",`, `""]}`)),
		post(service+"Lookup", in(`{"value":[`, "0,", `0]}`)),
		post(service+"Lookup", in(`{"value":[`, "{},", `{}]}`)),
		post(service+"Lookup", in(`{"value":`, "9", `}`)),
		post(service+"Lookup", in(`{"numbers":[`, "1", `]}`)),
		post(service+"Lookup", in(`{"numbers":[1e`, "9", `]}`)),
		post(service+"Lookup", in(`{"data":{"k":"`, `\u0041`, `"}}`)),
		post(service+"Lookup", in(`{"data":{`, `"k":1,`, `"k":1}}`)),
		post(service+"Lookup", in(`{"data":{},`, `"data":{},`, `"data":{}}`)),
		post(service+"Lookup", in(`{"`, `x`, `":1}`)),
		post(service+"Lookup", in("{", "\n", "}")),
		post(service+"Lookup", in("", "[", "")),
		post(service+"Lookup", in(`{"words":["`, `\`, ``)))
}

// cloudEvents are requests with CloudEvents.
func cloudEvents() [][]byte {
	const path = "/events/abuse.v1.AbuseService"
	one, batch := "Content-Type: application/cloudevents+json\r\n", "Content-Type: application/cloudevents-batch+json\r\n"
	event := `{"specversion":"1.0","id":"1","source":"attacker","type":"t"`
	most := func(before, part, after string) string {
		return before + strings.Repeat(part, (nearly-200)/len(part)) + after
	}
	deep := `{"":` + strings.Repeat(`[`, 90) + `"` + strings.Repeat("x", nearly-1<<10) + `"` + strings.Repeat("]", 90) + `}`
	nested := strings.Repeat(`{"":`, 90) + `"` + strings.Repeat("x", nearly-1<<10) + `"` + strings.Repeat("}", 90)
	attributes := ""
	for i := range 400 {
		attributes += fmt.Sprintf("ce-x%d: y\r\n", i)
	}
	return [][]byte{
		post(path, most("[", event+"},", event+"}]"), batch),
		post(path, most("[", "{},", "{}]"), batch),
		post(path, most("[", "1,", "1]"), batch),
		post(path, "["+event+`,"data":`+deep+"}]", batch),
		post(path, event+`,"data":`+nested+"}", one),
		post(path, event+most(`,"data":[`, "{},", "{}]}"), one),
		post(path, event+most(`,"data":{`, `"k":1,`, `"k":1}}`), one),
		post(path, event+most(`,"data":"`, `\u0041`, `"}`), one),
		post(path, event+most(`,"data":`, `9`, `}`), one),
		post(path, event+most(`,"data_base64":"`, `AAAA`, `"}`), one),
		post(path, strings.Repeat("[", nearly), one),
		post(path, "{}", inJSON, "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: attacker\r\nce-type: t\r\n", attributes),
		post(path, "{}", inJSON, "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: attacker\r\nce-type: t\r\n", "ce-subject: "+strings.Repeat("%", 10_000)+"\r\n"),
	}
}

// unreadText sends a request on connections with small buffers, and does not read.
func unreadText(connections int, request func() []byte) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		sent := request()
		swarm(ctx, connections, time.Second, func(ctx context.Context, n int) error {
			conn, err := t.deaf(ctx, n%8)
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := conn.Write(sent); err != nil {
				return err
			}
			for sleep(ctx, time.Second) {
				if isClosed(conn) {
					t.answered("closed")
					return nil
				}
			}
			return nil
		})
	}
}

// deaf connects as text does, with a receive buffer as small as the kernel allows.
func (t *target) deaf(ctx context.Context, from int) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: address(from), Timeout: 10 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) })
	}}
	conn, err := dialer.DialContext(ctx, "tcp", t.addr)
	if err == nil {
		context.AfterFunc(ctx, func() { conn.Close() })
	}
	return conn, err
}

// isClosed reports whether the other side has reset the connection, without reading.
func isClosed(conn net.Conn) (closed bool) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	_ = raw.Control(func(fd uintptr) {
		state, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		closed = err != nil || state != 0
	})
	return closed
}

func unreadHTTPTails(ctx context.Context, t *target) {
	var all sync.WaitGroup
	all.Go(func() { unreadTails(ctx, t) })
	unreadText(2000, func() []byte {
		return post(service+"Tail", string(prefixed(0, []byte("{}"))), "Content-Type: application/connect+json\r\n")
	})(ctx, t)
	all.Wait()
}

func unreadRefusals(ctx context.Context, t *target) {
	none := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}
	swarm(ctx, 1000, time.Second, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n%8, none)
		if err != nil {
			return err
		}
		defer p.Close()
		p.contentType = "application/json"
		for ctx.Err() == nil && !p.gone() {
			if p.under() < 240 {
				if _, err := p.open([]string{"/nothing", service + "Publish", "/events/x"}[n%3], [2]string{"origin", "https://evil.example"}); err != nil {
					return err
				}
				sleep(ctx, time.Millisecond)
				continue
			}
			sleep(ctx, 100*time.Millisecond)
		}
		return nil
	})
}

func halfRequests(ctx context.Context, t *target) {
	half := begin("POST", service+"Publish", inJSON, "Content-Length: 100\r\n")
	swarm(ctx, 5000, time.Second, func(ctx context.Context, n int) error {
		conn, err := t.text(ctx, 0)
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, []string{"", half[:len(half)/2], half, half + "{"}[n%4]); err != nil {
			return err
		}
		return t.listens(ctx, bufio.NewReader(conn), 1)
	})
}

func pipelined(ctx context.Context, t *target) {
	many := slices.Concat(
		bytes.Repeat(post(service+"Lookup", `{"words":["a"]}`), 50),
		bytes.Repeat([]byte(begin("GET", "/")), 50),
		bytes.Repeat(post("/events/abuse.v1.AbuseService", "x", "Content-Type: text/plain\r\n"), 50))
	swarm(ctx, 64, 100*time.Millisecond, func(ctx context.Context, n int) error {
		conn, err := t.deaf(ctx, n%8)
		if err != nil {
			return err
		}
		defer conn.Close()
		if n%2 == 0 {
			go func() { _ = t.listens(ctx, bufio.NewReader(conn), 1<<30) }()
		}
		for err == nil {
			_, err = conn.Write(many)
		}
		return err
	})
}

func endlessChunks(ctx context.Context, t *target) {
	long := "1;" + strings.Repeat("x", 3000) + "\r\n \r\n"
	swarm(ctx, 64, 100*time.Millisecond, func(ctx context.Context, n int) error {
		conn, err := t.text(ctx, n%8)
		if err != nil {
			return err
		}
		defer conn.Close()
		path := []string{service + "Publish", "/events/abuse.v1.AbuseService", "/nothing"}[n%3]
		if _, err := io.WriteString(conn, begin("POST", path, inJSON, "Transfer-Encoding: chunked\r\n")); err != nil {
			return err
		}
		go func() { _ = t.listens(ctx, bufio.NewReader(conn), 1) }()
		chunk := []byte([]string{strings.Repeat("1\r\n \r\n", 1000), "10000\r\n" + strings.Repeat(" ", 64<<10) + "\r\n", long}[n/3%3])
		for err == nil {
			_, err = conn.Write(chunk)
		}
		return err
	})
}

func floods(ctx context.Context, t *target) {
	asks := "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: " + strings.Repeat("x-y,", 1000) + "z\r\n"
	posts(4, 8, func() [][]byte {
		return [][]byte{
			[]byte(begin("OPTIONS", service+"Publish", "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n")),
			[]byte(begin("OPTIONS", service+"Publish", "Origin: https://a.example\r\n", asks)),
			[]byte(begin("OPTIONS", service+"Publish", "Origin: https://b.example\r\n", asks)),
			[]byte(begin("OPTIONS", "/events/abuse.v1.AbuseService", "WebHook-Request-Origin: "+strings.Repeat("x", 5000)+"\r\n")),
			[]byte(begin("OPTIONS", "*")),
			[]byte(begin("PROPFIND", service+"Publish")),
			[]byte(begin("DELETE", "/events/abuse.v1.AbuseService")),
			[]byte(begin("GET", "/../../%2e%2e/etc/passwd")),
			[]byte(begin("GET", "//"+strings.Repeat("/", 10_000))),
			[]byte(begin("GET", service+"Lookup?encoding=json&message="+strings.Repeat("%7b", 5000))),
			[]byte(begin("GET", service+"Lookup?"+strings.Repeat("a=b;&", 3000))),
			[]byte(begin("POST", "/events/"+strings.Repeat("x", 10_000), "Content-Length: 0\r\n")),
		}
	})(ctx, t)
}

func smuggling(ctx context.Context, t *target) {
	next := begin("GET", "/smuggled")
	posts(2, 8, func() (requests [][]byte) {
		for _, headers := range []string{
			"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
			"Content-Length: 5, 6\r\n", "Content-Length: +5\r\n", "Content-Length: -1\r\n", "Content-Length: 0x5\r\n",
			"Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: chunked, identity\r\n",
			"Transfer-Encoding : chunked\r\n", "Transfer-Encoding:\x0bchunked\r\n", " folded: yes\r\n", "a\x00b: c\r\n", "x: a\rb\r\n", "\xff: x\r\n",
			"Host: y\r\n", "Expect: 100-continue\r\nContent-Length: 5\r\n", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
		} {
			requests = append(requests, []byte(begin("POST", service+"Publish", inJSON, headers)+"0\r\n\r\n"+next))
		}
		return append(requests, []byte("GET http://other/ HTTP/1.1\r\nHost: x\r\n\r\n"), []byte("GET / HTTP/9.9\r\n\r\n"), []byte("GET / HTTP/1.1\r\n\r\n"),
			[]byte("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"), []byte("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"), bytes.Repeat([]byte("\x16\x03\x01"), 1000))
	})(ctx, t)
}

func slowOps(ctx context.Context, t *target) {
	swarm(ctx, 1000, 100*time.Millisecond, func(ctx context.Context, n int) error {
		conn, err := t.deaf(ctx, n%8)
		if err != nil {
			return err
		}
		defer conn.Close()
		sent := []string{"", "GET /met", begin("POST", "/livez", "Content-Length: 100000\r\n"), begin("GET", "/metrics", "Transfer-Encoding: chunked\r\n"),
			strings.Repeat(begin("GET", "/metrics"), 100), begin("GET", "/debug/pprof/heap")}[n%6]
		if _, err := io.WriteString(conn, sent); err != nil {
			return err
		}
		for sleep(ctx, time.Second) && !isClosed(conn) {
		}
		return nil
	})
}
