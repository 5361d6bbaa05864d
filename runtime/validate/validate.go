// Package validate enforces the rules of protovalidate that a proto has: the options
// (buf.validate.field), (buf.validate.message) and (buf.validate.oneof).
package validate

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	// An error names at most this many violations in its details, and fewer in its text.
	mostViolations  = 20
	mostInText      = 3
	mostBytesOfText = 300 // of a path, which may have a key of a map in it, and of a rule's message
	// All violations of a request are looked for only up to this many bytes: one with
	// thousands of events may have more of them than there is memory for.
	mostBytesInFull = 64 << 10
)

// Rules returns a function that compiles the rules of messages, and of all messages in
// their fields, and returns what checks a message of one of these types by them. It
// compiles once; its error says which rule does not compile.
//
// The check returns nil for a valid message. For another one it returns an error with
// code InvalidArgument that names the first fields that break a rule, and a BadRequest
// as its detail that names up to 20, or the first one in a message of more than 64 KiB.
// An error without a code means that a rule could not be evaluated.
func Rules(messages ...proto.Message) func() (check func(proto.Message) error, err error) {
	return sync.OnceValues(func() (func(proto.Message) error, error) {
		validator, err := protovalidate.New(protovalidate.WithMessages(messages...), protovalidate.WithDisableLazy())
		if err != nil {
			return nil, fmt.Errorf("rules of protovalidate: %w", err)
		}
		seen := map[protoreflect.FullName]bool{}
		for _, message := range messages {
			if err := compiled(validator, message.ProtoReflect().Descriptor(), seen); err != nil {
				return nil, err
			}
		}
		return func(message proto.Message) error { return check(validator, message) }, nil
	})
}

func check(validator protovalidate.Validator, message proto.Message) error {
	err := validator.Validate(message, protovalidate.WithFailFast())
	if err == nil {
		return nil
	}
	if proto.Size(message) <= mostBytesInFull {
		err = validator.Validate(message)
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("rules of %s: %w", message.ProtoReflect().Descriptor().FullName(), err)
	}
	return refusal(invalid.Violations)
}

// refusal returns the error for a message that violates rules.
func refusal(violations []*protovalidate.Violation) error {
	details := new(errdetails.BadRequest)
	var text []string
	for _, violation := range violations[:min(len(violations), mostViolations)] {
		field := short(protovalidate.FieldPathString(violation.Proto.GetField()))
		description := short(violation.Proto.GetMessage())
		if description == "" {
			description = "breaks the rule " + short(violation.Proto.GetRuleId())
		}
		details.FieldViolations = append(details.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: field, Description: description, Reason: violation.Proto.GetRuleId(),
		})
		if len(text) < mostInText {
			text = append(text, strings.TrimPrefix(field+": "+description, ": "))
		}
	}
	if more := len(violations) - len(text); more > 0 {
		text = append(text, fmt.Sprintf("and %d more", more))
	}
	refused := status.New(codes.InvalidArgument, strings.Join(text, "; "))
	if detailed, err := refused.WithDetails(details); err == nil {
		refused = detailed
	}
	return refused.Err()
}

// short cuts a text that is too long for an error.
func short(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= mostBytesOfText {
		return text
	}
	end := mostBytesOfText
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// compiled returns the error of a rule of a message's type, or of one that it may hold,
// that does not compile. The validator reports that only where the rule applies: so an
// empty message of each type is validated, each field by itself.
func compiled(validator protovalidate.Validator, of protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) error {
	if seen[of.FullName()] {
		return nil
	}
	seen[of.FullName()] = true
	parts := []protoreflect.Descriptor{of}
	for i := range of.Fields().Len() {
		parts = append(parts, of.Fields().Get(i))
	}
	for _, part := range parts {
		var wrong *protovalidate.CompilationError
		err := validator.Validate(dynamicpb.NewMessage(of), protovalidate.WithFilter(protovalidate.FilterFunc(
			func(_ protoreflect.Message, d protoreflect.Descriptor) bool { return d == part })))
		if errors.As(err, &wrong) {
			return fmt.Errorf("the rules of %s in its proto do not compile: %w", part.FullName(), err)
		}
	}
	for i := range of.Fields().Len() {
		fd := of.Fields().Get(i)
		if fd.IsMap() {
			fd = fd.MapValue()
		}
		if held := fd.Message(); held != nil {
			if err := compiled(validator, held, seen); err != nil {
				return err
			}
		}
	}
	return nil
}
