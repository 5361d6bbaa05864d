"""Sends events by gRPC with compressed requests, and prints what comes of it."""

import json
import sys

import grpc
import orders_pb2
import orders_pb2_grpc

address, certificate, compression = sys.argv[1:]

COMPRESSIONS = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate, "none": grpc.Compression.NoCompression}
chosen = COMPRESSIONS[compression]
if certificate:
    with open(certificate, "rb") as file:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()), compression=chosen)
else:
    channel = grpc.insecure_channel(address, compression=chosen)
stub = orders_pb2_grpc.OrdersServiceStub(channel)


def event(subject):
    # Long enough that compression makes it much smaller.
    return orders_pb2.Event(source="web-shop", event_type="placed", subject=subject, data=b"0" * 100_000)


def requests():
    for subject in ("one", "two", "three"):
        yield orders_pb2.PublishRequest(event=event(subject))


seen = {}


def see(name, call):
    try:
        seen[name] = call()
    except grpc.RpcError as error:
        seen[name] = [error.code().name, error.details()]


def publish():
    reply = stub.Publish(orders_pb2.PublishRequest(event=event("one")), metadata=[("event-id", "one")], timeout=10)
    return [reply.position, reply.event_id, reply.duplicate]


def follow():
    tail = stub.Tail(orders_pb2.TailRequest(), timeout=10)
    events = [next(tail).event for _ in range(6)]
    tail.cancel()
    return [[event.subject, len(event.data)] for event in events]


see("publish", publish)
see("the same again", publish)
see("batch", lambda: stub.PublishBatch(orders_pb2.PublishBatchRequest(events=[event("four"), event("five")]), timeout=10).count)
see("client stream", lambda: stub.PublishStream(requests(), timeout=10).count)
see("bidi", lambda: [reply.event_id for reply in stub.PublishEach(requests(), metadata=[("event-id", "each")], timeout=10)])
see("follow", follow)
print(json.dumps(seen))
