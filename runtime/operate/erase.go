//runtime:with operate.Backup

package operate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

var eraseTask = task{
	name: "erase", names: "", least: 0, most: 0,
	about:  "Erases what the stored events say of a subject, and their dead letters. Their ids and positions stay, so an event that is sent again is still a duplicate.",
	shared: []string{"keep-rejected"},
	define: func(flags *flag.FlagSet) func(context.Context, taskCall) error {
		source := flags.String("source", "", "the `source` of the events; \"\" for those without")
		subject := flags.String("subject", "", "the `subject` of the events")
		refused := flags.String("keep-rejected", "", "`URL` of the log in which the server keeps refused requests: those with the subject are erased, too")
		return func(ctx context.Context, call taskCall) error {
			hasSource := false
			flags.Visit(func(f *flag.Flag) { hasSource = hasSource || f.Name == "source" })
			if !hasSource || *subject == "" {
				return errors.New("give --source and --subject")
			}
			log, err := openErasing(ctx, call.url)
			if err != nil {
				return err
			}
			defer func() { _ = log.Close() }()
			line := eraseLine{}
			if *refused != "" {
				requests, err := openErasing(ctx, *refused)
				if err != nil {
					return fmt.Errorf("nothing is erased: --keep-rejected: %w", err)
				}
				defer func() { _ = requests.Close() }()
				count, err := eraseRefused(ctx, requests, *subject)
				if err != nil {
					return err
				}
				line.Refused = &count
			}
			erased, err := log.Erase(ctx, *source, *subject)
			if err != nil {
				return err
			}
			line.Erased, line.Dead = erased.Events, erased.Letters
			return call.print(line)
		}
	},
}

// eraseLine is what was erased as it is printed.
type eraseLine struct {
	Erased  int64  `json:"erased"`
	Dead    int64  `json:"dead"`
	Refused *int64 `json:"refused,omitempty"` // requests; nil: it is not known where they are
}

// openErasing opens a log that exists.
func openErasing(ctx context.Context, url string) (eventlog.EraseLog, error) {
	log, err := (&command{changes: true}).open(ctx, url)
	if err != nil {
		return nil, err
	}
	erasing, ok := log.(eventlog.EraseLog)
	if !ok {
		return nil, errors.Join(fmt.Errorf("nothing can be erased from %s", publicName(url)), log.Close())
	}
	return erasing, nil
}

// eraseRefused erases the requests in a log, as package rejected keeps them, that have a
// text as the value of a field: whatever else is in them, and from whichever source they
// are. It returns how many.
func eraseRefused(ctx context.Context, log eventlog.EraseLog, text string) (erased int64, err error) {
	found := map[string]map[eventlog.Position]bool{} // by the sources of the events, which are RPCs
	find := func(record *eventlog.Record) {
		if record.Erased || record.Type != "rejected" || !requestHas(record.Data, text) {
			return
		}
		if found[record.Source] == nil {
			found[record.Source] = map[eventlog.Position]bool{}
		}
		found[record.Source][record.Position] = true
	}
	for record, err := range log.Read(ctx, eventlog.From{}) {
		if err != nil {
			return 0, err
		}
		find(&record)
	}
	for letter, err := range log.Dead(ctx, "") { // which outlast the events
		if err != nil {
			return 0, err
		}
		find(&letter.Record)
	}
	for source, positions := range found {
		if _, err := log.Erase(ctx, source, "", slices.Sorted(maps.Keys(positions))...); err != nil {
			return erased, err
		}
		erased += int64(len(positions))
	}
	return erased, nil
}

// requestHas reports whether a text is the value of a field of a kept request: in its
// bytes, which may be those of a message that is not known here, or of no message, or in JSON.
func requestHas(data []byte, text string) bool {
	kept := new(structpb.Struct)
	if proto.Unmarshal(data, kept) != nil {
		return true // it can't be sent again either
	}
	request, err := base64.StdEncoding.DecodeString(kept.GetFields()["request"].GetStringValue())
	return err != nil || bytes.Contains(request, protowire.AppendString(nil, text)) || jsonHas(request, text)
}

// jsonString matches a string in JSON, also in what is JSON only in part, such as a request
// that was refused because it is cut off.
var jsonString = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"`)

// jsonHas reports whether a text is in JSON as a string, however its characters are escaped.
func jsonHas(data []byte, text string) bool {
	quoted, err := json.Marshal(text)
	if err == nil && bytes.Contains(data, quoted) { // also where quotes do not match
		return true
	}
	for _, found := range jsonString.FindAll(data, -1) {
		var value string
		if json.Unmarshal(found, &value) == nil && value == text {
			return true
		}
	}
	return false
}
