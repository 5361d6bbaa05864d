package plugin_test

import (
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

func TestAWrongOptionIsAnErrorThatSaysWhatIsRight(t *testing.T) {
	for parameter, want := range map[string]string{
		"progam=all":             `option "progam=all" is unknown: did you mean program=NAME?`,
		"colour=red":             `option "colour=red" is unknown: want one of root=DIR, events=auto|names|off, `,
		"check=perhaps":          `option "check=perhaps": want check=false|true`,
		"engines=nats":           `option "engines=nats": want engines=sqlite+nats|sqlite`,
		"runtime=../there":       `option "runtime=../there": malformed import path "../there": invalid path element ".."`,
		"runtime=a b":            `option "runtime=a b": malformed import path "a b": invalid char ' '`,
		"runtime=example.com/r/": `option "runtime=example.com/r/": malformed import path "example.com/r/": trailing slash`,
		"paths=elsewhere":        `option "paths=elsewhere": want paths=import|source_relative`,
		"root":                   `option "root" has no value: want root=DIR`,
		"M=example.com/a":        `option "M=example.com/a" is unknown: want one of `,
		"Ma.proto=":              `option "Ma.proto=" has no value: want MFILE.proto=IMPORT/PATH`,
		"events=off,,top=1":      `option "top=1" is unknown: want one of `,

		"parts=http,metrics":          `option "metrics" is unknown: parts are joined by +, as in parts=http+metrics+traces+sql+backup+bulk+console+client`,
		"engines=sqlite,nats":         `option "nats" is unknown: engines are joined by +, as in engines=sqlite+nats`,
		"program=Otel":                `option "program=Otel": want program=NAME`,
		"program=a/b":                 `option "program=a/b": want program=NAME`,
		"program=-a":                  `option "program=-a": want program=NAME`,
		"programs=some":               `option "programs=some": want programs=all|none`,
		"programs=none,program=a":     `option "program=a": with programs=none there is no program; remove one of the two`,
		"default_api_level=OPAQUE":    `option "default_api_level=OPAQUE": want default_api_level=API_OPEN|API_HYBRID|API_OPAQUE`,
		"apilevelMa.proto=API_CLOSED": `option "apilevelMa.proto=API_CLOSED": want apilevelMFILE.proto=API_OPEN|API_HYBRID|API_OPAQUE`,
		"apilevelM=API_OPEN":          `option "apilevelM=API_OPEN" is unknown: want one of `,
	} {
		if _, err := plugin.ParseOptions(parameter); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("the error of %s is %v, want %s", parameter, err, want)
		}
	}
	for _, parameter := range []string{"", "engines=nats+sqlite,check=1", "Ma.proto=example.com/a,paths=import,module=example.com/b",
		"default_api_level=API_HYBRID,apilevelMa.proto=API_OPAQUE", "program=otel-2"} {
		if _, err := plugin.ParseOptions(parameter); err != nil {
			t.Errorf("the error of %q is %v", parameter, err)
		}
	}
}
