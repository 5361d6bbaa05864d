package server

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"
)

// Config is the configuration of a server. [Parse] fills it in from flags and
// environment, starting from [Defaults].
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
	// the same way. 0 means no bound.
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
	// IdleTimeout closes connections that have no call for that long, and
	// MaxConnectionAge those that are that old, once their calls have had the
	// DrainTimeout to end. 0 means never.
	IdleTimeout, MaxConnectionAge time.Duration
	// DrainTimeout bounds how long calls may go on after a signal to stop.
	DrainTimeout time.Duration
	// Reflection lets tools ask the server for its services.
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
		DrainTimeout:          10 * time.Second,
		Reflection:            true,
		LogLevel:              slog.LevelInfo,
		LogFormat:             "text",
	}
}

// Parse reads the configuration of a program: from its flags, else from its
// environment (--drain-timeout of receiver-server is
// RECEIVER_SERVER_DRAIN_TIMEOUT), else from the defaults. The error is
// [flag.ErrHelp] if args ask for help; Parse has then written it to help.
//
// own define flags of the program's own, which Parse reads with the others: from args,
// else from the environment, else as own set them. Their names must be others than
// those of the server.
func Parse(program string, args []string, getenv func(string) string, help io.Writer, own ...func(*flag.FlagSet)) (Config, error) {
	config := Defaults(program)
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&config.Addr, "addr", config.Addr, "`host:port` to listen on; port 0 takes a free one")
	flags.StringVar(&config.TLSCert, "tls-cert", "", "PEM `file` with the server's certificate; it may be replaced while the server runs")
	flags.StringVar(&config.TLSKey, "tls-key", "", "PEM `file` with the certificate's key")
	flags.StringVar(&config.TLSClientCA, "tls-client-ca", "", "PEM `file` with CAs: clients must show a certificate that one of them has signed")
	flags.BoolVar(&config.Insecure, "insecure", false, "allow plaintext on an address that other machines can reach")
	flags.StringVar(&config.Events, "events", config.Events, "`URL` of the event log")
	flags.IntVar(&config.MaxMessageBytes, "max-message-bytes", config.MaxMessageBytes, "largest request, in `bytes`")
	flags.IntVar(&config.MaxMetadataBytes, "max-metadata-bytes", config.MaxMetadataBytes, "most metadata of a call, in `bytes`")
	flags.IntVar(&config.MaxStreams, "max-streams", config.MaxStreams, "most `calls` at once on one connection")
	flags.IntVar(&config.MaxConnections, "max-connections", config.MaxConnections, "most `connections` at once")
	flags.IntVar(&config.MaxAddressConnections, "max-connections-per-address", config.MaxAddressConnections, "most `connections` at once from one address; 0 for no bound")
	flags.IntVar(&config.MaxCalls, "max-calls", config.MaxCalls, "most `calls` at once")
	flags.IntVar(&config.MaxTails, "max-tails", config.MaxTails, "most `calls` at once that send a stream to their client")
	flags.Int64Var(&config.MaxMemoryBytes, "max-memory-bytes", config.MaxMemoryBytes, "memory of all requests under way, in `bytes`; one takes four times its length")
	flags.IntVar(&config.MaxBatch, "max-batch", config.MaxBatch, "most `elements` in a list of a request, such as events")
	flags.DurationVar(&config.ReceiveTimeout, "receive-timeout", config.ReceiveTimeout, "`how long` a request, or the next 256 KiB of it, may take to arrive")
	flags.DurationVar(&config.IdleTimeout, "idle-timeout", config.IdleTimeout, "`how long` a connection may have no call; 0 for no bound")
	flags.DurationVar(&config.MaxConnectionAge, "max-connection-age", config.MaxConnectionAge, "`how long` a connection may last, so that clients connect again; 0 for no bound")
	flags.DurationVar(&config.DrainTimeout, "drain-timeout", config.DrainTimeout, "`how long` calls may go on after a signal to stop")
	flags.BoolVar(&config.Reflection, "reflection", config.Reflection, "let tools ask for the services")
	flags.TextVar(&config.LogLevel, "log-level", config.LogLevel, "lowest `level` that is logged: debug, info, warn or error")
	flags.StringVar(&config.LogFormat, "log-format", config.LogFormat, "`format` of the log: text or json")
	for _, define := range own {
		define(flags)
	}

	if err := FromEnvironment(flags, program, getenv); err != nil {
		return Config{}, err
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			usage(flags, help)
			return Config{}, flag.ErrHelp
		}
		return Config{}, fmt.Errorf("%w (see %s --help)", err, program)
	}
	if flags.NArg() > 0 {
		return Config{}, fmt.Errorf("unexpected argument %q (see %s --help)", flags.Arg(0), program)
	}
	return config, config.check()
}

// FromEnvironment sets each flag of a program whose environment variable is
// set.
func FromEnvironment(flags *flag.FlagSet, program string, getenv func(string) string) (err error) {
	flags.VisitAll(func(f *flag.Flag) {
		name := variable(program, f.Name)
		if value := getenv(name); value != "" && err == nil {
			if invalid := flags.Set(f.Name, value); invalid != nil {
				err = fmt.Errorf("%s=%q: %w", name, value, invalid)
			}
		}
	})
	return err
}

// variable returns the name of a flag's environment variable.
func variable(program, flag string) string {
	return strings.ToUpper(strings.ReplaceAll(program+"_"+flag, "-", "_"))
}

// subcommands are what a program can do instead of serving.
var subcommands []struct{ name, about string }

// Subcommand adds a subcommand to the help that [Parse] prints. Packages that
// implement one call it when they are imported; main runs it.
func Subcommand(name, about string) {
	subcommands = append(subcommands, struct{ name, about string }{name, about})
}

func usage(flags *flag.FlagSet, help io.Writer) {
	fmt.Fprintf(help, "Usage: %s [flags]\n", flags.Name())
	for _, command := range subcommands {
		fmt.Fprintf(help, "       %s %s: %s (see %[1]s %[2]s --help)\n", flags.Name(), command.name, command.about)
	}
	fmt.Fprintf(help, "\nA flag can also be set by an environment variable: --addr by %s.\n\nFlags:\n",
		variable(flags.Name(), "addr"))
	flags.SetOutput(help)
	flags.PrintDefaults()
}

// check returns an error if the server can't run with this configuration, or if
// it would serve other machines in plaintext without being asked to.
func (c Config) check() error {
	host, _, err := net.SplitHostPort(c.Addr)
	switch {
	case err != nil:
		return fmt.Errorf("--addr %q: want host:port, such as localhost:50051", c.Addr)
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together: give both of them, or neither")
	case c.TLSClientCA != "" && c.TLSCert == "":
		return errors.New("--tls-client-ca needs TLS: give --tls-cert and --tls-key, too")
	case c.TLSCert == "" && !c.Insecure && !loopback(host):
		return fmt.Errorf("--addr %s can be reached from other machines: give --tls-cert and --tls-key, "+
			"or allow plaintext with --insecure", c.Addr)
	case c.MaxMessageBytes <= 0 || c.MaxMetadataBytes <= 0 || c.MaxStreams <= 0 || c.MaxConnections <= 0 || c.DrainTimeout <= 0:
		return errors.New("--max-message-bytes, --max-metadata-bytes, --max-streams, --max-connections and --drain-timeout must be more than 0")
	case c.MaxCalls <= 0 || c.MaxTails <= 0 || c.MaxMemoryBytes <= 0 || c.MaxBatch <= 0 || c.ReceiveTimeout <= 0:
		return errors.New("--max-calls, --max-tails, --max-memory-bytes, --max-batch and --receive-timeout must be more than 0")
	case c.MaxAddressConnections < 0 || c.IdleTimeout < 0 || c.MaxConnectionAge < 0:
		return errors.New("--max-connections-per-address, --idle-timeout and --max-connection-age must not be less than 0")
	case c.LogFormat != "text" && c.LogFormat != "json":
		return fmt.Errorf("--log-format %q: want text or json", c.LogFormat)
	}
	return nil
}

// loopback reports whether a host can be reached from this machine only.
func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Logger returns a logger that writes to an io.Writer with the level and format
// of the configuration. main may make it the default of the whole program.
func (c Config) Logger(to io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}
