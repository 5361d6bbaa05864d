package server

import (
	"bytes"
	"strings"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// field encodes a field of some bytes.
func field(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func TestARequestIsWeighedByWhatItBecomes(t *testing.T) {
	const length = 1 << 20
	fill := func(part []byte) []byte { return bytes.Repeat(part, length/len(part)) }
	honest, err := structpb.NewStruct(map[string]any{"amount": 12.5, "currency": "EUR", "items": []any{"a", "b", true}, "name": "jerry"})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := proto.Marshal(honest)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		message protoreflect.ProtoMessage
		encoded []byte
		heavy   bool
	}{
		"one long string":     {&structpb.Value{}, field(3, make([]byte, length)), false},
		"unknown fields":      {&structpb.Value{}, fill([]byte{0xf8, 0x01, 0x00}), false},
		"many ordinary parts": {&structpb.ListValue{}, field(1, field(6, fill(field(1, field(5, encoded))))), false},
		"empty values":        {&structpb.ListValue{}, field(1, field(6, fill([]byte{0x0a, 0x00}))), true},
		"empty entries":       {&structpb.Struct{}, fill([]byte{0x0a, 0x00}), true},
		"empty strings":       {&descriptorpb.FileDescriptorProto{}, fill([]byte{0x1a, 0x00}), false},
		"empty groups":        {&descriptorpb.FileDescriptorProto{}, field(8, fill(field(999, nil))), true},
		"deep ones":           {&structpb.ListValue{}, nest(length / 8), true},
		"garbage":             {&structpb.Struct{}, fill([]byte{0xff}), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := scale{most: mostWeight * length, batch: length}
			err := s.weigh(test.message.ProtoReflect().Descriptor(), test.encoded, 0)
			if (err != nil) != test.heavy {
				t.Errorf("its weight is %d, and the error %v", s.weight, err)
			}
			if err != nil && !strings.Contains(err.Error(), "send fewer at once") {
				t.Error(err)
			}
		})
	}
}

// nest returns lists within each other.
func nest(depth int) []byte {
	lengths := []int{0}
	for i := range depth {
		lengths = append(lengths, 1+protowire.SizeBytes(lengths[i]))
	}
	var encoded []byte
	for i, number := depth-1, protowire.Number(1); i >= 0; i, number = i-1, 7-number {
		encoded = protowire.AppendTag(encoded, number, protowire.BytesType)
		encoded = protowire.AppendVarint(encoded, uint64(lengths[i]))
	}
	return encoded
}

func TestListsOfARequestAreCountedEach(t *testing.T) {
	request := &testpb.StreamingOutputCallRequest{ResponseParameters: make([]*testpb.ResponseParameters, 11)}
	for i := range request.ResponseParameters {
		request.ResponseParameters[i] = &testpb.ResponseParameters{}
	}
	encoded, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	for most, ok := range map[int]bool{10: false, 11: true} {
		s := scale{most: 1 << 20, batch: most}
		if err := s.weigh(request.ProtoReflect().Descriptor(), encoded, 0); (err == nil) != ok {
			t.Errorf("of %d allowed: %v", most, err)
		}
	}
}
