"""Sends events to a server of orders.v1.OrdersService, and follows what it stores."""

import argparse
import json
import secrets
import sys
import time
import uuid
from pathlib import Path

import grpc
from google.protobuf import json_format
from orders.v1 import orders_pb2, orders_pb2_grpc

# A call that fails with UNAVAILABLE is tried again, after the time that the server
# asks for, if it does. gRPC sends the same metadata each time, and so the same id.
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": "orders.v1.OrdersService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}

# After the server was away, the connection is back within about two seconds.
OPTIONS = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1500),
]

DEADLINE = 30  # seconds, for all tries of a call together


def new_id() -> str:
    """Return a UUIDv7, which begins with the time. (Python 3.14 has uuid.uuid7.)"""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 0x7 << 76  # the version
    number = number & ~(0x3 << 62) | 0x2 << 62  # the variant
    return str(uuid.UUID(int=number))


def send(stub, event: orders_pb2.Event, event_id: str) -> orders_pb2.PublishResponse:
    """Store an event. It is stored once, however often it is sent with this id."""
    return stub.Publish(
        orders_pb2.PublishRequest(event=event),
        metadata=[("event-id", event_id)],
        timeout=DEADLINE,
        wait_for_ready=True,  # for the server, until the deadline
    )


def send_batch(stub, events, event_id: str) -> orders_pb2.PublishBatchResponse:
    """Store all events, or none. The nth has the id event_id/n."""
    return stub.PublishBatch(
        orders_pb2.PublishBatchRequest(events=events),
        metadata=[("event-id", event_id)],
        timeout=DEADLINE,
        wait_for_ready=True,
    )


def tail(stub, after: int):
    """Yield the stored events after a position, and then each new one, without end."""
    while True:
        try:
            request = orders_pb2.TailRequest(after=after)
            for reply in stub.Tail(request, wait_for_ready=True):
                yield reply
                after = reply.position
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            time.sleep(0.2)  # the server ends its tails when it is stopped


def main() -> int:
    """Run a command of the command line."""
    args = arguments()
    # Between two local programs there is no proxy.
    options = OPTIONS + [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(args.addr, options=options) as channel:
        stub = orders_pb2_grpc.OrdersServiceStub(channel)
        try:
            args.command(stub, args)
        except grpc.RpcError as error:
            print(f"{error.code().name}: {error.details()}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


def send_one(stub, args: argparse.Namespace) -> None:
    """Send the event of the flags."""
    event = orders_pb2.Event(
        source=args.source, event_type=args.type, subject=args.subject
    )
    event.data.update(args.data)
    reply = send(stub, event, args.id or new_id())
    print(f"position {reply.position}{', stored before' if reply.duplicate else ''}")


def send_lines(stub, args: argparse.Namespace) -> None:
    """Send the events of the standard input, one in each line, as a batch."""
    events = [json_format.Parse(line, orders_pb2.Event()) for line in sys.stdin]
    reply = send_batch(stub, events, args.id or new_id())
    print(f"{len(events)} acknowledged, the last at position {reply.position}")


def follow(stub, args: argparse.Namespace) -> None:
    """Print events. The file has the position of the last one that was printed."""
    after = int(args.file.read_text()) if args.file.exists() else 0
    for reply in tail(stub, after):
        print(reply.position, reply.event.event_type, reply.event.subject, flush=True)
        # Remember an event once it is handled: after a crash it comes again.
        new = args.file.with_suffix(".new")
        new.write_text(str(reply.position))
        new.replace(args.file)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--addr", default="localhost:50051", help="HOST:PORT")
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("send", help=send_one.__doc__)
    one.set_defaults(command=send_one)
    one.add_argument("--source", default="shop")
    one.add_argument("--type", default="placed")
    one.add_argument("--subject", default="order-1")
    one.add_argument("--data", default={"amount": 42}, type=json.loads, help="a JSON object")
    lines = commands.add_parser("batch", help=send_lines.__doc__)
    lines.set_defaults(command=send_lines)
    for command in one, lines:
        command.add_argument("--id", help="the event id, to send the same again")
    tails = commands.add_parser("tail", help=follow.__doc__)
    tails.set_defaults(command=follow)
    tails.add_argument("--file", default=Path("position"), type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
