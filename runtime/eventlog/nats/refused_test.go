package nats_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// open opens a log until the end of the test.
func open(t testing.TB, url string) eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// refused checks that a log is not opened, and that the error contains texts.
func refused(t testing.TB, url string, want ...string) {
	t.Helper()
	log, err := eventlog.Open(t.Context(), url)
	if err == nil {
		_ = log.Close()
		t.Errorf("%s: the log is opened", url)
		return
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want %s", url, err, text)
		}
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the password is in %v", err)
	}
}

func TestStreamWithOtherSettingsIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, &server.Options{})
	conn, err := nats.Connect(hosts(s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	log := open(t, "nats://"+hosts(s)+"/GOOD?durability=none")
	good, err := js.Stream(t.Context(), "GOOD")
	if err != nil {
		t.Fatal(err)
	}
	_ = log.Close()
	for name, test := range map[string]struct {
		change func(*jetstream.StreamConfig)
		want   string
	}{
		"memory": {func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "storage is Memory, want File"},
		"async": {func(c *jetstream.StreamConfig) {
			c.PersistMode, c.AllowAtomicPublish = jetstream.AsyncPersistMode, false
		}, "persist_mode is Async, want Default"},
		"retention":   {func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, "retention is Interest, want Limits"},
		"subjects":    {func(c *jetstream.StreamConfig) { c.Subjects = []string{"orders.>"} }, "subjects is [orders.>], want [STREAM.*.*] (nats stream edit STREAM --subjects=STREAM.*.*)"},
		"window":      {func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute }, "duplicate_window is 1m0s, want at least 10m0s (nats stream edit STREAM --dupe-window=10m0s, or window=1m0s in the URL)"},
		"discard":     {func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discard is DiscardOld, want DiscardNew (nats stream edit STREAM --discard=new)"},
		"max age":     {func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "max_age is 1h0m0s, want 0s"},
		"max bytes":   {func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }, "max_bytes is 1048576, want -1 (nats stream edit STREAM --max-bytes=-1, or max-bytes=1048576 in the URL)"},
		"max msgs":    {func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 }, "max_msgs is 1000, want -1"},
		"per subject": {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "max_msgs_per_subject is 1, want -1"},
		"no batches":  {func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false }, "allow_atomic is false, want true"},
		"rollup":      {func(c *jetstream.StreamConfig) { c.AllowRollup = true }, "allow_rollup_hdrs is true, want false"},
		"partitions":  {func(c *jetstream.StreamConfig) { c.Metadata = map[string]string{"eventlog_partitions": "4"} }, "partitions is 4, want 16 (partitions=4 in the URL)"},
	} {
		t.Run(name, func(t *testing.T) {
			config := good.CachedInfo().Config
			config.Name = newStream()
			config.Subjects = []string{config.Name + ".*.*"}
			test.change(&config)
			created, err := js.CreateStream(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			before := created.CachedInfo().Config
			refused(t, "nats://"+hosts(s)+"/"+config.Name+"?durability=none", "was not changed", strings.ReplaceAll(test.want, "STREAM", config.Name))
			if after, err := created.Info(t.Context()); err != nil || fmt.Sprint(after.Config) != fmt.Sprint(before) {
				t.Errorf("the stream was changed to %+v, %v", after.Config, err)
			}
			if err := js.DeleteStream(t.Context(), config.Name); err != nil {
				t.Fatal(err)
			}
		})
	}
	// A stream may have more than the URL asks for.
	_ = open(t, "nats://"+hosts(s)+"/GOOD?durability=none&window=1m").Close()
}

func TestUnprovenDurabilityIsRefused(t *testing.T) {
	t.Parallel()
	unsynced := start(t, &server.Options{HTTPHost: "127.0.0.1", HTTPPort: -1})
	synced := start(t, &server.Options{HTTPHost: "127.0.0.1", HTTPPort: -1, SyncAlways: true})
	refused(t, "nats://"+hosts(unsynced)+"/"+newStream(), "with 3 replicas can't be created (a single server needs replicas=1")
	refused(t, "nats://"+hosts(unsynced)+"/"+newStream()+"?replicas=1", "nothing proves", "durability=none")
	refused(t, "nats://"+hosts(unsynced)+"/"+newStream()+"?monitor=http://"+unsynced.MonitorAddr().String(), "does not write an event to disk", "sync_interval: always")
	// Each of these is tried again until its time is up.
	var answered atomic.Bool
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answered.Swap(true) {
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, `{"server_id":"another","config":{"sync_always":true}}`)
	}))
	defer hanging.Close()
	var group sync.WaitGroup
	defer group.Wait()
	for _, one := range []struct {
		at               *server.Server
		parameters, want string
	}{
		{unsynced, "monitor=http://" + synced.MonitorAddr().String(), "is the address of another server"},
		{synced, "monitor=http://127.0.0.1:1", "127.0.0.1:1"},
		{unsynced, "monitor=http://me:s3cret@" + synced.MonitorAddr().String(), "monitor=http://" + synced.MonitorAddr().String() + " is the address of another server"},
		{synced, "monitor=http://me:s3cret@127.0.0.1:1", "monitor=http://127.0.0.1:1: dial tcp"},
		{synced, "monitor=http://s3cret@127.0.0.1:1/s3cret?s3cret", "127.0.0.1:1"},
		{synced, "replicas=2&monitor=http://s3cret@127.0.0.1:1", "127.0.0.1:1"},
		{synced, "monitor=" + hanging.URL, "is the address of another server"},
	} {
		url := "nats://" + hosts(one.at) + "/" + newStream() + "?timeout=4s&" + one.parameters
		group.Go(func() { refused(t, url, one.want) })
	}
	group.Wait()
	for _, s := range []*server.Server{unsynced, synced} {
		if stats, err := s.Jsz(nil); err != nil || stats.Streams != 0 {
			t.Errorf("%+v, %v: want that no stream was created", stats, err)
		}
	}
}

// A server that was restarted may no longer sync. Then its acknowledgements are not
// taken as durable.
func TestDurabilityIsProvenAgainAfterARestart(t *testing.T) {
	t.Parallel()
	options := server.Options{Port: freePort(t), HTTPHost: "127.0.0.1", HTTPPort: freePort(t), SyncAlways: true, StoreDir: t.TempDir()}
	first := options
	s := start(t, &first)
	log := open(t, fmt.Sprintf("nats://%s/EVENTS?timeout=15s&monitor=http://127.0.0.1:%d", hosts(s), options.HTTPPort))
	receipts, err := log.Append(t.Context(), event("a"))
	if err != nil || receipts[0].Durability != eventlog.Fsync {
		t.Fatal(receipts, err)
	}
	s.Shutdown()
	s.WaitForShutdown()
	options.SyncAlways = false
	start(t, &options)
	if _, err := log.Append(t.Context(), event("b")); !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "does not write an event to disk") {
		t.Errorf("got %v, want that it is no longer durable", err)
	}
	if _, err := log.Stats(t.Context()); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("stats: got %v", err)
	}
	if err := log.Check(t.Context()); !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "does not write an event to disk") {
		t.Errorf("check: got %v", err)
	}
}

// A stream that has lost replicas is no longer a quorum. The log notices that at the
// next check, or after a reconnection.
func TestDurabilityIsProvenAgainWhenReplicasWereRemoved(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	for name, notice := range map[string]func(*testing.T, eventlog.Log, string){
		"check": func(t *testing.T, log eventlog.Log, _ string) {
			if err := log.Check(t.Context()); !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "replicas is 1, want at least 3") {
				t.Errorf("check: got %v, want that there is one replica", err)
			}
		},
		"reconnection": func(t *testing.T, _ eventlog.Log, stream string) {
			disconnect(t, servers, "event log "+stream)
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := "nats://" + hosts(servers[0]) + "/" + newStream()
			log := open(t, url)
			receipts, err := log.Append(t.Context(), event("a"))
			if err != nil || receipts[0].Durability != eventlog.Quorum {
				t.Fatal(receipts, err)
			}
			js, name := connect(t, url)
			stream, err := js.Stream(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			change := func(replicas int) {
				t.Helper()
				config := stream.CachedInfo().Config
				config.Replicas = replicas
				eventually(t, "the stream is changed", func() bool {
					_, err := js.UpdateStream(t.Context(), config)
					return err == nil
				})
			}
			change(1)
			notice(t, log, name)
			for i := range 2 {
				_, err := log.Append(t.Context(), event(fmt.Sprint(i)))
				if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "its stream was changed: stream "+name+": replicas is 1, want at least 3") {
					t.Errorf("got %v, want that there is one replica", err)
				}
			}
			change(3)
			eventually(t, "events are durable again", func() bool {
				receipts, err := log.Append(t.Context(), event("a"))
				return err == nil && receipts[0].Duplicate && receipts[0].Durability == eventlog.Quorum
			})
		})
	}
}

// disconnect ends the connection with a name, and waits until it is connected again,
// to any of the servers.
func disconnect(t *testing.T, servers []*server.Server, name string) {
	t.Helper()
	connections := func() (found []string) {
		for i, s := range servers {
			all, err := s.Connz(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, connection := range all.Conns {
				if connection.Name == name {
					found = append(found, fmt.Sprint(i, " ", connection.Cid))
				}
			}
		}
		return found
	}
	before := connections()
	var s int
	var id uint64
	if _, err := fmt.Sscan(strings.Join(before, " "), &s, &id); err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	if err := servers[s].DisconnectClientByID(id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log is connected again", func() bool {
		now := connections()
		return len(now) == 1 && now[0] != before[0]
	})
}

func TestOldServerIsRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = fmt.Fprint(conn, `INFO {"server_id":"X","version":"2.11.9","headers":true,"max_payload":1048576}`+"\r\n")
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			if lines.Text() == "PING" {
				_, _ = fmt.Fprint(conn, "PONG\r\n")
			}
		}
	}()
	refused(t, "nats://me:s3cret@"+listener.Addr().String()+"/EVENTS", "the server has version 2.11.9, want 2.12 or later")
}

func TestCredentialsAreUsed(t *testing.T) {
	t.Parallel()
	t.Run("user and password", func(t *testing.T) {
		s := start(t, &server.Options{Username: "me", Password: "s3cret/@"})
		_ = open(t, "nats://me:s3cret%2F%40@"+hosts(s)+"/EVENTS?durability=none")
		refused(t, "nats://me:s3cret@"+hosts(s)+"/EVENTS?durability=none", "nats://"+hosts(s)+"/EVENTS: no server can be reached", "Authorization Violation")
		refused(t, "nats://"+hosts(s)+"/EVENTS?durability=none", "Authorization Violation")
	})
	t.Run("token", func(t *testing.T) {
		s := start(t, &server.Options{Authorization: "s3cret"})
		_ = open(t, "nats://s3cret@"+hosts(s)+"/EVENTS?durability=none")
	})
	t.Run("nkey", func(t *testing.T) {
		key, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		seed, _ := key.Seed()
		public, _ := key.PublicKey()
		file := filepath.Join(t.TempDir(), "seed")
		if err := os.WriteFile(file, seed, 0o600); err != nil {
			t.Fatal(err)
		}
		s := start(t, &server.Options{Nkeys: []*server.NkeyUser{{Nkey: public}}})
		_ = open(t, "nats://"+hosts(s)+"/EVENTS?durability=none&nkey="+file)
		refused(t, "nats://"+hosts(s)+"/EVENTS?durability=none&nkey="+file+"-none", "no such file")
	})
	t.Run("TLS", func(t *testing.T) {
		certificate, file := selfSigned(t)
		s := start(t, &server.Options{TLS: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}})
		_ = open(t, "tls://"+hosts(s)+"/EVENTS?durability=none&ca="+file)
		_ = open(t, "nats://"+hosts(s)+"/EVENTS?durability=none&ca="+file)
		refused(t, "tls://"+hosts(s)+"/EVENTS?durability=none", "certificate signed by unknown authority")
		// This server requires a certificate of the client, too.
		trusted := x509.NewCertPool()
		leaf, err := x509.ParseCertificate(certificate.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		trusted.AddCert(leaf)
		key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		keyFile := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600); err != nil {
			t.Fatal(err)
		}
		mutual := start(t, &server.Options{TLS: true, TLSVerify: true, TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted,
		}})
		_ = open(t, "tls://"+hosts(mutual)+"/EVENTS?durability=none&ca="+file+"&cert="+file+"&key="+keyFile)
		refused(t, "tls://"+hosts(mutual)+"/EVENTS?durability=none&ca="+file, "tls")
		plain := start(t, &server.Options{})
		refused(t, "tls://"+hosts(plain)+"/EVENTS?durability=none", "secure connection not available")
	})
	t.Run("files that do not exist", func(t *testing.T) {
		s := start(t, &server.Options{})
		refused(t, "nats://"+hosts(s)+"/EVENTS?durability=none&ca=/none.pem", "none.pem")
		refused(t, "nats://"+hosts(s)+"/EVENTS?durability=none&cert=/none.pem&key=/none.key", "none.pem")
	})
	t.Run("a permission is missing", func(t *testing.T) {
		s := start(t, &server.Options{Users: []*server.User{
			{Username: "me", Password: "x", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"$JS.>", "EVENTS_consumers.>"}}}},
		}})
		log := open(t, "nats://me:x@"+hosts(s)+"/EVENTS?durability=none&timeout="+limitedTimeout)
		_, err := log.Append(t.Context(), event("a"))
		if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(strings.ToLower(err.Error()), "permissions violation for publish") {
			t.Errorf("got %v, want that the permission is missing", err)
		}
	})
	t.Run("no JetStream", func(t *testing.T) {
		account := server.NewAccount("plain")
		s := start(t, &server.Options{Accounts: []*server.Account{account}, Users: []*server.User{{Username: "me", Password: "x", Account: account}}})
		refused(t, "nats://me:x@"+hosts(s)+"/EVENTS?durability=none", "JetStream is not enabled for this user")
	})
}

func TestLogSurvivesARestartOfItsServer(t *testing.T) {
	t.Parallel()
	options := server.Options{Port: freePort(t), StoreDir: t.TempDir()}
	refused(t, fmt.Sprintf("nats://127.0.0.1:%d/EVENTS?durability=none", options.Port), "no server can be reached")
	first := options
	s := start(t, &first)
	log := open(t, "nats://"+hosts(s)+"/EVENTS?durability=none&timeout=5s")
	if err := log.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := log.Append(t.Context(), event("a")); err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	s.WaitForShutdown()
	_, err := log.Append(t.Context(), event("b"))
	if !errors.Is(err, eventlog.ErrUnavailable) || status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want that it is unavailable", err)
	}
	if text := status.Convert(err).Message(); strings.Contains(text, "127.0.0.1") {
		t.Errorf("the caller's message has the address of the server: %s", text)
	}
	if err := log.Check(t.Context()); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("check: %v", err)
	}
	for deadline := 900 * time.Millisecond; ; deadline *= 2 { // on a busy machine there is too little left of a short one
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		_, err := log.Append(ctx, event("b"))
		early := ctx.Err() == nil
		cancel()
		if early && errors.Is(err, eventlog.ErrUnavailable) {
			break
		}
		if deadline > 3*time.Second {
			t.Errorf("got %v, want that it is unavailable before the deadline has passed", err)
			break
		}
	}
	start(t, &options)
	for deadline := time.Now().Add(time.Minute); ; {
		receipts, err := log.Append(t.Context(), event("a"), event("b"))
		if err == nil {
			if !receipts[0].Duplicate || receipts[1].Duplicate {
				t.Errorf("receipts %+v", receipts)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// If a server never answers, the number of calls that wait for it is limited, and
// so is the time that they wait.
func TestWaitingCallsAreLimited(t *testing.T) {
	t.Parallel()
	n := &node{Name: "slow", Port: freePort(t), StoreDir: t.TempDir()}
	n.start(t)
	t.Cleanup(n.kill)
	var log eventlog.Log
	(&cluster{}).eventually(t, "the server answers", func(ctx context.Context) (opened bool) {
		var err error
		log, err = eventlog.Open(t.Context(), fmt.Sprintf("nats://127.0.0.1:%d/EVENTS?durability=none&timeout=1m", n.Port))
		return err == nil
	})
	defer func() { _ = log.Close() }()
	n.pause()
	for i := 0; ; i++ { // the signal may take a while to arrive
		probe, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := log.Append(probe, event(fmt.Sprint("probe", i)))
		cancel()
		if err != nil {
			break
		}
	}
	const calls, most = 9000, 8192
	ctx, hangUp := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer hangUp()
	var mu sync.Mutex
	count := map[codes.Code]int{}
	for i := range calls {
		group.Go(func() {
			_, err := log.Append(ctx, event(fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			count[status.Code(err)]++
		})
	}
	eventually(t, "those are refused that are too many", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return count[codes.ResourceExhausted] == calls-most
	})
	hangUp()
	group.Wait()
	if count[codes.Canceled] != most {
		t.Errorf("outcomes %v, want that %d waited", count, most)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := log.Append(ctx, event("late")); status.Code(err) != codes.Unavailable && status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("with a deadline: %v", err)
	}
	n.resume()
	if _, err := log.Append(t.Context(), event("at last")); err != nil {
		t.Error(err)
	}
}

func TestFullStreamRefusesEvents(t *testing.T) {
	t.Parallel()
	s := start(t, &server.Options{})
	log := open(t, "nats://"+hosts(s)+"/EVENTS?durability=none&max-bytes=20000&max-age=1h")
	stored := 0
	var err error
	for ; err == nil && stored < 1000; stored++ {
		_, err = log.Append(t.Context(), event(fmt.Sprint(stored)))
	}
	if !errors.Is(err, eventlog.ErrFull) || status.Code(err) != codes.ResourceExhausted {
		t.Errorf("after %d events: %v, want that it is full", stored, err)
	}
	if _, err := log.Append(t.Context(), event("x"), event("y")); !errors.Is(err, eventlog.ErrFull) {
		t.Errorf("a batch: %v, want that it is full", err)
	}
	read := 0
	for _, err := range log.Read(t.Context(), eventlog.From{}) {
		if read++; err != nil {
			t.Fatal(err)
		}
	}
	if read != stored-1 {
		t.Errorf("the log has %d events, want %d", read, stored-1)
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, &server.Options{})
	log := open(t, "nats://"+hosts(s)+"/EVENTS?durability=none&timeout=1m") // for a large batch
	large := event("large")
	large.Data = make([]byte, 1<<20)
	if _, err := log.Append(t.Context(), large); !errors.Is(err, eventlog.ErrInvalid) || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("got %v, want that it is too large", err)
	}
	many := make([]eventlog.Event, 1001)
	for i := range many {
		many[i] = event(fmt.Sprint(i))
	}
	if _, err := log.Append(t.Context(), many...); !errors.Is(err, eventlog.ErrInvalid) || !strings.Contains(err.Error(), "max_batch_size, by default 1000") {
		t.Errorf("got %v, want that there are too many", err)
	}
	if _, err := log.Append(t.Context(), many[:1000]...); err != nil {
		t.Error(err)
	}
	// The largest event that is accepted can become a dead letter.
	large.Data = make([]byte, 1<<20-9<<10)
	if _, err := log.Append(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	hold, err := log.Hold(t.Context(), strings.Repeat("ü", 512))
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.PutDead(t.Context(), eventlog.DeadLetter{Record: eventlog.Record{Event: large, Position: 1001}, Tries: 1, Reason: strings.Repeat("ü", 4000)}); err != nil {
		t.Fatal(err)
	}
	for letter, err := range log.Dead(t.Context(), "") {
		if err != nil || len(letter.Data) != len(large.Data) || letter.Position != 1001 || letter.Reason != strings.Repeat("ü", 512) {
			t.Errorf("position %d, %d bytes, %v", letter.Position, len(letter.Data), err)
		}
	}
}

// selfSigned returns a certificate for the loopback address, and a file with it.
func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
