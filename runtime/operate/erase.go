//runtime:with operate.Backup

package operate

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

var eraseTask = task{
	name: "erase", names: "", least: 0, most: 0,
	about: "Erases what the stored events say of a subject, and their dead letters. Their ids and positions stay, so an event that is sent again is still a duplicate.",
	define: func(flags *flag.FlagSet) func(context.Context, taskCall) error {
		source := flags.String("source", "", "the `source` of the events; \"\" for those without")
		subject := flags.String("subject", "", "the `subject` of the events")
		return func(ctx context.Context, call taskCall) error {
			hasSource := false
			flags.Visit(func(f *flag.Flag) { hasSource = hasSource || f.Name == "source" })
			if !hasSource || *subject == "" {
				return errors.New("say what to erase, by --source and --subject")
			}
			log, err := (&command{changes: true}).open(ctx, call.url)
			if err != nil {
				return err
			}
			defer func() { _ = log.Close() }()
			erasing, ok := log.(eventlog.EraseLog)
			if !ok {
				return fmt.Errorf("nothing can be erased from %s", publicName(call.url))
			}
			erased, err := erasing.Erase(ctx, *source, *subject)
			if err != nil {
				return err
			}
			return call.print(struct {
				Erased int64 `json:"erased"`
				Dead   int64 `json:"dead"`
			}{erased.Events, erased.Letters})
		}
	},
}
