package server

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"slices"
	"strings"
	"time"
)

// Config is the configuration of a server. [Parse] fills it in from flags,
// environment and a file, starting from [Defaults].
type Config struct {
	// Addr is the host:port to listen on. Port 0 takes a free one.
	Addr string
	// TLSCert and TLSKey are the PEM files of the server's certificate and key. They
	// may be replaced while the server runs (see [Watch]), and so may TLSClientCA.
	TLSCert, TLSKey string
	// TLSClientCA is a PEM file of CAs. If there is one, a client must show a
	// certificate that one of them has signed.
	TLSClientCA string
	// Insecure allows plaintext on an address that other machines can reach.
	Insecure bool
	// Events is the URL of the event log, for main to open.
	Events string
	// The limits from here to ReceiveTimeout are off if they are 0.

	// MaxMessageBytes bounds a request, and so the memory to decode it, whether it
	// comes compressed or not.
	MaxMessageBytes int
	// MaxMetadataBytes bounds the metadata of a call: names and values, and 32 bytes for
	// each. A call with more is reset.
	MaxMetadataBytes int
	// MaxStreams bounds the calls under way on one connection.
	MaxStreams int
	// MaxConnections bounds the connections. For a further one, that which has
	// been without a call for longest is closed, or else the new one.
	MaxConnections int
	// MaxAddressConnections bounds those from one address (of IPv6: one /64) in
	// the same way.
	MaxAddressConnections int
	// MaxCalls bounds the calls under way. For a further one, that which has
	// waited for its client for longest is ended, or else the new one.
	MaxCalls int
	// MaxTails bounds the calls under way in which only the server sends a
	// stream. Half of them may be on one connection.
	MaxTails int
	// MaxMemoryBytes bounds the memory of the requests under way: four times
	// their length, or more if they consist of many small parts. Requests of up
	// to 16 KiB are not counted. Further ones wait.
	MaxMemoryBytes int64
	// MaxBatch bounds the elements in a list of messages of a request.
	MaxBatch int
	// ReceiveTimeout bounds how long a request may take to arrive. It begins
	// again with each 256 KiB.
	ReceiveTimeout time.Duration
	// IdleTimeout closes connections that have no call for that long. 0 means never.
	IdleTimeout time.Duration
	// MaxConnectionAge is how old a connection may become, up to a tenth more or less,
	// so that not all end at once. Its client then takes new calls to a new connection.
	// Calls under way may go on for MaxConnectionAgeGrace. 0 means any age.
	MaxConnectionAge, MaxConnectionAgeGrace time.Duration
	// DrainDelay is how long the server goes on serving after a signal to stop, while
	// its health is NOT_SERVING. Load balancers need that time to notice.
	DrainDelay time.Duration
	// DrainTimeout bounds how long calls may go on after that. It must be more than 0.
	DrainTimeout time.Duration
	// Reflection lets tools ask the server for its services. [Parse] turns it off if
	// other machines can reach Addr, unless it is asked for.
	Reflection bool
	// LogLevel is the lowest level that is logged. LogFormat is "text" or "json".
	LogLevel  slog.Level
	LogFormat string
}

// Defaults returns the configuration of a program without flags: reachable from
// this machine only, with a limit on everything.
func Defaults(program string) Config {
	return Config{
		Addr:   "localhost:50051",
		Events: "sqlite:data/" + strings.TrimSuffix(program, "-server") + ".db",
		// Clients receive 4 MiB by default, in all languages. What a tail sends
		// back may have a position and more beside the event.
		MaxMessageBytes:       4<<20 - 4<<10,
		MaxMetadataBytes:      16 << 10, // what servers of gRPC take in C++ and Python
		MaxStreams:            1024,
		MaxConnections:        4096,
		MaxAddressConnections: 3072,
		MaxCalls:              4096,
		MaxTails:              128,
		MaxMemoryBytes:        256 << 20,
		MaxBatch:              50_000,
		ReceiveTimeout:        15 * time.Second,
		IdleTimeout:           15 * time.Minute,
		MaxConnectionAgeGrace: 10 * time.Second,
		DrainTimeout:          10 * time.Second,
		Reflection:            true,
		LogLevel:              slog.LevelInfo,
		LogFormat:             "text",
	}
}

// Parse reads the configuration of a program: from its flags, else from its
// environment (--drain-timeout of receiver-server is
// RECEIVER_SERVER_DRAIN_TIMEOUT, or the content of the file that
// RECEIVER_SERVER_DRAIN_TIMEOUT_FILE names), else from the YAML file that --config
// names, else from the defaults. The error has a line for each thing that is wrong,
// and no secret. It is [flag.ErrHelp] if args ask for help or for the configuration;
// Parse has then written that to help.
//
// own define flags of the program's own, which Parse reads with the others. A value
// that must not be printed is a [Secret]. Their names must be others than those of
// the server, except that a program's own config or print-config replaces the
// server's.
func Parse(program string, args []string, getenv func(string) string, help io.Writer, own ...func(*flag.FlagSet)) (Config, error) {
	config := Defaults(program)
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	s, groups := newSettings(program, flags), groups{flags: flags}

	groups.begin("Address and TLS")
	flags.StringVar(&config.Addr, "addr", config.Addr, "`host:port` to listen on; port 0 takes a free one")
	flags.StringVar(&config.TLSCert, "tls-cert", "", "PEM `file` with the server's certificate; it may be replaced while the server runs")
	flags.StringVar(&config.TLSKey, "tls-key", "", "PEM `file` with the certificate's key")
	flags.StringVar(&config.TLSClientCA, "tls-client-ca", "", "PEM `file` with CAs: clients must show a certificate that one of them has signed")
	flags.BoolVar(&config.Insecure, "insecure", false, "allow plaintext on an address that other machines can reach")
	flags.BoolVar(&config.Reflection, "reflection", false, "let tools ask for the services (default true, but false if other machines can reach --addr)")

	groups.begin("Storage")
	flags.StringVar(&config.Events, "events", config.Events, "`URL` of the event log")
	for _, command := range subcommands {
		for _, define := range command.flags {
			define(flags)
		}
	}

	groups.begin("Limits, of which each is off if it is 0")
	flags.IntVar(&config.MaxMessageBytes, "max-message-bytes", config.MaxMessageBytes, "largest request, in `bytes`")
	flags.IntVar(&config.MaxMetadataBytes, "max-metadata-bytes", config.MaxMetadataBytes, "most metadata of a call, in `bytes`")
	flags.IntVar(&config.MaxStreams, "max-streams", config.MaxStreams, "most `calls` at once on one connection")
	flags.IntVar(&config.MaxConnections, "max-connections", config.MaxConnections, "most `connections` at once")
	flags.IntVar(&config.MaxAddressConnections, "max-connections-per-address", config.MaxAddressConnections, "most `connections` at once from one address")
	flags.IntVar(&config.MaxCalls, "max-calls", config.MaxCalls, "most `calls` at once")
	flags.IntVar(&config.MaxTails, "max-tails", config.MaxTails, "most `calls` at once that send a stream to their client")
	flags.Int64Var(&config.MaxMemoryBytes, "max-memory-bytes", config.MaxMemoryBytes, "memory of all requests under way, in `bytes`; one takes four times its length")
	flags.IntVar(&config.MaxBatch, "max-batch", config.MaxBatch, "most `elements` in a list of a request, such as events")
	flags.DurationVar(&config.ReceiveTimeout, "receive-timeout", config.ReceiveTimeout, "`how long` a request, or the next 256 KiB of it, may take to arrive")
	flags.DurationVar(&config.IdleTimeout, "idle-timeout", config.IdleTimeout, "`how long` a connection may have no call")
	flags.DurationVar(&config.MaxConnectionAge, "max-connection-age", config.MaxConnectionAge, "`how long` a connection may last, so that clients connect again")
	flags.DurationVar(&config.MaxConnectionAgeGrace, "max-connection-age-grace", config.MaxConnectionAgeGrace, "`how long` the calls of a connection that is too old may go on")

	groups.begin("Stopping")
	flags.DurationVar(&config.DrainDelay, "drain-delay", config.DrainDelay, "`how long` to go on serving after a signal to stop, with the health NOT_SERVING, until load balancers know")
	flags.DurationVar(&config.DrainTimeout, "drain-timeout", config.DrainTimeout, "`how long` calls may go on after that; more than 0")

	groups.begin("Log of the program")
	flags.TextVar(&config.LogLevel, "log-level", config.LogLevel, "lowest `level` that is logged: debug, info, warn or error")
	flags.StringVar(&config.LogFormat, "log-format", config.LogFormat, "`format` of the log: text or json")

	groups.begin("This program")
	for _, define := range own {
		define(flags)
	}

	groups.begin("Configuration")
	if flags.Lookup("config") == nil {
		s.defineConfig("YAML `file` with flags and their values, such as max-calls: 100")
	}
	prints := new(bool)
	if flags.Lookup("print-config") == nil {
		flags.BoolVar(prints, "print-config", false, "print the effective configuration, as such a file without secrets, and exit")
	}

	arguments, err := s.arguments(args)
	if err != nil {
		usage(groups, help)
		return Config{}, err
	}
	variables := s.environment(getenv, all)
	s.apply(s.file(all, variables, arguments), variables, arguments)
	asked := false
	flags.Visit(func(f *flag.Flag) { asked = asked || f.Name == "reflection" })
	if !asked {
		config.Reflection = config.isPrivate()
	}
	for _, mistake := range config.mistakes(s.named) {
		if !slices.ContainsFunc(mistake.flags, func(name string) bool { return s.wrong[name] }) {
			s.errs = append(s.errs, mistake.err)
		}
	}
	if s.errs != nil {
		return Config{}, errors.Join(s.errs...)
	}
	if *prints {
		if err := s.print(help); err != nil {
			return Config{}, err
		}
		return Config{}, flag.ErrHelp
	}
	return config, nil
}

// subcommands are what a program can do instead of serving.
var subcommands []subcommand

type subcommand struct {
	name, about string
	flags       []func(*flag.FlagSet)
}

// Subcommand adds a subcommand to the help that [Parse] prints, and flags of the package
// that implements it to those of the server, beside --events. Such packages call it when
// they are imported; main runs it.
func Subcommand(name, about string, flags ...func(*flag.FlagSet)) {
	subcommands = append(subcommands, subcommand{name, about, flags})
}

// groups divides the flags of a set, for its help.
type groups struct {
	flags  *flag.FlagSet
	titles []string
	of     map[string]int // index of a flag's title, once the next group begins
}

// begin begins a group, of the flags that are defined from here on.
func (g *groups) begin(title string) {
	g.end()
	g.titles = append(g.titles, title)
}

func (g *groups) end() {
	if g.of == nil {
		g.of = map[string]int{}
	}
	g.flags.VisitAll(func(f *flag.Flag) {
		if _, ok := g.of[f.Name]; !ok {
			g.of[f.Name] = len(g.titles) - 1
		}
	})
}

func usage(groups groups, help io.Writer) {
	groups.end()
	program := groups.flags.Name()
	fmt.Fprintf(help, "Usage: %s [flags]\n", program)
	for _, command := range subcommands {
		fmt.Fprintf(help, "       %s %s: %s (see %[1]s %[2]s --help)\n", program, command.name, command.about)
	}
	fmt.Fprintf(help, "\nA flag can also be set by an environment variable: --addr by %s, or by the\n"+
		"file that %[1]s_FILE names; or in the file that --config names, by addr.\n", variable(program, "addr"))
	for i, title := range groups.titles {
		group := flag.NewFlagSet(program, flag.ContinueOnError)
		groups.flags.VisitAll(func(f *flag.Flag) {
			if groups.of[f.Name] == i {
				group.Var(f.Value, f.Name, f.Usage)
				group.Lookup(f.Name).DefValue = f.DefValue
			}
		})
		var text strings.Builder
		group.SetOutput(&text)
		group.PrintDefaults()
		if text.Len() > 0 {
			fmt.Fprintf(help, "\n%s:\n%s", title, text.String())
		}
	}
}

// mistake is something wrong with the values of flags.
type mistake struct {
	flags []string
	err   error
}

// check returns an error if the server can't run with this configuration.
func (c Config) check() error {
	var errs []error
	for _, mistake := range c.mistakes(func(name, value string) string { return fmt.Sprintf("--%s %q", name, value) }) {
		errs = append(errs, mistake.err)
	}
	return errors.Join(errs...)
}

// mistakes returns all that is wrong with the configuration. named returns how an
// error names a flag and its value.
func (c Config) mistakes(named func(name, value string) string) (all []mistake) {
	add := func(err string, flags ...string) { all = append(all, mistake{flags, errors.New(err)}) }
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		add(named("addr", c.Addr)+": want host:port, such as localhost:50051", "addr")
	}
	switch {
	case c.TLSCert == "" && c.TLSKey != "":
		add(named("tls-key", c.TLSKey)+": it goes together with --tls-cert: give both of them, or neither", "tls-cert", "tls-key")
	case c.TLSCert != "" && c.TLSKey == "":
		add(named("tls-cert", c.TLSCert)+": it goes together with --tls-key: give both of them, or neither", "tls-cert", "tls-key")
	case c.TLSCert == "" && c.TLSClientCA != "":
		add(named("tls-client-ca", c.TLSClientCA)+": it needs TLS: give --tls-cert and --tls-key, too", "tls-client-ca", "tls-cert", "tls-key")
	}
	limit := func(flag string, negative bool, value any, kind string) {
		if negative {
			add(named(flag, fmt.Sprint(value))+": want a "+kind+" of at least 0, which turns the limit off", flag)
		}
	}
	number := func(flag string, value int64) { limit(flag, value < 0, value, "number") }
	duration := func(flag string, value time.Duration) { limit(flag, value < 0, value, "duration") }
	number("max-message-bytes", int64(c.MaxMessageBytes))
	number("max-metadata-bytes", int64(c.MaxMetadataBytes))
	number("max-streams", int64(c.MaxStreams))
	number("max-connections", int64(c.MaxConnections))
	number("max-connections-per-address", int64(c.MaxAddressConnections))
	number("max-calls", int64(c.MaxCalls))
	number("max-tails", int64(c.MaxTails))
	number("max-memory-bytes", c.MaxMemoryBytes)
	number("max-batch", int64(c.MaxBatch))
	duration("receive-timeout", c.ReceiveTimeout)
	duration("idle-timeout", c.IdleTimeout)
	duration("max-connection-age", c.MaxConnectionAge)
	duration("max-connection-age-grace", c.MaxConnectionAgeGrace)
	if c.DrainDelay < 0 {
		add(named("drain-delay", c.DrainDelay.String())+": want a duration of at least 0", "drain-delay")
	}
	if c.DrainTimeout <= 0 {
		add(named("drain-timeout", c.DrainTimeout.String())+": want a duration of more than 0", "drain-timeout")
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		add(named("log-format", c.LogFormat)+": want text or json", "log-format")
	}
	return all
}

// withoutZeros returns the configuration with the largest values in place of limits
// that are off.
func (c Config) withoutZeros() Config {
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, math.MaxInt32) // no message can be larger
	c.MaxMetadataBytes = cmp.Or(c.MaxMetadataBytes, math.MaxInt32)
	c.MaxStreams = cmp.Or(c.MaxStreams, math.MaxInt32)
	c.MaxConnections = cmp.Or(c.MaxConnections, math.MaxInt)
	c.MaxCalls = cmp.Or(c.MaxCalls, math.MaxInt)
	c.MaxTails = cmp.Or(c.MaxTails, math.MaxInt)
	c.MaxMemoryBytes = cmp.Or(c.MaxMemoryBytes, 1<<60) // can be added to
	c.MaxBatch = cmp.Or(c.MaxBatch, math.MaxInt)
	c.ReceiveTimeout = cmp.Or(c.ReceiveTimeout, 100*365*24*time.Hour)
	return c
}

// isPrivate reports whether only this machine can reach the address.
func (c Config) isPrivate() bool { return private(c.Addr) }

// private reports whether only this machine can reach an address.
func private(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && loopback(host)
}

// checkPlaintext returns an error if other machines can reach a server that does not
// encrypt, unless that is asked for. [Listen] calls it, because it knows the credentials.
func (c Config) checkPlaintext() error {
	return c.checkPlaintextAt("--addr", c.Addr)
}

// checkPlaintextAt is checkPlaintext for an address, which a flag names.
func (c Config) checkPlaintextAt(flag, addr string) error {
	if c.Insecure || private(addr) {
		return nil
	}
	return fmt.Errorf("%s %s can be reached from other machines: give --tls-cert and --tls-key, "+
		"or allow plaintext with --insecure", flag, addr)
}

// loopback reports whether a host can be reached from this machine only.
func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Logger returns a logger that writes to an io.Writer with the level and format
// of the configuration. Lines that are logged with the context of a call say which call
// it is (see [RequestID]). main may make it the default of the whole program.
func (c Config) Logger(to io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return withCall(slog.New(slog.NewJSONHandler(to, options)))
	}
	return withCall(slog.New(slog.NewTextHandler(to, options)))
}
