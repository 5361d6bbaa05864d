package command

import (
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// access is what shows a server who calls: the flags for it, and what they were given.
type access struct {
	names     accessFlags
	cert, key string
	tokenFile string
	headers   []string // NAME=VALUE, which may be a secret and is in no error
	fileGiven bool     // whether the token file is given by its flag, and not by the environment
	hint      string   // for a call that is refused; "" if something was given
}

// accessFlags are the names of the flags of a command.
type accessFlags struct{ cert, key, token, header string }

func (n accessFlags) list() []string { return []string{n.token, n.header, n.cert, n.key} }

// accessFlags returns their names.
func (c Command) accessFlags() accessFlags {
	return accessFlags{cert: c.free("tls-cert"), key: c.free("tls-key"), token: c.free("token-file"), header: c.free("header")}
}

// free returns a name for a flag, which leaves it to a field of the request that has it:
// scripts give that a value since before there was this flag.
func (c Command) free(name string) string {
	free := name
	for i := 1; slices.ContainsFunc(c.Flags, func(f Flag) bool { return f.Name == free }); i++ {
		free = "client-" + name
		if i > 1 {
			free += fmt.Sprint(i)
		}
	}
	return free
}

// define adds the flags to a set.
func (a *access) define(set *flag.FlagSet, env Env, c Command) {
	a.names = c.accessFlags()
	variable := variable(env.Program, "TOKEN_FILE")
	a.tokenFile = env.Getenv(variable)
	set.Func(a.names.token, "`FILE` with a token, which is sent as authorization: Bearer TOKEN (default $"+variable+")", func(file string) error {
		a.tokenFile, a.fileGiven = file, true
		return nil
	})
	set.Func(a.names.header, "`NAME=VALUE` to send as metadata, may be repeated; base64 if NAME ends in -bin", func(text string) error {
		a.headers = append(a.headers, text)
		return nil
	})
	set.StringVar(&a.cert, a.names.cert, "", "`FILE` with a certificate of the client in PEM format, for a server that wants one")
	set.StringVar(&a.key, a.names.key, "", "`FILE` with its key")
	if len(env.Options) == 0 {
		a.hint = fmt.Sprintf("no token was given: see --%s and --%s", a.names.token, a.names.header)
	}
}

func (a *access) check() error {
	if (a.cert == "") != (a.key == "") {
		return fmt.Errorf("--%s and --%s belong together: give both", a.names.cert, a.names.key)
	}
	for _, text := range a.headers {
		name, _, err := a.header(text)
		switch {
		case err != nil:
			return fmt.Errorf("--%s: %w", a.names.header, err)
		case strings.EqualFold(name, "authorization") && a.fileGiven:
			return fmt.Errorf("--%s and --%s %s exclude each other: give only one of them", a.names.token, a.names.header, name)
		case strings.EqualFold(name, "authorization"):
			a.tokenFile = "" // a flag counts more than the environment
		}
	}
	if a.tokenFile != "" || len(a.headers) > 0 {
		a.hint = ""
	}
	return nil
}

// header returns the name and the value of a header as it was given.
func (a *access) header(text string) (name, value string, err error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return "", "", errors.New("want NAME=VALUE")
	}
	if strings.HasSuffix(strings.ToLower(name), "-bin") {
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		if err != nil {
			return "", "", fmt.Errorf("the value of %s is not base64", name)
		}
		value = string(decoded)
	}
	return name, value, client.CheckHeader(name, value)
}

// options returns the options for what was given, which has been checked.
func (a *access) options() []client.Option {
	var options []client.Option
	if a.cert != "" {
		options = append(options, client.Certificate(a.cert, a.key))
	}
	if a.tokenFile != "" {
		options = append(options, client.TokenFile(a.tokenFile))
	}
	for _, text := range a.headers {
		if name, value, err := a.header(text); err == nil {
			options = append(options, client.Header(name, value))
		}
	}
	return options
}
