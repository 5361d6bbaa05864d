package nats

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// denial is a permission that the user of the connection turned out not to have. The
// server reports it to the connection; the call that needed it gets no answer.
type denial struct {
	subject string
	err     error
	when    time.Time
}

var deniedSubject = regexp.MustCompile(`(?i)permissions violation for (?:publish|subscription) to "([^"]+)"`)

// What the log does without, if the user may not ask for it: whether the account has
// room, which appends find out, too, and the removal of a reader's consumer, which the
// server removes a minute later.
const (
	accountSubject = "$JS.API.INFO"
	deletePrefix   = "$JS.API.CONSUMER.DELETE."
)

// noteError records an error that the server reported to the connection.
func (l *streamLog) noteError(err error) {
	subject := ""
	if match := deniedSubject.FindStringSubmatch(err.Error()); errors.Is(err, nats.ErrPermissionViolation) && match != nil {
		subject = match[1]
	}
	switch {
	case subject == accountSubject:
		l.withoutAccount()
	case strings.HasPrefix(subject, deletePrefix):
	default:
		l.lastError.Store(&err)
		if subject != "" {
			l.denial.Store(&denial{subject: subject, err: err, when: time.Now()})
		}
	}
}

// denied returns the error for a permission that was found missing since a time, or nil.
func (l *streamLog) denied(since time.Time) error {
	denial := l.denial.Load()
	if denial == nil || denial.when.Before(since) {
		return nil
	}
	return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "its NATS user lacks a permission", Cause: fmt.Errorf("allow the subject %s: %w", denial.subject, denial.err)}
}

// checkAccount returns an error if the account has no room, unless the user may not ask
// for that.
func (l *streamLog) checkAccount(ctx context.Context) error {
	free, limited, err := l.accountFree(ctx)
	if err == nil && limited && free == 0 {
		return &eventlog.Error{Kind: eventlog.ErrFull, Detail: "its account has used all of its storage"}
	}
	return err
}

// accountFree returns how many bytes more the account can store, if that is limited and
// the user may ask.
func (l *streamLog) accountFree(ctx context.Context) (bytes int64, limited bool, err error) {
	if l.account.Err() != nil {
		return 0, false, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.account, cancel)()
	account, err := l.jetstream.AccountInfo(ctx)
	switch {
	case l.account.Err() != nil:
		return 0, false, nil
	case err != nil:
		return 0, false, err
	case account.Limits.MaxStore <= 0:
		return 0, false, nil
	}
	return max(0, account.Limits.MaxStore-int64(account.Store)), true, nil
}
