module github.com/protoc-gen-receiver/protoc-gen-receiver/interop

go 1.26.0

replace github.com/protoc-gen-receiver/protoc-gen-receiver => ../

replace example.com/receiver => ../examples/receiver
