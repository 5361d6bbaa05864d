//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	mib      = 1 << 20
	largest  = 4*mib - 4<<10 // a request, by default
	nearly   = largest - 1<<10
	gzipped  = "grpc-encoding"
	healthOf = "/grpc.health.v1.Health/"
)

// attacks are all kinds, in the order in which they are tried. A new one is a line here.
var attacks = []attack{
	{name: "slow headers", sends: "2,000 connections from 8 addresses: a byte of headers a second",
		bound: []term{perConnection}, run: slowHeaders},
	{name: "slow bodies", sends: "8,000 calls from 8 addresses: a byte of a message of 1 MiB a second",
		bound: []term{perCall, perConnection, requests}, run: slowBodies("Publish")},
	{name: "slow streams", sends: "the same on client streams",
		bound: []term{perCall, perConnection, requests}, run: slowBodies("PublishStream")},
	{name: "half-sent messages", sends: "4,000 messages from 8 addresses, all but their last byte",
		bound: []term{perCall, perConnection, requests}, run: halfSent},
	{name: "stalled windows", sends: "4,000 bidi calls and health watches that give no window for answers",
		bound: []term{perCall, perConnection}, run: stalledWindows},
	{name: "continuation flood", sends: "headers that never end on 64 connections",
		bound: []term{perConnection}, wants: []string{"closed"}, run: continuations},
	{name: "rapid reset", sends: "calls that are reset at once, on 16 connections",
		bound: []term{perCall, perConnection}, run: rapidReset},
	{name: "settings and pings", sends: "SETTINGS and PING without end on 16 connections",
		bound: []term{perConnection}, run: controlFrames},
	{name: "oversize metadata", sends: "1 MiB of metadata in each call",
		bound: []term{perCall, perConnection}, run: oversizeMetadata},
	{name: "header bomb", sends: "4 KiB of a table, referred to 10,000 times, in each call",
		bound: []term{perCall, perConnection}, run: headerBomb},
	{name: "metadata held", sends: "4,000 calls with 15 KiB of metadata that send nothing more",
		bound: []term{perCall, perConnection, metadataHeld}, run: metadataCalls},
	{name: "idle connections", sends: "5,000 from one address: silent, without and with a preface",
		bound: []term{perConnection}, wants: []string{"closed"}, run: idleConnections},
	{name: "connections in turn", sends: "connects and leaves, from 8 addresses, without a pause",
		bound: []term{perConnection}, run: connectAndLeave},
	{name: "handshakes", sends: "handshakes of TLS: whole, begun, and never begun", encrypt: true,
		bound: []term{perConnection, perHandshake}, run: handshakes},
	{name: "oversize messages", sends: "messages that say they have 4 MiB to 4 GiB",
		bound: []term{perCall, requests}, wants: []string{"ResourceExhausted"}, run: oversize},
	{name: "gzip bombs", sends: "256 MiB of zeros in 256 KiB, and 4 MiB in 4 KiB",
		bound: []term{perCall, requests}, wants: []string{"ResourceExhausted"}, run: gzipBombs},
	{name: "gzip in batches", sends: "millions of empty events in 2 KiB",
		bound: []term{perCall, requests}, wants: []string{"InvalidArgument"},
		run: whole(4, 50, service+"PublishBatch", func() []byte { return prefixed(1, zipped(repeat(field(1, nil), nearly))) }, [2]string{gzipped, "gzip"})},
	{name: "10,000 levels", sends: "messages, lists and Structs of 10,000 levels",
		bound: []term{perCall, requests}, wants: []string{"InvalidArgument"}, run: levels(10_000)},
	{name: "millions of levels", sends: "the same, as many as fit into a request",
		bound: []term{perCall, requests}, wants: []string{"InvalidArgument"}, run: levels(10_000_000)},
	{name: "a Struct of 34 levels", sends: "events and plain requests that other languages could not read",
		bound: []term{perCall, requests}, wants: []string{"InvalidArgument"}, run: structsOf(34)},
	{name: "maps of a million", sends: "maps with half a million entries, in 4 MiB",
		bound: []term{perCall, requests}, run: maps},
	{name: "batches of millions", sends: "two million events without a field, in 4 MiB",
		bound: []term{perCall, requests}, wants: []string{"InvalidArgument"},
		run: whole(4, 10, service+"PublishBatch", func() []byte { return prefixed(0, repeat(field(1, nil), nearly)) })},
	{name: "packed lists", sends: "4 million numbers in a list, and 2 million empty texts",
		bound: []term{perCall, requests}, run: packed},
	{name: "unknown fields", sends: "4 MiB of fields that the message does not have",
		bound: []term{perCall, requests}, run: unknownFields},
	{name: "invalid UTF-8", sends: "in texts, keys of maps, metadata and paths",
		bound: []term{perCall, perConnection}, run: invalidText},
	{name: "long attributes", sends: "ids, sources and types of up to 4 MiB, and event-id of 15 KiB",
		bound: []term{perCall, perConnection, requests, metadataHeld}, wants: []string{"InvalidArgument"}, run: longAttributes},
	{name: "endless streams", sends: "client streams and bidi that send on and on, without reading",
		bound: []term{perCall, perConnection, requests}, run: endless},
	{name: "lanes", sends: "800 lanes from 8 addresses: silent, with half a message, and with calls whose answers are not read",
		bound: []term{perCall, perConnection, requests}, run: lanes},
	{name: "silent streams", sends: "8,000 streams that send nothing, from 8 addresses",
		bound: []term{perCall, perConnection}, wants: []string{"ResourceExhausted"}, run: silentStreams},
	{name: "unread tails", sends: "1,000 tails that do not read, from 8 addresses", stored: 64,
		bound: []term{perCall, perConnection, tails}, wants: []string{"ResourceExhausted"}, run: unreadTails},
	{name: "unread answers", sends: "1,000 calls on each of 200 connections, of 8 addresses, without a window for the answer",
		bound: []term{perCall, perConnection}, run: unreadAnswers(200, 1000, nil)},
	{name: "unread large answers", sends: "8,000 of 1 MiB each, from 8 addresses",
		bound: []term{perCall, perConnection, requests, tails}, run: unreadAnswers(80, 100, make([]byte, mib))},
	{name: "watches and reflection", sends: "8,000 of each, from 8 addresses",
		bound: []term{perCall, perConnection}, run: ownServices},
	{name: "key guessing", sends: "keys of the right form, parts of a right one, long ones, and none", keys: true,
		bound: []term{perCall, perConnection, metadataHeld}, wants: []string{"Unauthenticated"}, never: []string{"OK"}, run: guessKeys},
	{name: "another source", sends: "events of another source, with a key for one: alone, in batches, streams and gzip", keys: true,
		bound: []term{perCall, perConnection, requests}, wants: []string{"PermissionDenied"}, never: []string{"OK"}, run: anotherSource},
	{name: "calls that work", sends: "1,000 correct calls at once on each of 4 connections of one address",
		bound: []term{perCall, perConnection, requests}, run: correctCalls},
}

// slowHeaders begins headers on many connections, and never ends them.
func slowHeaders(ctx context.Context, t *target) {
	swarm(ctx, 2000, time.Second, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n%8)
		if err != nil {
			return err
		}
		block := p.fields(service + "Publish")
		if err := p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:1]}); err != nil {
			return err
		}
		for _, b := range block[1:] {
			if !sleep(ctx, time.Second) || p.gone() {
				return nil
			}
			if err := p.framer.WriteContinuation(1, false, []byte{b}); err != nil {
				return err
			}
		}
		return nil
	})
}

func slowBodies(method string) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		swarm(ctx, 8, time.Second, func(ctx context.Context, n int) error {
			p, open, err := t.uploads(ctx, n, 1000, service+method, nil, func(p *peer, stream uint32) error {
				return p.send(stream, prefixed(0, make([]byte, mib))[:5], false)
			})
			for err == nil && sleep(ctx, time.Second) && !p.gone() {
				for _, stream := range open {
					if err = p.sendWithinWindow(stream, []byte{0}); err != nil {
						break
					}
				}
			}
			return err
		})
	}
}

func halfSent(ctx context.Context, t *target) {
	message := prefixed(0, make([]byte, nearly))
	swarm(ctx, 8, time.Second, func(ctx context.Context, n int) error {
		p, open, err := t.uploads(ctx, n, 500, service+"Publish", nil, nil)
		if err != nil {
			return err
		}
		var senders sync.WaitGroup
		for _, stream := range open {
			senders.Go(func() { _ = p.send(stream, message[:len(message)-1], false) })
		}
		context.AfterFunc(ctx, func() { p.Close() })
		senders.Wait()
		sleep(ctx, 20*time.Second)
		return nil
	})
}

func stalledWindows(ctx context.Context, t *target) {
	none := []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}
	swarm(ctx, 4, time.Second, func(ctx context.Context, n int) error {
		p, open, err := t.uploads(ctx, n, 500, service+"Relay", none, nil)
		if err != nil {
			return err
		}
		for i := range 500 {
			if _, err := p.open(healthOf + "Watch"); err != nil {
				return err
			}
			if err := p.send(p.next-2, prefixed(0, nil), i%2 == 0); err != nil {
				return err
			}
		}
		message := prefixed(0, publish())
		for err == nil && sleep(ctx, 100*time.Millisecond) && !p.gone() {
			for _, stream := range open {
				if err = p.sendWithinWindow(stream, message); err != nil {
					break
				}
			}
		}
		return err
	})
}

func continuations(ctx context.Context, t *target) {
	// Literals without indexing, so that nothing is evicted.
	fragment := bytes.Repeat([]byte{0, 1, 'a', 1, 'b'}, 16<<10/5)
	swarm(ctx, 64, 100*time.Millisecond, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n%8)
		if err != nil {
			return err
		}
		if err := p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.fields(service + "Publish")}); err != nil {
			return err
		}
		for ctx.Err() == nil && !p.gone() {
			if err := p.framer.WriteContinuation(1, false, fragment); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
		return nil
	})
}

func rapidReset(ctx context.Context, t *target) {
	message := prefixed(0, publish())
	swarm(ctx, 16, 100*time.Millisecond, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n%8)
		for i := 0; err == nil && ctx.Err() == nil && !p.gone(); i++ {
			var stream uint32
			if stream, err = p.open(service + []string{"Publish", "Relay", "Tail"}[i%3]); err != nil {
				break
			}
			if i%2 == 0 {
				_ = p.sendWithinWindow(stream, message)
			}
			if err = p.reset(stream); i%50 == 0 {
				sleep(ctx, 10*time.Millisecond)
			}
		}
		return err
	})
}

func controlFrames(ctx context.Context, t *target) {
	swarm(ctx, 16, 100*time.Millisecond, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n%8)
		for i := 0; err == nil && ctx.Err() == nil && !p.gone(); i++ {
			p.lock.Lock()
			if n%2 == 0 {
				err = p.framer.WritePing(false, [8]byte{byte(i)})
			} else {
				err = p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)})
			}
			p.lock.Unlock()
			if i%500 == 0 {
				sleep(ctx, 10*time.Millisecond)
			}
		}
		return err
	})
}

func oversizeMetadata(ctx context.Context, t *target) {
	value := string(bytes.Repeat([]byte("v"), mib))
	swarm(ctx, 16, 10*time.Millisecond, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n%8)
		for err == nil && ctx.Err() == nil && !p.gone() {
			err = p.call(service+"Publish", publish(), [2]string{"x-big", value})
			sleep(ctx, 10*time.Millisecond)
		}
		return err
	})
}

func headerBomb(ctx context.Context, t *target) {
	swarm(ctx, 16, 10*time.Millisecond, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n%8)
		if err != nil {
			return err
		}
		block := p.fields(service + "Publish")
		for i := 0; ctx.Err() == nil && !p.gone(); i++ {
			p.block.Reset()
			_ = p.encode.WriteField(hpack.HeaderField{Name: "x", Value: string(bytes.Repeat([]byte("v"), 3900))})
			bomb := append(bytes.Clone(block), p.block.Bytes()...)
			bomb = append(bomb, bytes.Repeat([]byte{0x80 | 62}, 10_000)...) // the newest of the table
			if err := p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: bomb, EndHeaders: true, EndStream: true}); err != nil {
				return err
			}
			sleep(ctx, 5*time.Millisecond)
		}
		return nil
	})
}

func metadataCalls(ctx context.Context, t *target) {
	value := string(bytes.Repeat([]byte("v"), 15<<10))
	swarm(ctx, 8, time.Second, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n)
		for i := 0; err == nil && i < 500 && !p.gone(); i++ {
			_, err = p.open(service+"Relay", [2]string{"x-big", value})
			sleep(ctx, 5*time.Millisecond)
		}
		for err == nil && !p.gone() && sleep(ctx, time.Second) {
		}
		return err
	})
}

func idleConnections(ctx context.Context, t *target) {
	swarm(ctx, 5000, 5*time.Second, func(ctx context.Context, n int) error {
		if n%2 == 0 {
			p, err := t.peer(ctx, 0)
			for err == nil && sleep(ctx, time.Second) && !p.gone() {
			}
			return err
		}
		conn, err := t.connect(ctx, 0)
		if err != nil {
			return err
		}
		defer conn.Close()
		if n%4 == 1 {
			_, _ = conn.Write([]byte(http2.ClientPreface[:10]))
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		for {
			if _, err := conn.Read(make([]byte, 1024)); err != nil {
				if ctx.Err() == nil {
					t.answered("closed")
				}
				return nil
			}
		}
	})
}

func connectAndLeave(ctx context.Context, t *target) {
	swarm(ctx, 16, time.Millisecond, func(ctx context.Context, n int) error {
		if n%2 == 0 {
			p, err := t.peer(ctx, n%8)
			if err == nil {
				err = p.Close()
			}
			return err
		}
		conn, err := t.connect(ctx, n%8)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

func handshakes(ctx context.Context, t *target) {
	swarm(ctx, 2016, time.Second, func(ctx context.Context, n int) error {
		if n < 16 {
			for ctx.Err() == nil {
				conn, err := t.connect(ctx, n%8)
				if err != nil {
					return err
				}
				encrypted := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
				if err := encrypted.HandshakeContext(ctx); err == nil {
					t.answered("a handshake")
				}
				conn.Close()
				sleep(ctx, 10*time.Millisecond)
			}
			return nil
		}
		conn, err := t.connect(ctx, n%8)
		if err != nil {
			return err
		}
		defer conn.Close()
		if n%2 == 0 {
			_, _ = conn.Write([]byte{0x16, 0x03, 0x01, 0x40, 0x00, 0x01}) // a record of 16 KiB begins
		}
		context.AfterFunc(ctx, func() { conn.Close() })
		if _, err := conn.Read(make([]byte, 1)); err != nil && ctx.Err() == nil {
			t.answered("closed")
		}
		return nil
	})
}

func oversize(ctx context.Context, t *target) {
	swarm(ctx, 8, 50*time.Millisecond, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n)
		for err == nil && ctx.Err() == nil && !p.gone() {
			length := uint32([]int64{4 * mib, 5 * mib, 100 * mib, 4<<30 - 1}[rand.IntN(4)])
			var stream uint32
			if stream, err = p.open(service + []string{"Publish", "PublishStream", "Relay"}[rand.IntN(3)]); err == nil {
				prefix := []byte{0, byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}
				err = p.sendWithinWindow(stream, append(prefix, make([]byte, 32<<10)...))
			}
			sleep(ctx, 10*time.Millisecond)
		}
		return err
	})
}

func gzipBombs(ctx context.Context, t *target) {
	large := prefixed(1, zipped(make([]byte, 256*mib)))
	small := prefixed(1, zipped(field(1, field(1, slices.Concat(field(1, []byte("k")), field(2, field(3, make([]byte, largest-1<<10))))))))
	swarm(ctx, 8, 50*time.Millisecond, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n)
		if err != nil {
			return err
		}
		var senders sync.WaitGroup
		for i := range 100 {
			framed := small
			if i%10 == 0 {
				framed = large
			}
			senders.Go(func() {
				for ctx.Err() == nil && !p.gone() {
					if p.callFramed(service+"Lookup", framed, [2]string{gzipped, "gzip"}) != nil {
						return
					}
					_ = p.await(func() bool { return len(p.window) < 100 })
					sleep(ctx, 50*time.Millisecond)
				}
			})
		}
		senders.Wait()
		return nil
	})
}

// several sends different requests, in turn, from 4 addresses.
func several(requests func() []request) func(context.Context, *target) {
	return func(ctx context.Context, t *target) {
		all := requests()
		swarm(ctx, 4, 50*time.Millisecond, func(ctx context.Context, n int) error {
			p, err := t.peer(ctx, n)
			for i := n; err == nil && ctx.Err() == nil && !p.gone(); i++ {
				next := all[i%len(all)]
				err = p.callFramed(next.method, next.framed(), next.metadata...)
				if err == nil {
					err = p.await(func() bool { return len(p.window) <= 20 })
				}
				sleep(ctx, 5*time.Millisecond)
			}
			return err
		})
	}
}

type request struct {
	method   string
	message  []byte
	metadata [][2]string
	zip      bool
}

func (r request) framed() []byte {
	if r.zip {
		return prefixed(1, zipped(r.message))
	}
	return prefixed(0, r.message)
}

func levels(n int) func(context.Context, *target) {
	return several(func() []request {
		s, l, m := structs(n, nearly), lists(n, nearly), nested(n, nearly, 7)
		unknown := bytes.Repeat(protowire.AppendTag(nil, 1000, protowire.StartGroupType), min(n, nearly/4))
		closed := append(bytes.Clone(unknown[:len(unknown)/2]), bytes.Repeat(protowire.AppendTag(nil, 1000, protowire.EndGroupType), len(unknown)/4)...)
		return []request{
			{method: service + "Publish", message: publish(field(6, s[:min(len(s), nearly-100)]))},
			{method: service + "Publish", message: publish(field(6, structs(n, nearly-100)))},
			{method: service + "PublishBatch", message: publish(field(6, field(1, field(2, lists(n, nearly-200)))))},
			{method: service + "Lookup", message: field(1, structs(n, nearly-100))},
			{method: service + "Lookup", message: field(2, l)},
			{method: service + "Lookup", message: m},
			{method: service + "Lookup", message: unknown},
			{method: service + "Publish", message: publish(unknown)},
			{method: service + "Publish", message: publish(closed)},
		}
	})
}

func structsOf(n int) func(context.Context, *target) {
	return several(func() []request {
		deep := structs(n, nearly)
		return []request{
			{method: service + "Publish", message: publish(field(6, deep))},
			{method: service + "PublishBatch", message: append(publish(), publish(field(6, deep))...)},
			{method: service + "PublishStream", message: publish(field(6, deep))},
			{method: service + "Relay", message: publish(field(6, deep))},
			{method: service + "Lookup", message: field(1, deep)},
			{method: service + "Lookup", message: field(3, append(field(1, []byte("k")), field(2, deep)...))},
		}
	})
}

func maps(ctx context.Context, t *target) {
	several(func() []request {
		var labels, fields, values []byte
		for i := 0; len(labels) < nearly-1<<10; i++ {
			labels = append(labels, field(7, field(1, fmt.Append(nil, i)))...)
		}
		for i := 0; len(fields) < nearly-1<<10; i++ {
			fields = append(fields, field(1, field(1, fmt.Append(nil, i)))...)
		}
		for i := 0; len(values) < nearly-1<<10; i++ {
			values = append(values, field(3, field(1, fmt.Append(nil, i)))...)
		}
		return []request{
			{method: service + "Publish", message: publish(labels)},
			{method: service + "Publish", message: publish(field(6, fields))},
			{method: service + "Lookup", message: field(1, fields)},
			{method: service + "Lookup", message: values},
		}
	})(ctx, t)
}

func packed(ctx context.Context, t *target) {
	several(func() []request {
		return []request{
			{method: service + "Lookup", message: field(4, make([]byte, nearly))},
			{method: service + "Lookup", message: field(5, make([]byte, nearly))},
			{method: service + "Lookup", message: repeat(field(6, nil), nearly)},
			{method: service + "Lookup", message: repeat([]byte{4 << 3, 1}, nearly)},
			{method: service + "Lookup", message: repeat(field(8, nil), nearly)},
			{method: service + "Lookup", message: field(2, field(6, repeat(field(1, nil), nearly)))},
		}
	})(ctx, t)
}

func unknownFields(ctx context.Context, t *target) {
	several(func() []request {
		return []request{
			{method: service + "Publish", message: publish(field(5000, make([]byte, nearly-1<<10)))},
			{method: service + "Publish", message: publish(repeat([]byte{9 << 3, 1}, nearly-1<<10))},
			{method: service + "Lookup", message: repeat(field(5000, nil), nearly)},
			{method: service + "PublishBatch", message: append(publish(), repeat(field(5000, []byte("x")), nearly)...)},
		}
	})(ctx, t)
}

func invalidText(ctx context.Context, t *target) {
	several(func() []request {
		bad := []byte("a\xff\xfe")
		return []request{
			{method: service + "Publish", message: field(1, field(2, bad))},
			{method: service + "Publish", message: publish(field(6, field(1, field(1, bad))))},
			{method: service + "Publish", message: publish(field(7, field(1, bad)))},
			{method: service + "PublishBatch", message: publish(field(1, bad))},
			{method: service + "Lookup", message: field(6, bad)},
			{method: service + "Publish", message: publish(), metadata: [][2]string{{"event-id", string(bad)}}},
			{method: service + "Publish", message: publish(), metadata: [][2]string{{"x-text", string(bad)}}},
			{method: service + "Publish", message: publish(), metadata: [][2]string{{"x-bin", "*not base64*"}}},
			{method: service + string(bad), message: publish()},
			{method: string(bad), message: publish()},
		}
	})(ctx, t)
}

func longAttributes(ctx context.Context, t *target) {
	several(func() []request {
		long := bytes.Repeat([]byte("x"), nearly-1<<10)
		return []request{
			{method: service + "Publish", message: publish(field(1, long))},
			{method: service + "Publish", message: publish(field(2, long))},
			{method: service + "Publish", message: publish(field(3, long))},
			{method: service + "Publish", message: publish(field(4, long))},
			{method: service + "Publish", message: publish(field(2, long[:5000]))},
			{method: service + "Publish", message: publish(), metadata: [][2]string{{"event-id", string(long[:15<<10])}}},
			{method: service + "PublishBatch", message: publish(), metadata: [][2]string{{"event-id", string(long[:15<<10])}}},
		}
	})(ctx, t)
}

func endless(ctx context.Context, t *target) {
	framed := bytes.Repeat(prefixed(0, publish()), 20)
	large := prefixed(0, publish(field(6, field(1, field(1, make([]byte, 100<<10))))))
	none := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}
	swarm(ctx, 8, 100*time.Millisecond, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n, none)
		if err != nil {
			return err
		}
		var senders sync.WaitGroup
		for i := range 20 {
			senders.Go(func() {
				stream, err := p.open(service + []string{"PublishStream", "Relay"}[i%2])
				for err == nil && ctx.Err() == nil && !p.gone() {
					part := framed
					if i%5 == 0 {
						part = large
					}
					err = p.send(stream, part, false)
					sleep(ctx, 20*time.Millisecond)
				}
			})
		}
		senders.Wait()
		return nil
	})
}

// lanes opens lanes, each of which brings many calls of a unary RPC (see runtime/bulk).
func lanes(ctx context.Context, t *target) {
	calls := prefixed(0, bytes.Repeat(field(2, field(3, publish())), 300))
	none := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}
	swarm(ctx, 8, 100*time.Millisecond, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n, none)
		if err != nil {
			return err
		}
		var senders sync.WaitGroup
		for i := range 100 {
			senders.Go(func() {
				stream, err := p.open(service + "Publish.bulk")
				for j := 0; err == nil && ctx.Err() == nil && !p.gone(); j++ {
					switch {
					case i%3 == 1 && j == 0:
						err = p.send(stream, calls[:len(calls)/2], false)
					case i%3 == 2:
						err = p.send(stream, calls, false)
					}
					sleep(ctx, 20*time.Millisecond)
				}
			})
		}
		senders.Wait()
		return nil
	})
}

func silentStreams(ctx context.Context, t *target) {
	swarm(ctx, 8, time.Second, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n)
		for i := 0; err == nil && ctx.Err() == nil && !p.gone(); i++ {
			if p.under() < 1000 {
				_, err = p.open(service + []string{"PublishStream", "Relay", "Publish"}[i%3])
			} else {
				sleep(ctx, 100*time.Millisecond)
			}
		}
		return err
	})
}

func unreadTails(ctx context.Context, t *target) {
	none := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}
	swarm(ctx, 8, time.Second, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n, none)
		for err == nil && ctx.Err() == nil && !p.gone() {
			if p.under() < 125 {
				err = p.call(service+"Tail", nil)
			}
			sleep(ctx, 10*time.Millisecond)
		}
		return err
	})
}

// unreadAnswers makes calls whose answers can't be sent.
func unreadAnswers(connections, calls int, data []byte) func(context.Context, *target) {
	message := prefixed(0, field(1, field(1, slices.Concat(field(1, []byte("k")), field(2, field(3, data))))))
	none := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}
	return func(ctx context.Context, t *target) {
		swarm(ctx, connections, time.Second, func(ctx context.Context, n int) error {
			p, err := t.peer(ctx, n%8, none)
			for i := 0; err == nil && i < calls && !p.gone(); i++ {
				err = p.callFramed(service+"Lookup", message)
				sleep(ctx, time.Millisecond)
			}
			for err == nil && !p.gone() && sleep(ctx, time.Second) {
			}
			return err
		})
	}
}

func ownServices(ctx context.Context, t *target) {
	reflected := prefixed(0, field(4, []byte("abuse.v1.AbuseService")))
	swarm(ctx, 16, time.Second, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, n%8)
		for err == nil && ctx.Err() == nil && !p.gone() {
			switch {
			case p.under() >= 1000:
				sleep(ctx, 100*time.Millisecond)
			case n%2 == 0:
				err = p.call(healthOf+"Watch", nil)
			default:
				var stream uint32
				if stream, err = p.open("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"); err == nil {
					err = p.sendWithinWindow(stream, bytes.Repeat(reflected, 20))
				}
				sleep(ctx, time.Millisecond)
			}
		}
		return err
	})
}

func guessKeys(ctx context.Context, t *target) {
	several(func() []request {
		changed := func(at int) string {
			key := []byte(t.key)
			key[at] ^= 1
			return string(key)
		}
		var all []request
		for _, key := range []string{
			"", " ", t.key[:len(t.key)-1], t.key + "0", t.key[:20], changed(10), changed(len(t.key) - 1), strings.ToUpper(t.key),
			strings.Repeat("k", 10<<10), "pgr_" + strings.Repeat("0", 72), t.key + "," + t.key,
		} {
			for _, method := range []string{"Publish", "PublishStream", "Tail", "Lookup"} {
				all = append(all, request{method: service + method, message: publish(), metadata: [][2]string{{"authorization", "Bearer " + key}}})
			}
		}
		return append(all,
			request{method: service + "Publish", message: publish()},
			request{method: service + "Publish", message: publish(), metadata: [][2]string{{"authorization", "Basic " + t.key}}},
			request{method: service + "Publish", message: publish(), metadata: [][2]string{{"x-authorization", "Bearer " + t.key}}},
			request{method: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", message: field(7, nil)},
		)
	})(ctx, t)
}

func anotherSource(ctx context.Context, t *target) {
	several(func() []request {
		other := field(1, event("honest"))
		key := [][2]string{{"authorization", "Bearer " + t.key}}
		zip := append([][2]string{{gzipped, "gzip"}}, key...)
		return []request{
			{method: service + "Publish", message: other, metadata: key},
			{method: service + "Publish", message: field(1, event("")), metadata: key},
			{method: service + "Publish", message: publish(field(2, []byte("honest"))), metadata: key}, // the last one counts
			{method: service + "PublishBatch", message: append(publish(), other...), metadata: key},
			{method: service + "PublishStream", message: other, metadata: key},
			{method: service + "Relay", message: other, metadata: key},
			{method: service + "Tail", metadata: key},
			{method: service + "Publish", message: other, metadata: zip, zip: true},
		}
	})(ctx, t)
}

func correctCalls(ctx context.Context, t *target) {
	swarm(ctx, 4, time.Second, func(ctx context.Context, n int) error {
		p, err := t.peer(ctx, 0)
		for err == nil && ctx.Err() == nil && !p.gone() {
			if err = p.call(service+"Publish", publish(field(6, field(1, field(1, make([]byte, 20<<10)))))); err == nil {
				err = p.await(func() bool { return len(p.window) <= 1000 })
			}
		}
		return err
	})
}
