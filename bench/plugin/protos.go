package main

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

// module is the Go module that the requests are for.
const module = "example.com/bench"

// How the services are divided into files and packages.
const (
	servicesPerFile = 10
	filesPerPackage = 5
	// streaming is the share of the RPCs that stream, in percent.
	streaming = 20
)

//go:embed service.proto.tmpl
var protoText string

var protoTemplate = template.Must(template.New("service.proto").Parse(protoText))

// protoFile is the data of the template for a file.
type protoFile struct {
	Module, Package string
	Part            int
	Services        []protoService
}

// protoService is a service of four RPCs. In half of the services two of them take
// events; all others are ordinary reads and writes of a resource.
type protoService struct {
	Noun, Upper string
	TakesEvents bool
	RPCs        []protoRPC
}

type protoRPC struct {
	Name, Input, Output, Doc     string
	Reads                        bool
	ClientStreams, ServerStreams bool
}

// protos returns the texts of files with a total number of services, by name.
func protos(services int) (map[string]string, error) {
	texts := map[string]string{}
	for first := 0; first < services; first += servicesPerFile {
		number := first / servicesPerFile
		file := protoFile{Module: module, Package: domain(number / filesPerPackage), Part: number%filesPerPackage + 1}
		for i := first; i < min(first+servicesPerFile, services); i++ {
			file.Services = append(file.Services, newService(i))
		}
		var text strings.Builder
		if err := protoTemplate.Execute(&text, file); err != nil {
			return nil, err
		}
		texts[fmt.Sprintf("%s/v1/part%d.proto", file.Package, file.Part)] = text.String()
	}
	return texts, nil
}

func newService(number int) protoService {
	noun := nouns[number%len(nouns)]
	s := protoService{Noun: noun, Upper: strings.ToUpper(noun), TakesEvents: number%2 == 0}
	s.RPCs = []protoRPC{
		{Name: "Get" + noun, Input: "Get" + noun + "Request", Output: noun, Reads: true, Doc: "Reads one by its name. One that does not exist is NOT_FOUND."},
		{Name: "List" + noun, Input: "List" + noun + "Request", Output: "List" + noun + "Response", Reads: true, Doc: "Lists what a tenant has, the newest first, a page at a time."},
	}
	if s.TakesEvents {
		s.RPCs = append(s.RPCs,
			protoRPC{Name: "Record" + noun, Input: noun + "Event", Output: noun + "Reply", Doc: "Takes what happened. The reply acknowledges that it is stored."},
			protoRPC{Name: "Import" + noun, Input: "Imported" + noun + "Event", Output: "google.protobuf.Empty", Doc: "Takes over what another system has kept so far."},
		)
	} else {
		s.RPCs = append(s.RPCs,
			protoRPC{Name: "Update" + noun, Input: "Update" + noun + "Request", Output: noun, Doc: "Changes one, and returns what it has become."},
			protoRPC{Name: "Delete" + noun, Input: "Delete" + noun + "Request", Output: "google.protobuf.Empty", Doc: "Deletes one. It can't be had back."},
		)
	}
	for i := range s.RPCs {
		s.RPCs[i].ClientStreams, s.RPCs[i].ServerStreams = streams(number*len(s.RPCs) + i)
	}
	return s
}

// streams reports how an RPC streams. It spreads the RPCs that stream evenly, with each
// way of streaming in turn.
func streams(rpc int) (client, server bool) {
	before, after := rpc*streaming/100, (rpc+1)*streaming/100
	if before == after {
		return false, false
	}
	return before%3 != 0, before%3 != 1
}

// domain returns the name of a proto package.
func domain(number int) string {
	if number < len(domains) {
		return domains[number]
	}
	return fmt.Sprintf("%s%d", domains[number%len(domains)], number/len(domains)+1)
}

var domains = strings.Fields("accounts billing catalog delivery engagement fleet grants hiring inventory journal " +
	"kitchen ledger metering network orders payments quality routing shipping ticketing")

// nouns has as many words as a package has services, so that each is used once.
var nouns = strings.Fields("Account Address Agent Alert Asset Batch Booking Branch Budget Campaign " +
	"Carrier Channel Claim Contact Contract Coupon Credit Customer Dataset Device " +
	"Discount Dispute Document Driver Employee Facility Forecast Gateway Invoice Job " +
	"Lease License Location Machine Merchant Meter Offer Order Parcel Partner " +
	"Payment Permit Policy Product Profile Project Quote Receipt Refund Region")
