package guard

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

func init() { server.Subcommand("keys", "adds, lists and revokes API keys") }

// prefix begins each key, so that scanners for secrets know one when they see it:
// pgr_[0-9a-f]{72}.
const prefix = "pgr_"

// secret finds a key. Errors must not repeat one that is given where it does not belong.
var secret = regexp.MustCompile(prefix + `[0-9a-f]{16,}`)

var (
	errSecretAsFile = errors.New("--keys has an API key: want the name of the file that has the digests of all keys")
	errSecretAsName = errors.New("want the NAME of the key, not the key itself")
)

// newSecret returns a new key: a random number, and a checksum of it, by which a scanner
// knows that it is one.
func newSecret() string {
	var number [32]byte
	_, _ = rand.Read(number[:]) // never fails
	digits := hex.EncodeToString(number[:])
	return fmt.Sprintf("%s%s%08x", prefix, digits, crc32.ChecksumIEEE([]byte(digits)))
}

// Keys runs the subcommand that args name: add, list or revoke. It changes the file that
// the server itself would read, which reads it again within a second. add prints the
// key, which is nowhere else; the file has its digest. The error is [flag.ErrHelp] if
// args ask for help.
func Keys(program string, args []string, getenv func(string) string, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "add":
			return add(program, args[1:], getenv, out)
		case "list":
			return printKeys(program, args[1:], getenv, out)
		case "revoke":
			return revoke(program, args[1:], getenv, out)
		case "-h", "-help", "--help", "help":
			fmt.Fprintf(out, `Usage: %[1]s keys COMMAND [flags]

Commands:
  add NAME     Makes a key for a source or for all, and prints it, once.
  list         Prints the keys, without their secrets, as lines of JSON.
  revoke NAME  Removes a key: servers refuse it within a second.

Flags of a command: %[1]s keys COMMAND --help
`, program)
			return flag.ErrHelp
		}
	}
	return fmt.Errorf("want %s keys add|list|revoke (see %[1]s keys --help)", program)
}

// subcommand parses the flags of a subcommand, and the name of a key if usage has one. The file of keys is that of the server's configuration.
func subcommand(flags *flag.FlagSet, program, usage string, args []string, getenv func(string) string, out io.Writer) (file, name string, err error) {
	flags.SetOutput(io.Discard)
	flags.StringVar(&file, "keys", "", "`file` of API keys, that of the server")
	names := strings.Count(usage, "NAME")
	switch err := server.ParseSubcommand(flags, program, args, names, getenv, "keys"); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(out, "Usage: %s [flags]\n\nFlags:\n", usage)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return "", "", err
	case secret.MatchString(flags.Arg(0)):
		return "", "", errSecretAsName
	case secret.MatchString(file):
		return "", "", errSecretAsFile
	case err != nil:
		return "", "", err
	case flags.NArg() < names:
		return "", "", fmt.Errorf("want %s (see %s --help)", usage, flags.Name())
	case file == "":
		return "", "", fmt.Errorf("want the file of keys: --keys FILE (see %s --help)", flags.Name())
	}
	return file, flags.Arg(0), nil
}

func add(program string, args []string, getenv func(string) string, out io.Writer) error {
	flags := flag.NewFlagSet(program+" keys add", flag.ContinueOnError)
	var key Key
	flags.StringVar(&key.Source, "source", "", "`source` of the events that the key may send")
	flags.BoolVar(&key.AllSources, "all-sources", false, "let the key send events of all sources")
	flags.BoolVar(&key.Tails, "tails", false, "let the key call RPCs that send stored events, which are of all sources")
	expires := flags.String("expires", "", "`when` the key ends, as 90d, 12h or 2027-01-31; never without it")
	file, name, err := subcommand(flags, program, program+" keys add NAME", args, getenv, out)
	if err != nil {
		return err
	}
	key.Name, key.Added = name, time.Now().UTC().Truncate(time.Second)
	switch {
	case !keyName.MatchString(name):
		return fmt.Errorf("%q can't be the name of a key: want up to 64 letters, digits, dots, dashes and underscores", name)
	case key.AllSources == (key.Source != ""):
		return errors.New("want either --source SOURCE or --all-sources")
	}
	if key.Expires, err = parseExpires(*expires, key.Added); err != nil {
		return err
	}
	secret := newSecret()
	err = change(file, func(f *keyFile) error {
		if f.has(name) {
			return fmt.Errorf("%s has a key %s: revoke it before, or take another name", file, name)
		}
		f.lines = append(f.lines, stored{key, sha256.Sum256([]byte(secret))}.line())
		return nil
	})
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintln(out, secret); err != nil { // nobody has the key: it is of no use
		return errors.Join(fmt.Errorf("the key can't be printed, and was not added: %w", err), remove(file, name))
	}
	return nil
}

// remove removes a key that is in the file.
func remove(file, name string) error {
	return change(file, func(f *keyFile) error {
		if at, ok := f.at[name]; ok {
			f.lines = slices.Delete(f.lines, at, at+1)
		}
		return nil
	})
}

// parseExpires returns when a key ends: after a while, or with a day in UTC.
func parseExpires(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	var at time.Time
	if days, err := strconv.ParseUint(strings.TrimSuffix(text, "d"), 10, 16); err == nil && strings.HasSuffix(text, "d") {
		at = now.AddDate(0, 0, int(days))
	} else if wait, err := time.ParseDuration(text); err == nil {
		at = now.Add(wait).Truncate(time.Second)
	} else if day, err := time.Parse(time.DateOnly, text); err == nil {
		at = day
	} else {
		return time.Time{}, fmt.Errorf("--expires %q: want a time such as 90d, 12h or 2027-01-31", text)
	}
	if !at.After(now) {
		return time.Time{}, fmt.Errorf("--expires %q has passed", text)
	}
	return at, nil
}

func printKeys(program string, args []string, getenv func(string) string, out io.Writer) error {
	name, _, err := subcommand(flag.NewFlagSet(program+" keys list", flag.ContinueOnError), program, program+" keys list", args, getenv, out)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	file, err := parse(name, content)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for _, key := range file.keys {
		if err := lines.Encode(key.Key); err != nil {
			return err
		}
	}
	return nil
}

func revoke(program string, args []string, getenv func(string) string, out io.Writer) error {
	file, name, err := subcommand(flag.NewFlagSet(program+" keys revoke", flag.ContinueOnError), program, program+" keys revoke NAME", args, getenv, out)
	if err != nil {
		return err
	}
	return change(file, func(f *keyFile) error {
		at, ok := f.at[name]
		if !ok {
			return fmt.Errorf("%s has no key %q (see %s keys list)", file, name, program)
		}
		f.lines = slices.Delete(f.lines, at, at+1)
		return nil
	})
}
