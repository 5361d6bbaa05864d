package server

import (
	"regexp"
	"strings"
)

// A Secret is the value of a flag that is never printed, such as a password. A
// program defines one with [flag.FlagSet.Var]; string(secret) is what was given.
type Secret string

// Set sets the secret.
func (s *Secret) Set(text string) error {
	*s = Secret(text)
	return nil
}

// Get returns the secret as a string.
func (s *Secret) Get() any { return string(*s) }

// String returns "xxxxx" in place of the secret, or "" if there is none.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// hidden is printed in place of what is secret.
const hidden = "xxxxx"

var (
	// A name may come before a password. Without a password it is a token, in a URL
	// of NATS.
	userName = regexp.MustCompile(`^[\w.-]+:`)
	// A private key where the name of its file belongs, or an API key.
	secretItself = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*|\bpgr_[0-9a-f]{16,}`)
	// Parameters of URLs, and parts of the connection strings of databases.
	secretParameter = regexp.MustCompile(`(?i)([\w.-]*(?:passw|pwd|token|secret|api_?-?key|credential|signature)[\w.-]*=)[^&;\s]*`)
)

// redacted returns a text as it may be printed: if it is a URL or the like, without
// passwords. They may contain each character, also those that end them in a proper
// URL. So everything is hidden up to the last @.
func redacted(text string) string {
	text = secretItself.ReplaceAllString(text, hidden)
	scheme, rest, _ := strings.Cut(text, ":")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if after, ok := strings.CutPrefix(rest[:at], "//"); ok {
			scheme += "://" + userName.FindString(after)
		} else {
			scheme += ":"
		}
		text = scheme + hidden + rest[at:]
	}
	return secretParameter.ReplaceAllString(text, "${1}"+hidden)
}
