//runtime:used

package compat

import (
	"bytes"
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Text returns a version of a message type as a text that a repository can keep: its name,
// and [Files] in JSON with a line for each field. It has no backquotes.
func Text(message protoreflect.MessageDescriptor) (string, error) {
	text, err := protojson.Marshal(Files(message))
	if err != nil {
		return "", err
	}
	var compact bytes.Buffer // since protojson's spaces differ from program to program
	if err := json.Compact(&compact, text); err != nil {
		return "", err
	}
	lines := strings.ReplaceAll(compact.String(), `{"name":`, "\n"+`{"name":`)
	return string(message.FullName()) + "\n" + strings.ReplaceAll(lines, "`", `\u0060`) + "\n", nil
}
