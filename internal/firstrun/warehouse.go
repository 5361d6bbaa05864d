//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/printed"
)

// warehouseProto is written without knowing the program: no message is called Event, ids
// are called id, and messages are nested.
const warehouseProto = `syntax = "proto3";

package acme.warehouse.v1;

import "google/protobuf/timestamp.proto";

option go_package = "example.com/warehouse/gen/acme/warehouse/v1;warehousev1";

// ShipmentService keeps track of what leaves our warehouses.
service ShipmentService {
  // RecordShipment is called by the gate when a truck leaves.
  rpc RecordShipment(RecordShipmentRequest) returns (RecordShipmentResponse);
  // RecordShipments is called by gates that were offline.
  rpc RecordShipments(RecordShipmentsRequest) returns (RecordShipmentsResponse);
  // GetShipment finds a shipment.
  rpc GetShipment(GetShipmentRequest) returns (Shipment);
}

message Shipment {
  string id = 1;
  Warehouse origin = 2;
  string carrier = 3;
  repeated Item items = 4;
  google.protobuf.Timestamp left_at = 5;

  message Item {
    string sku = 1;
    int32 quantity = 2;
  }
}

message Warehouse {
  string id = 1;
  string country = 2;
}

message RecordShipmentRequest {
  Shipment shipment = 1;
}

message RecordShipmentResponse {
  string id = 1;
}

message RecordShipmentsRequest {
  repeated Shipment shipments = 1;
}

message RecordShipmentsResponse {
  int32 count = 1;
}

message GetShipmentRequest {
  string id = 1;
}
`

// warehouse makes a module around a proto in which nothing is known as an event, and does
// literally what the program prints, until events are stored and read back.
func warehouse(n *newcomer) error {
	const client = "go run ./cmd/acme-warehouse-client "
	if err := errors.Join(n.write("warehouse.proto", warehouseProto), n.install()); err != nil {
		return err
	}
	made, err := n.run("downloads and generating", "protoc-gen-receiver new --from warehouse.proto example.com/warehouse")
	if err != nil {
		return err
	}
	comments, err := printed.Comments(n.dir, made)
	if err != nil {
		return err
	}
	if len(comments) == 0 {
		return fmt.Errorf("it prints no comment to write into the proto:\n%s", made)
	}
	for _, comment := range comments {
		n.add(step{what: fmt.Sprintf("%s, above line %d: %s", comment.File, comment.Line, comment.Text), edit: true, start: time.Now()})
	}
	for {
		text, err := n.run("generating", "make generate")
		if err != nil {
			return err
		}
		steps, err := printed.Steps(n.dir, text, func(command string) error {
			_, err := n.run("editing", command)
			return err
		})
		if err != nil {
			return err
		}
		if steps == 0 {
			break
		}
	}
	if _, _, err := n.serve(made, "acme-warehouse"); err != nil {
		return err
	}
	// What to run now is in the README of the module.
	readme, err := os.ReadFile(filepath.Join(n.dir, "README.md"))
	if err := errors.Join(err, expect(string(readme), client+"help", "go run ./cmd/acme-warehouse-server events replay")); err != nil {
		return err
	}
	help, err := n.run("running", client+"help")
	if err != nil {
		return err
	}
	flags, err := n.run("running", client+"help record-shipment")
	if err := errors.Join(err, expect(help, "record-shipment"), expect(flags, "--shipment")); err != nil {
		return err
	}
	if _, err := n.run("running", client+`record-shipment --shipment '{"id":"s-1","carrier":"Express","origin":{"id":"w-1"}}'`); err != nil {
		return err
	}
	n.acknowledged()
	if _, err := n.run("running", `echo '{"id":"s-2","items":[{"sku":"chair","quantity":4}]}' | `+client+"record-shipments"); err != nil {
		return err
	}
	stored, err := n.run("running", "go run ./cmd/acme-warehouse-server events replay")
	return errors.Join(err, expect(stored, `"position":1`, `"id":"s-1"`, "Express", `"position":2`, `"id":"s-2"`, "chair"))
}
