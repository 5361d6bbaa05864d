package query_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// random makes messages, the same for a seed.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, seed))} }

// message returns the bytes of a message in which about half of the fields are set.
func (r random) message(t testing.TB, kind protoreflect.MessageDescriptor, depth int) []byte {
	t.Helper()
	message := dynamicpb.NewMessage(kind)
	r.fill(message, depth)
	data, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (r random) fill(message protoreflect.Message, depth int) {
	for i := range message.Descriptor().Fields().Len() {
		field := message.Descriptor().Fields().Get(i)
		if r.IntN(2) == 0 || depth == 0 && field.Message() != nil {
			continue
		}
		switch {
		case field.IsMap():
			entries := message.Mutable(field).Map()
			for key := range r.IntN(3) {
				value := entries.NewValue()
				if field.MapValue().Message() != nil {
					r.fill(value.Message(), depth-1)
				} else {
					value = r.value(field.MapValue())
				}
				entries.Set(protoreflect.ValueOfInt32(int32(key)).MapKey(), value)
			}
		case field.IsList():
			list := message.Mutable(field).List()
			for range r.IntN(3) {
				if field.Message() != nil {
					r.fill(list.AppendMutable().Message(), depth-1)
				} else {
					list.Append(r.value(field))
				}
			}
		case field.Message() != nil:
			r.fill(message.Mutable(field).Message(), depth-1)
		default:
			message.Set(field, r.value(field))
		}
	}
}

func (r random) value(field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(r.IntN(2) == 0)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString([]string{"", "a", "ä\n\"\\", fmt.Sprint(r.Uint64())}[r.IntN(4)])
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([][]byte{{}, {0, 255}, []byte("abc")}[r.IntN(3)])
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(r.IntN(2))) // a third would be unknown in proto2
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32([]float32{0, 1.5, -2, float32(math.NaN()), math.MaxFloat32}[r.IntN(5)])
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64([]float64{0, 1.5, -2, math.NaN(), math.MaxFloat64}[r.IntN(5)])
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32([]int32{0, 1, -1, math.MinInt32, math.MaxInt32}[r.IntN(5)])
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32([]uint32{0, 1, math.MaxUint32}[r.IntN(3)])
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64([]uint64{0, 1, math.MaxInt64, math.MaxUint64}[r.IntN(4)])
	default:
		return protoreflect.ValueOfInt64([]int64{0, 1, -1, math.MinInt64, math.MaxInt64}[r.IntN(5)])
	}
}
