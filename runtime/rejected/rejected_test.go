package rejected_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/rejected"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1events"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1/rulesv1server"
)

// orders stores what it gets.
type orders struct {
	rulesv1.UnimplementedOrdersServer
	events *rulesv1events.Log
}

func (o orders) Place(ctx context.Context, event *rulesv1.OrderEvent) (*rulesv1.Placed, error) {
	_, err := o.events.AppendOrderEvent(ctx, event)
	return &rulesv1.Placed{}, err
}

func (o orders) Upload(stream rulesv1.Orders_UploadServer) error {
	for {
		event, err := stream.Recv()
		if err != nil {
			return err
		}
		if _, err := o.events.AppendOrderEvent(stream.Context(), event); err != nil {
			return err
		}
	}
}

func (orders) Get(context.Context, *rulesv1.AllRules) (*rulesv1.Placed, error) {
	return nil, status.Error(codes.InvalidArgument, "not an event")
}

// serve runs the service until stop, with or without the rules of its proto.
func serve(t *testing.T, log eventlog.Log, ruled bool, keep rejected.Config, more ...server.Option) (client *grpc.ClientConn, stop func()) {
	t.Helper()
	service := rulesv1server.Orders(orders{events: rulesv1events.New(log)})
	if !ruled {
		service.Rules = nil
	}
	config := server.Defaults("test")
	config.Addr, config.LogLevel = "127.0.0.1:0", slog.LevelError
	running, err := server.Listen(config, append(more, service, keep.Option(t.Context()))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- running.Serve(ctx) }()
	client, err = grpc.NewClient(running.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return client, func() {
		t.Helper()
		_ = client.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// raw sends bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)   { return v.([]byte), nil }
func (raw) Unmarshal(_ []byte, _ any) error { return nil }
func (raw) Name() string                    { return "proto" }

func event(t *testing.T) *rulesv1.OrderEvent {
	return servertest.Sample[*rulesv1.OrderEvent]("rules.v1.OrderEvent.event_id")
}

// letters waits for so many dead letters, and returns what is in them, by RPC and reason.
func letters(t *testing.T, url string, want int) (found map[string]map[string]any) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		log, err := eventlog.OpenReader(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		found = map[string]map[string]any{}
		n := 0
		for letter, err := range log.Dead(t.Context(), rejected.Consumer) {
			if err != nil {
				t.Fatal(err)
			}
			stored := new(structpb.Struct)
			if err := proto.Unmarshal(letter.Data, stored); err != nil {
				t.Fatal(err)
			}
			found[fmt.Sprintf("%s %.24s", letter.Source, letter.Reason)] = stored.AsMap()
			n++
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if n == want {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d requests are kept, want %d: %v", n, want, found)
		}
	}
}

func TestRefusedRequestsAreKeptAndSentAgain(t *testing.T) {
	events := servertest.Log(t)
	keep := rejected.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "rejected.db"), Caller: func(context.Context) string { return "jerry" }}
	conn, stop := serve(t, events, true, keep)
	client := rulesv1.NewOrdersClient(conn)

	wrong, wrongInStream := event(t), event(t)
	wrong.Note, wrongInStream.Note = "too long", "also too long"
	sent, err := proto.Marshal(wrong)
	if err != nil {
		t.Fatal(err)
	}
	ctx := eventid.WithID(t.Context(), "id-of-the-call")
	if _, err := client.Place(ctx, wrong); status.Code(err) != codes.InvalidArgument {
		t.Fatalf("error is %v, want InvalidArgument", err)
	}
	if _, err := client.Place(ctx, event(t)); err != nil {
		t.Fatal(err)
	}
	stream, err := client.Upload(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []*rulesv1.OrderEvent{event(t), wrongInStream} {
		if err := stream.Send(one); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.CloseAndRecv(); status.Code(err) != codes.InvalidArgument {
		t.Fatalf("error is %v, want InvalidArgument", err)
	}
	if _, err := client.Get(ctx, servertest.Sample[*rulesv1.AllRules]()); status.Code(err) != codes.InvalidArgument {
		t.Fatalf("error is %v, want InvalidArgument", err) // and it is not kept: the RPC takes no events
	}
	undecodable := []byte{0xff, 0x01}
	if err := conn.Invoke(ctx, "/rules.v1.Orders/Place", undecodable, new([]byte), grpc.ForceCodec(raw{})); status.Code(err) != codes.InvalidArgument {
		t.Fatalf("error is %v, want InvalidArgument", err)
	}

	kept := letters(t, keep.URL, 3)
	unary := kept["rules.v1.Orders/Place InvalidArgument: note: m"]
	for name, want := range map[string]string{
		"rpc": "rules.v1.Orders/Place", "type": "rules.v1.OrderEvent", "code": "InvalidArgument", "event_id": "id-of-the-call", "key": "jerry",
		"reason": "note: must be at most 5 characters",
	} {
		if unary[name] != want {
			t.Errorf("%s is %q, want %q", name, unary[name], want)
		}
	}
	if request, err := base64.StdEncoding.DecodeString(fmt.Sprint(unary["request"])); err != nil || !bytes.Equal(request, sent) {
		t.Errorf("the request is %q (%v), want %q", request, err, sent)
	}
	if !strings.Contains(fmt.Sprint(unary["decoded"]), "too long") || !strings.HasPrefix(fmt.Sprint(unary["address"]), "127.0.0.1:") {
		t.Errorf("it is kept as %v", unary)
	}
	if got, want := kept["rules.v1.Orders/Place InvalidArgument: the req"]["request"], base64.StdEncoding.EncodeToString(undecodable); got != want {
		t.Errorf("of one that can't be decoded %q is kept, want %q", got, want)
	}
	stop()

	// The rules were mended: what they refused is stored now, and the rest stays.
	_, stop = serve(t, events, false, keep)
	defer stop()
	log, err := eventlog.Open(t.Context(), keep.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if n, err := log.Retry(t.Context(), rejected.Consumer); n != 3 || err != nil {
		t.Fatalf("%d are tried again (%v), want 3", n, err)
	}
	if again := letters(t, keep.URL, 1); again["rules.v1.Orders/Place InvalidArgument: the req"] == nil {
		t.Errorf("what is refused again is kept as %v", again)
	}
	stored := map[string]bool{}
	for one, err := range eventlog.ReplayMessages[*rulesv1.OrderEvent](t.Context(), events, eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		stored[one.Message.GetNote()] = true
	}
	if len(stored) != 3 || !stored["too long"] || !stored["also too long"] {
		t.Errorf("notes in the log are %v", stored)
	}
}

// makeLog makes an empty log.
func makeLog(t *testing.T, url string) {
	t.Helper()
	log, err := eventlog.Open(t.Context(), url)
	if err == nil {
		err = log.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRefusedRequestsOfASubjectAreErased: and no others, also of those whose events the log
// has no longer.
func TestRefusedRequestsOfASubjectAreErased(t *testing.T) {
	keep := rejected.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "rejected.db")}
	conn, stop := serve(t, servertest.Log(t), true, keep)
	defer stop()
	for note, customer := range map[string]string{"too long": "ann", "also too long": "anne", "it is too long": "bob"} {
		wrong := event(t)
		wrong.Note, wrong.Subject = note, customer
		if _, err := rulesv1.NewOrdersClient(conn).Place(t.Context(), wrong); status.Code(err) != codes.InvalidArgument {
			t.Fatalf("error is %v, want InvalidArgument", err)
		}
	}
	notMessages := []byte(`{"subject":"ann"`)
	if err := conn.Invoke(t.Context(), "/rules.v1.Orders/Place", notMessages, new([]byte), grpc.ForceCodec(raw{})); status.Code(err) != codes.InvalidArgument {
		t.Fatalf("error is %v, want InvalidArgument", err)
	}
	letters(t, keep.URL, 4)
	log, err := eventlog.Open(t.Context(), keep.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var out bytes.Buffer
	events := filepath.Join(t.TempDir(), "events.db")
	makeLog(t, "sqlite:"+events)
	err = operate.Events(t.Context(), "test", []string{"erase", "--source", "", "--subject", "ann", "--events", "sqlite:" + events, "--keep-rejected", keep.URL},
		func(string) string { return "" }, &out, operate.Backup)
	if err != nil || out.String() != `{"erased":0,"dead":0,"refused":2}`+"\n" {
		t.Errorf("erase printed %s, %v", out.String(), err)
	}
	letters(t, keep.URL, 2)
	left := ""
	for letter, err := range log.Dead(t.Context(), rejected.Consumer) {
		if err != nil {
			t.Fatal(err)
		}
		left += string(letter.Data)
	}
	if !strings.Contains(left, "anne") || !strings.Contains(left, "bob") || strings.Contains(left, `ann"`) {
		t.Errorf("%q are left", left)
	}
	erased := 0
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		if record.Erased {
			erased++
		}
	}
	if erased != 2 {
		t.Errorf("%d events are erased, want 2", erased)
	}
}

// Whoever may send the events of one source only gets no others stored by having a request
// refused for something else before its source is looked at.
func TestSendingAgainStoresNoEventOfAnothersSource(t *testing.T) {
	events := servertest.Log(t)
	keep := rejected.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "rejected.db")}
	mine := server.Guards(server.Guard{Admit: func(ctx context.Context, _ server.Call) (context.Context, error) {
		return server.OnlySource(ctx, "mine"), nil
	}})
	refuses := server.UnaryInterceptors(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
		return nil, status.Error(codes.InvalidArgument, "not today")
	})
	conn, stop := serve(t, events, true, keep, mine, refuses)
	for _, source := range []string{"mine", "theirs"} {
		one := event(t)
		one.Source = source
		if _, err := rulesv1.NewOrdersClient(conn).Place(t.Context(), one); status.Code(err) != codes.InvalidArgument {
			t.Fatalf("error is %v, want InvalidArgument", err)
		}
	}
	stop()

	_, stop = serve(t, events, true, keep, mine)
	defer stop()
	log, err := eventlog.Open(t.Context(), keep.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		n, err := log.Retry(t.Context(), rejected.Consumer)
		if err != nil {
			t.Fatal(err)
		}
		if n == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d are tried again, want 2", n)
		}
	}
	refused := func(left map[string]map[string]any) (id string) { // once the other one was tried, too
		for id := range left {
			if strings.Contains(id, "PermissionDenied") {
				return id
			}
		}
		return ""
	}
	left := letters(t, keep.URL, 1)
	for deadline := time.Now().Add(time.Minute); refused(left) == "" && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		left = letters(t, keep.URL, 1)
	}
	letter := left[refused(left)]
	if letter["only_source"] != "mine" || !strings.Contains(fmt.Sprint(letter["decoded"]), "theirs") {
		t.Errorf("%v stays, want the event of another source, which is refused", left)
	}
	for record, err := range events.Read(t.Context(), eventlog.From{}) {
		if err != nil || record.Source != "mine" {
			t.Errorf("an event of %q is stored (%v)", record.Source, err)
		}
	}
}

// A request beyond a limit is not kept: sent again, it would not be held to the limit.
func TestWhatALimitRefusesIsNotKept(t *testing.T) {
	keep := rejected.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "rejected.db")}
	conn, stop := serve(t, servertest.Log(t), true, keep)
	client := rulesv1.NewOrdersClient(conn)
	batch := &rulesv1.Batch{}
	for range server.Defaults("test").MaxBatch + 1 {
		batch.Events = append(batch.Events, &rulesv1.OrderEvent{})
	}
	if _, err := client.PlaceAll(t.Context(), batch); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "--max-batch") {
		t.Fatalf("error is %v, want InvalidArgument that names --max-batch", err)
	}
	wrong := event(t)
	wrong.Note = "too long"
	if _, err := client.Place(t.Context(), wrong); status.Code(err) != codes.InvalidArgument {
		t.Fatalf("error is %v, want InvalidArgument", err)
	}
	defer stop()
	for id := range letters(t, keep.URL, 1) {
		if !strings.HasPrefix(id, "rules.v1.Orders/Place ") {
			t.Errorf("%s is kept, want only the one after it", id)
		}
	}
}

// What does not fit is answered as ever, and is not kept. The log says how many there were,
// in few lines.
func TestKeptRequestsAreBounded(t *testing.T) {
	var logged bytes.Buffer
	last := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	t.Cleanup(func() { slog.SetDefault(last) })
	keep := rejected.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "rejected.db"), Bytes: 3000}
	conn, stop := serve(t, servertest.Log(t), true, keep)
	client := rulesv1.NewOrdersClient(conn)
	wrong := event(t)
	wrong.Note = "too long"
	if _, err := client.Place(t.Context(), wrong); status.Code(err) != codes.InvalidArgument {
		t.Fatalf("error is %v, want InvalidArgument", err)
	}
	letters(t, keep.URL, 1)
	wrong.Note = strings.Repeat("much ", 1000)
	for range 100 {
		if _, err := client.Place(t.Context(), wrong); status.Code(err) != codes.InvalidArgument {
			t.Fatalf("error is %v, want InvalidArgument", err)
		}
	}
	stop()
	letters(t, keep.URL, 1)
	lost := 0
	lines := regexp.MustCompile(`refused requests were not kept" requests=(\d+) error=.*--keep-rejected-bytes`).FindAllStringSubmatch(logged.String(), -1)
	for _, line := range lines {
		n, _ := strconv.Atoi(line[1])
		lost += n
	}
	if lost != 100 || len(lines) > 10 {
		t.Errorf("%d lines say that %d were lost, want 100 in a few:\n%s", len(lines), lost, logged.String())
	}
}

// The log of the events themselves is not a place for refused requests: all that is in it
// would become dead letters.
func TestALogWithOtherEventsIsRefused(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rulesv1events.New(log).AppendOrderEvent(t.Context(), event(t)); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = server.Listen(server.Defaults("test"), rulesv1server.Orders(orders{}), (&rejected.Config{URL: url}).Option(t.Context()))
	if err == nil || !strings.HasPrefix(err.Error(), "--keep-rejected: there are other events in this log") {
		t.Errorf("error is %v, want one that says that there are other events", err)
	}
}

// A log that is still empty does not say of what it is.
func TestTheLogOfTheEventsIsRefusedWhileItIsEmpty(t *testing.T) {
	t.Chdir(t.TempDir())
	for url, refused := range map[string]bool{
		"sqlite:data/events.db": true, "sqlite:./data//events.db?max-bytes=1GB": true, "sqlite:data/rejected.db": false, "memory:": false,
	} {
		var keep rejected.Config
		config, err := server.Parse("test", []string{"--addr", "localhost:0", "--events", "sqlite:data/events.db", "--keep-rejected", url}, func(string) string { return "" }, io.Discard, keep.Flags)
		if err != nil {
			t.Fatal(err)
		}
		running, err := server.Listen(config, rulesv1server.Orders(orders{}), keep.Option(t.Context()))
		if got := err != nil && strings.HasPrefix(err.Error(), "--keep-rejected and --events are the same log"); got != refused {
			t.Errorf("%s: error is %v", url, err)
		}
		if running != nil {
			ctx, stop := context.WithCancel(t.Context())
			stop()
			_ = running.Serve(ctx)
		}
	}
}

func TestALogThatCannotBeOpenedEndsTheServerAtOnce(t *testing.T) {
	_, err := server.Listen(server.Defaults("test"), rulesv1server.Orders(orders{}), (&rejected.Config{URL: "nothing:here"}).Option(t.Context()))
	if err == nil || !strings.HasPrefix(err.Error(), "--keep-rejected: ") {
		t.Errorf("error is %v, want one that names the flag", err)
	}
}
