package nats

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// seeds are texts that an encoding may get wrong.
var seeds = []string{
	"", "shop", " ", " a ", "a b", "a.b", "*", ">", "a:b", "a%3Ab", "=", "=41", "A", "==", "größe ✓", "\r\n", "\"quoted\"",
	"\u2028", "~", "\x7f", "a\tb", strings.Repeat("x", 100), strings.Repeat("x", 101), strings.Repeat("ü", 512), strings.Repeat("x", 1023) + "y",
}

// FuzzMessage checks that any event is read from its message as it was written.
func FuzzMessage(f *testing.F) {
	for i, text := range seeds {
		f.Add(text, seeds[(i+7)%len(seeds)], text+"t", text, int64(i)*1e15, []byte(text))
	}
	config := &config{events: "EVENTS", partitions: 16}
	f.Fuzz(func(t *testing.T, id, source, kind, subject string, nanos int64, data []byte) {
		event := eventlog.Event{ID: id, Source: source, Type: kind, Subject: subject, Schema: "shop.v1.OrderEvent", Time: time.Unix(0, nanos), Data: data}
		if _, err := eventlog.Validate([]eventlog.Event{event}); err != nil {
			t.Skip()
		}
		message := config.message(&event)
		if len(message.Subject) > 1024 || strings.ContainsAny(message.Subject, " \t\r\n*>") || strings.Count(message.Subject, ".") != 2 || strings.HasSuffix(message.Subject, ".") {
			t.Errorf("subject %q", message.Subject)
		}
		for name, values := range message.Header {
			for _, c := range []byte(values[0]) {
				if c <= ' ' || c > '~' {
					t.Errorf("header %s: %q", name, values[0])
				}
			}
		}
		record, err := parseRecord(7, time.Unix(1, 2), onTheWire(t, message.Header), message.Data)
		if err != nil {
			t.Fatal(err)
		}
		if record.ID != id || record.Source != source || !record.Same(&event) || !record.Time.Equal(event.Time) || record.Position != 7 {
			t.Errorf("got %+v, want %+v", record, event)
		}
	})
}

// onTheWire returns a header as the receiver of its bytes parses it.
func onTheWire(t *testing.T, header nats.Header) nats.Header {
	t.Helper()
	var text strings.Builder
	text.WriteString("NATS/1.0\r\n")
	if err := http.Header(header).Write(&text); err != nil {
		t.Fatal(err)
	}
	text.WriteString("\r\n")
	parsed, err := nats.DecodeHeadersMsg([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestDifferentTextsAreEncodedDifferently(t *testing.T) {
	ids, tokens := map[string][2]string{}, map[string]string{}
	for _, source := range seeds {
		token := subjectToken(source)
		if other, found := tokens[token]; found {
			t.Errorf("%q and %q have one token: %q", source, other, token)
		}
		tokens[token] = source
		if len(token) > maxToken || token == "" {
			t.Errorf("%q has the token %q", source, token)
		}
		for _, id := range seeds[1:] {
			key := messageID(&eventlog.Event{Source: source, ID: id})
			if other, found := ids[key]; found {
				t.Errorf("%q, %q and %q have one id: %q", source, id, other, key)
			}
			ids[key] = [2]string{source, id}
		}
	}
}

// Other programs read the stream, too, so the format of its messages never
// changes.
func TestMessageIsACloudEvent(t *testing.T) {
	config := &config{events: "EVENTS", partitions: 16}
	message := config.message(&eventlog.Event{ID: "1:a", Source: "shop:eu", Type: "order placed", Subject: "Jürgen", Schema: "shop.v1.OrderEvent",
		Time: time.Date(2026, 11, 22, 1, 2, 3, 40, time.FixedZone("", 3600)), Data: []byte("data"), Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	want := map[string]string{
		"ce-specversion": "1.0", "ce-id": "1:a", "ce-source": "shop:eu", "ce-type": "order%20placed", "ce-subject": "J%C3%BCrgen",
		"ce-time": "2026-11-22T00:02:03.00000004Z", "ce-dataschema": "shop.v1.OrderEvent", "content-type": "application/protobuf",
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"Nats-Msg-Id": "shop%3Aeu:1:a", "Nats-Expected-Stream": "EVENTS",
	}
	if len(message.Header) != len(want) {
		t.Errorf("headers %v", message.Header)
	}
	for name, value := range want {
		if got := message.Header[name]; !slices.Equal(got, []string{value}) {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if want := "EVENTS.6.shop=3Aeu"; message.Subject != want || string(message.Data) != "data" {
		t.Errorf("subject %q, want %q", message.Subject, want)
	}
}

func TestMessageThatIsNotAnEventIsRefused(t *testing.T) {
	for name, header := range map[string]nats.Header{
		"no header":  {},
		"no type":    {headerID: {"a"}, headerSchema: {"s"}},
		"bad escape": {headerID: {"%"}, headerType: {"t"}, headerSchema: {"s"}},
		"bad time":   {headerID: {"a"}, headerType: {"t"}, headerSchema: {"s"}, headerTime: {"yesterday"}},
	} {
		if _, err := parseRecord(7, time.Now(), header, nil); err == nil || !strings.Contains(err.Error(), "position 7 is not an event") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestURLIsParsed(t *testing.T) {
	config, err := parseURL("nats://me:p%40ss%2Fword@one:4222,[::1]:4222,two/ORDERS_1?replicas=5&window=1h&max-age=24h&max-bytes=10MB&partitions=4&timeout=3s&lease=2s&durability=none&monitor=http://one:8222")
	if err != nil {
		t.Fatal(err)
	}
	password, _ := config.user.Password()
	want := []string{"nats://one:4222", "nats://[::1]:4222", "nats://two"}
	if !slices.Equal(config.servers, want) || config.user.Username() != "me" || password != "p@ss/word" || config.events != "ORDERS_1" ||
		config.replicas != 5 || config.window != time.Hour || config.maxAge != 24*time.Hour || config.maxBytes != 10<<20 || config.partitions != 4 ||
		config.timeout != 3*time.Second || config.lease != 2*time.Second || config.durability != eventlog.None || config.monitor != "http://one:8222" {
		t.Errorf("%+v", config)
	}
	if got, want := config.String(), "nats://one:4222,[::1]:4222,two/ORDERS_1"; got != want {
		t.Errorf("its text is %s, want %s", got, want)
	}

	config, err = parseURL("tls://one/ORDERS")
	if err != nil || config.replicas != 3 || config.window != 10*time.Minute || config.maxAge != 0 || config.maxBytes != -1 || !config.isSecure || config.user != nil {
		t.Errorf("defaults: %+v, %v", config, err)
	}
	for url, want := range map[string]time.Duration{
		"nats://one/ORDERS?window=30s":                        30 * time.Second,
		"nats://one/ORDERS?max-age=30s":                       30 * time.Second,
		"nats://one/ORDERS?max-age=1h":                        10 * time.Minute,
		"nats://one/ORDERS?timeout=1s&window=2s":              2 * time.Second,
		"nats://one/ORDERS?timeout=1s&window=1m&max-age=2s":   2 * time.Second,
		"nats://one/ORDERS?timeout=10m&window=20m&max-age=1h": 20 * time.Minute,
	} {
		if config, err := parseURL(url); err != nil || config.window != want {
			t.Errorf("%s: %+v, %v", url, config, err)
		}
	}
	for url, want := range map[string]int{
		"nats://one/ORDERS?durability=none":            1,
		"nats://one/ORDERS?monitor=http://one:8222":    1,
		"nats://one/ORDERS?monitor=http://a:b@one:1":   1,
		"nats://one/ORDERS?creds=/a@b":                 3,
		"nats://one/ORDERS?durability=none&replicas=3": 3,
	} {
		if config, err := parseURL(url); err != nil || config.replicas != want {
			t.Errorf("%s: %+v, %v", url, config, err)
		}
	}
}

func TestBadURLIsRefusedWithoutItsPassword(t *testing.T) {
	for url, want := range map[string]string{
		"nats:":                        "want nats://HOST",
		"nats:///ORDERS":               "want nats://HOST",
		"nats://one":                   "name the stream",
		"nats://one,/ORDERS":           "want nats://HOST",
		"nats://me:secret@one/OR.DERS": "the name of a stream may have letters",
		"nats://me:secret@one/A/B":     "the name of a stream may have letters",
		"nats://me:secret%@one/ORDERS": "user and password can't be read",
		"nats://one/" + strings.Repeat("x", maxStreamName+1): "at most 200",
		"nats://me:secret@one/ORDERS?x=1":                    `there is no parameter "x"; the known ones are ca, cert, creds`,
		"nats://me:secret@one/ORDERS?replicas=0":             "parameter replicas=0: want a number from 1 to 5",
		"nats://me:secret@one/ORDERS?max-bytes=x":            "parameter max-bytes=x: want a number of bytes",
		"nats://me:secret@one/ORDERS?window=10":              "parameter window=10: want a duration",
		"nats://me:secret@one/ORDERS?replicas=1&replicas=3":  "given 2 times",
		"nats://me:secret@one/ORDERS?window=29s":             "window=29s is less than twice timeout=15s: an event that is tried again could be stored twice; want window=30s or more, or a timeout of at most 14.5s",
		"nats://me:secret@one/ORDERS?timeout=6m":             "window=10m0s is less than twice timeout=6m0s",
		"nats://me:secret@one/ORDERS?max-age=20s":            "max-age=20s is less than twice timeout=15s",
		"nats://me:secret@one/ORDERS?timeout=2s&max-age=3s":  "max-age=3s is less than twice timeout=2s",
		"nats://me:secret@one/ORDERS?durability=fsync":       "want none",
		"nats://me:secret@one/ORDERS?cert=a":                 "cert and key are needed together",
		"nats://me:secret@one/ORDERS?a=%":                    "can't be read",
		"nats://me:secret/ORDERS":                            "want nats://HOST",
		"nats:me:secret@one/ORDERS":                          "want nats://HOST",
		"nats://me:a?x=secret@one/ORDERS":                    "user and password can't be read",
		"nats://one/ORDERS?monitor=one:8222":                 "parameter monitor: want http://HOST:PORT",
		"nats://one/ORDERS?monitor=ftp://me:secret@one":      "parameter monitor: want http://HOST:PORT",
		"nats://one/ORDERS?monitor=http://me:secret@one:x":   "parameter monitor: want http://HOST:PORT",
	} {
		_, err := parseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", url, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is in %v", url, err)
		}
	}
}

func TestLagCountsEventsThatExist(t *testing.T) {
	state := jetstream.StreamState{Msgs: 7, FirstSeq: 3, LastSeq: 11, Deleted: []uint64{5, 10}}
	for position, want := range map[eventlog.Position]int64{0: 7, 2: 7, 3: 6, 5: 5, 9: 1, 10: 1, 11: 0, 20: 0} {
		if got := lag(state, position); got != want {
			t.Errorf("after %d: %d, want %d", position, got, want)
		}
	}
	if lag(jetstream.StreamState{LastSeq: 9}, 0) != 0 {
		t.Error("an empty stream has a lag")
	}
}

// A password that contains one of the characters that end it is not printed.
func TestCutPasswordIsNotPrinted(t *testing.T) {
	for _, url := range []string{
		"nats://admin:s3cret/x@host/ORDERS", "nats://admin:s3cret?x@host/ORDERS", "nats://admin:s3cret?x=y@host/ORDERS",
		"nats:admin:s3cret@host/ORDERS", "nats://admin:s3cret/ORDERS", "s3cret@host/ORDERS",
	} {
		if _, err := eventlog.Open(t.Context(), url); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v", url, err)
		}
	}
}
