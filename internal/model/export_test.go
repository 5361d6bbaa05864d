package model

import "google.golang.org/protobuf/reflect/protoreflect"

// InputDescriptor returns how a proto declares the request of the RPC.
func (m *Method) InputDescriptor() protoreflect.MessageDescriptor { return m.desc.Input() }
