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

// config is what a URL says:
//
//	nats://[user:password@]host[:port],…/STREAM[?parameter=value&…]
//
// With tls:// the connection is encrypted in any case; with nats:// it is if
// the server wants it.
type config struct {
	servers  []string
	user     *url.Userinfo // nil: none
	isSecure bool
	events   string // the stream that holds them

	// What the stream is made with, and has to be like if it exists.
	replicas   int           // at least that many; default 3, or 1 with durability=none or monitor
	window     time.Duration // how long an id is known, at least; default 10m, and twice timeout or more
	maxAge     time.Duration // how long an event is kept; default 0, for good; twice timeout or more
	maxBytes   int64         // how much is kept before the log is full; default -1, no bound
	partitions int           // how many subjects the events of a source are spread over; default 16

	durability eventlog.Durability // None if the URL asks for no proof
	monitor    string              // where a single server says whether it syncs: http://host:8222
	timeout    time.Duration       // how long an operation is tried again; default 15s
	lease      time.Duration       // how long a consumer's place outlives its process; default 15s

	creds, nkey   string // files that say who we are
	ca, cert, key string // files for TLS
}

// maxStreamName is the most bytes of a stream's name: it is part of the names
// of files on the server, and of subjects.
const maxStreamName = 200

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
		if err != nil { // which would repeat the password
			return nil, errors.New("event log nats:…: user and password can't be read; write @ : / and % in them as %40 %3A %2F and %25")
		}
		config.user = user.User
		authority = authority[at+1:]
	}
	for host := range strings.SplitSeq(authority, ",") {
		if at, err := url.Parse(scheme + "://" + host); err != nil || at.Host != host || at.Hostname() == "" { // it may be a user and password
			return nil, errors.New("event log nats:…: want nats://HOST[:PORT],…/STREAM, such as nats://localhost:4222/ORDERS")
		}
		config.servers = append(config.servers, scheme+"://"+host)
	}
	if err := config.setStream(); err != nil {
		return nil, err
	}
	parameters, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("%s: what follows the ? can't be read: %w", config, err)
	}
	if err := config.set(parameters); err != nil {
		return nil, fmt.Errorf("%s: %w", config, err)
	}
	return config, nil
}

// textParameters are the parameters whose values may have an @.
var textParameters = []string{"monitor", "creds", "nkey", "ca", "cert", "key"}

// cutsPassword is whether what was taken for a stream and parameters is the
// rest of a password with a / or ? in it.
func cutsPassword(stream, query string) bool {
	before, _, has := strings.Cut(stream+"&"+query, "@")
	parameter, _, _ := strings.Cut(before[strings.LastIndexByte(before, '&')+1:], "=")
	return has && !slices.Contains(textParameters, parameter)
}

// monitorHost is where the monitor is, without what may be secret.
func (c *config) monitorHost() string {
	at, err := url.Parse(c.monitor)
	if err != nil {
		return "…"
	}
	return at.Scheme + "://" + at.Host
}

// String is the URL without what may be secret. It begins each error of Open.
func (c *config) String() string {
	hosts := strings.Join(c.servers, ",")
	if len(c.servers) > 1 {
		scheme, _, _ := strings.Cut(hosts, "://")
		hosts = scheme + "://" + strings.ReplaceAll(hosts, scheme+"://", "")
	}
	return hosts + "/" + c.events
}

func (c *config) setStream() error {
	isBad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	switch {
	case c.events == "":
		return fmt.Errorf("%s: name the stream that holds the events, such as %sORDERS", c, c)
	case strings.ContainsFunc(c.events, isBad) || len(c.events) > maxStreamName:
		return fmt.Errorf("%s: a stream's name has letters, digits, - and _, at most %d of them", c, maxStreamName)
	}
	return nil
}

// set takes over the parameters.
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
				return fmt.Errorf("want %s, or no such parameter: then it has to be proven", eventlog.None)
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
			return fmt.Errorf("there is no parameter %q; known are %s", name, strings.Join(names, ", "))
		}
		if len(values) > 1 {
			return fmt.Errorf("parameter %s is given %d times", name, len(values))
		}
		if err := set(values[0]); err != nil && name == "monitor" { // which may have a password
			return fmt.Errorf("parameter %s: %w", name, err)
		} else if err != nil {
			return fmt.Errorf("parameter %s=%s: %w", name, values[0], err)
		}
	}
	if (c.cert == "") != (c.key == "") {
		return errors.New("parameters cert and key come together")
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

// setWindow makes sure that an id is known for as long as its event may be on
// its way: it is tried again until timeout, and what was sent then may take as
// long.
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
		c.window = min(c.window, c.maxAge) // as the server wants it
	}
	return nil
}

func setText(into *string) func(string) error {
	return func(value string) error {
		*into = value
		return nil
	}
}

func setURL(into *string) func(string) error {
	return func(value string) error {
		at, err := url.Parse(value)
		if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
			return errors.New("want http://HOST:PORT, such as http://localhost:8222")
		}
		*into = value
		return nil
	}
}

func setNumber(into *int, most int) func(string) error {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > most {
			return fmt.Errorf("want a number from 1 to %d", most)
		}
		*into = n
		return nil
	}
}

func setBytes(into *int64) func(string) error {
	return func(value string) error {
		n, err := eventlog.ParseBytes(value)
		if err != nil || n < 1 {
			return errors.New("want a number of bytes, such as 10GB")
		}
		*into = n
		return nil
	}
}

func setDuration(into *time.Duration, least time.Duration) func(string) error {
	return func(value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < least {
			return fmt.Errorf("want a duration such as 90s, 10m or 24h, of at least %v", least)
		}
		*into = d
		return nil
	}
}

// options are those of the connection.
func (c *config) options() []nats.Option {
	options := []nats.Option{
		// Never gives up, and never keeps a message for later: who waits for its
		// acknowledgement sends it again.
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 200*time.Millisecond),
		// A server that is silent is left before the operations on it time out.
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

// nkeyOption reads the key in a file only once the connection is made, as the
// other options do, so that all their errors come from one place.
func nkeyOption(file string) nats.Option {
	return func(options *nats.Options) error {
		option, err := nats.NkeyOptionFromSeed(file)
		if err != nil {
			return err
		}
		return option(options)
	}
}
