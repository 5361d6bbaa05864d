package nats

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// config is what a URL specifies (see the package comment).
type config struct {
	servers  []string
	user     *url.Userinfo // nil: none
	isSecure bool
	events   string // the name of their stream

	// What the stream is created with. An existing one must have the same
	// settings, or at least as many replicas and as long a window.
	replicas   int
	window     time.Duration // how long an id is known; at least twice timeout
	maxAge     time.Duration // how long an event is kept; 0: for ever; otherwise at least twice timeout
	maxBytes   int64         // how much is kept before the log is full; -1: no limit
	partitions int           // how many subjects the events of a source are spread over

	durability eventlog.Durability // None if the URL asks for no proof, otherwise ""
	monitor    string              // a URL where a single server reports whether it syncs; "" if there is none
	timeout    time.Duration       // how long an operation is retried
	lease      time.Duration       // how long a consumer's lease outlives its process

	creds, nkey   string // files with the client's credentials
	ca, cert, key string // files for TLS
}

// maxStreamName is the most bytes that the name of a stream may have: it is part
// of subjects, and of the names of files on the server.
const maxStreamName = 200

// parseURL returns what a URL specifies. Its errors repeat no part of the URL
// that may be secret.
func parseURL(text string) (*config, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	rest, query, _ := strings.Cut(rest, "?")
	authority, stream, _ := strings.Cut(rest, "/")
	config := &config{isSecure: scheme == "tls", events: stream, window: 10 * time.Minute, maxBytes: -1, partitions: 16, timeout: 15 * time.Second, lease: 15 * time.Second}
	if cutsPassword(stream, query) {
		return nil, errors.New("event log nats:…: user and password can't be read; write @ : / ? and % in them as %40 %3A %2F %3F and %25")
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, err := url.Parse("nats://" + authority[:at+1] + "host")
		if err != nil { // it would repeat the password
			return nil, errors.New("event log nats:…: user and password can't be read; write @ : / and % in them as %40 %3A %2F and %25")
		}
		config.user = user.User
		authority = authority[at+1:]
	}
	for host := range strings.SplitSeq(authority, ",") {
		if at, err := url.Parse(scheme + "://" + host); err != nil || at.Host != host || at.Hostname() == "" { // which may be a user and password
			return nil, errors.New("event log nats:…: want nats://HOST[:PORT],…/STREAM, such as nats://localhost:4222/ORDERS")
		}
		config.servers = append(config.servers, scheme+"://"+host)
	}
	if err := config.checkStreamName(); err != nil {
		return nil, err
	}
	parameters, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("%s: the parameters after the ? can't be read: %w", config, err)
	}
	if err := config.set(parameters); err != nil {
		return nil, fmt.Errorf("%s: %w", config, err)
	}
	return config, nil
}

// textParameters are the parameters whose values may contain an @.
var textParameters = []string{"monitor", "creds", "nkey", "ca", "cert", "key"}

// cutsPassword reports whether the stream and parameters of a URL are in fact the
// rest of a password that contains a / or ?.
func cutsPassword(stream, query string) bool {
	before, _, found := strings.Cut(stream+"&"+query, "@")
	parameter, _, _ := strings.Cut(before[strings.LastIndexByte(before, '&')+1:], "=")
	return found && !slices.Contains(textParameters, parameter)
}

// monitorHost returns the address of the monitor, without what may be secret.
func (c *config) monitorHost() string {
	at, err := url.Parse(c.monitor)
	if err != nil {
		return "…"
	}
	return at.Scheme + "://" + at.Host
}

// String returns the URL without what may be secret. Each error of Open begins
// with it.
func (c *config) String() string {
	hosts := strings.Join(c.servers, ",")
	if len(c.servers) > 1 {
		scheme, _, _ := strings.Cut(hosts, "://")
		hosts = scheme + "://" + strings.ReplaceAll(hosts, scheme+"://", "")
	}
	return hosts + "/" + c.events
}

// checkStreamName checks the name of the stream.
func (c *config) checkStreamName() error {
	isBad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	switch {
	case c.events == "":
		return fmt.Errorf("%s: name the stream of the events, such as %sORDERS", c, c)
	case strings.ContainsFunc(c.events, isBad) || len(c.events) > maxStreamName:
		return fmt.Errorf("%s: the name of a stream may have letters, digits, - and _, and at most %d of them", c, maxStreamName)
	}
	return nil
}

// set sets the fields that parameters specify, and the number of replicas if none
// does.
func (c *config) set(parameters url.Values) error {
	known := map[string]func(value string) error{
		"replicas":   setNumber(&c.replicas, 5),
		"window":     setDuration(&c.window, 100*time.Millisecond),
		"max-age":    setDuration(&c.maxAge, time.Second),
		"max-bytes":  setBytes(&c.maxBytes),
		"partitions": setNumber(&c.partitions, 1024),
		"timeout":    setDuration(&c.timeout, 100*time.Millisecond),
		"lease":      setDuration(&c.lease, 500*time.Millisecond),
		"monitor":    setURL(&c.monitor),
		"creds":      setText(&c.creds),
		"nkey":       setText(&c.nkey),
		"ca":         setText(&c.ca),
		"cert":       setText(&c.cert),
		"key":        setText(&c.key),
		"durability": func(value string) error {
			if value != string(eventlog.None) {
				return fmt.Errorf("want %s; leave the parameter out to have the durability proven", eventlog.None)
			}
			c.durability = eventlog.None
			return nil
		},
	}
	var names []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	for name, values := range parameters {
		set := known[name]
		if set == nil {
			return fmt.Errorf("there is no parameter %q; the known ones are %s", name, strings.Join(names, ", "))
		}
		if len(values) > 1 {
			return fmt.Errorf("parameter %s is given %d times", name, len(values))
		}
		if err := set(values[0]); err != nil && name == "monitor" { // whose value may contain a password
			return fmt.Errorf("parameter %s: %w", name, err)
		} else if err != nil {
			return fmt.Errorf("parameter %s=%s: %w", name, values[0], err)
		}
	}
	if (c.cert == "") != (c.key == "") {
		return errors.New("the parameters cert and key are needed together")
	}
	if err := c.setWindow(); err != nil {
		return err
	}
	if c.durability == eventlog.None || c.monitor != "" {
		c.replicas = cmp.Or(c.replicas, 1)
	}
	c.replicas = cmp.Or(c.replicas, 3)
	return nil
}

// setWindow checks that an event's id is known for as long as copies of the event
// may arrive: it is sent again until timeout, and the last copy may take as long
// again.
func (c *config) setWindow() error {
	least := 2 * c.timeout
	short := func(name string, value time.Duration) error {
		return fmt.Errorf("%s=%v is less than twice timeout=%v: an event that is tried again could be stored twice; want %s=%v or more, or a timeout of at most %v", name, value, c.timeout, name, least, value/2)
	}
	switch {
	case c.window < least:
		return short("window", c.window)
	case c.maxAge > 0 && c.maxAge < least:
		return short("max-age", c.maxAge)
	case c.maxAge > 0:
		c.window = min(c.window, c.maxAge) // the server accepts no longer window
	}
	return nil
}

// setText returns a function that sets a field to the value of a parameter. So do
// the functions below, which parse and check the value first.
func setText(field *string) func(string) error {
	return func(value string) error {
		*field = value
		return nil
	}
}

func setURL(field *string) func(string) error {
	return func(value string) error {
		at, err := url.Parse(value)
		if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
			return errors.New("want http://HOST:PORT, such as http://localhost:8222")
		}
		*field = value
		return nil
	}
}

func setNumber(field *int, most int) func(string) error {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > most {
			return fmt.Errorf("want a number from 1 to %d", most)
		}
		*field = n
		return nil
	}
}

func setBytes(field *int64) func(string) error {
	return func(value string) error {
		n, err := eventlog.ParseBytes(value)
		if err != nil || n < 1 {
			return errors.New("want a number of bytes, such as 10GB")
		}
		*field = n
		return nil
	}
}

func setDuration(field *time.Duration, least time.Duration) func(string) error {
	return func(value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < least {
			return fmt.Errorf("want a duration such as 90s, 10m or 24h, of at least %v", least)
		}
		*field = d
		return nil
	}
}

// options returns the options of the connection.
func (c *config) options() []nats.Option {
	options := []nats.Option{
		// The connection is tried again for ever, and messages are not kept
		// until it is back: whoever waits for an acknowledgement sends its
		// message again.
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 200*time.Millisecond),
		// A server that stopped answering is left before operations time out.
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(3 * time.Second),
		nats.FlusherTimeout(2 * time.Second),
	}
	if c.user != nil {
		if password, found := c.user.Password(); found {
			options = append(options, nats.UserInfo(c.user.Username(), password))
		} else {
			options = append(options, nats.Token(c.user.Username()))
		}
	}
	if c.creds != "" {
		options = append(options, nats.UserCredentials(c.creds))
	}
	if c.nkey != "" {
		options = append(options, nkeyOption(c.nkey))
	}
	if c.isSecure {
		options = append(options, nats.Secure())
	}
	if c.ca != "" {
		options = append(options, nats.RootCAs(c.ca))
	}
	if c.cert != "" {
		options = append(options, nats.ClientCert(c.cert, c.key))
	}
	return options
}

// nkeyOption returns an option that reads the key from a file when it is applied,
// as the other options do, so that the errors of all come from one place.
func nkeyOption(file string) nats.Option {
	return func(options *nats.Options) error {
		option, err := nats.NkeyOptionFromSeed(file)
		if err != nil {
			return err
		}
		return option(options)
	}
}
