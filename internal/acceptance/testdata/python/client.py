"""Sends an event to a Receiver and prints the reply."""

import argparse
import json
import sys

import grpc
import receiver_pb2
import receiver_pb2_grpc
from google.protobuf import struct_pb2


def main() -> int:
    """Make the call that the command line asks for."""
    args = arguments()
    # A proxy of the environment is not to stand between two local programs.
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(args.addr, options=options) as channel:
        stub = receiver_pb2_grpc.ReceiverStub(channel)
        try:
            reply = stub.receive(event(args), metadata=metadata(args), timeout=10)
        except grpc.RpcError as error:
            print(f"{error.code().name}: {error.details()}", file=sys.stderr)
            return 1
    print(f"client status: {reply.status} received: {reply.message}")
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--addr", required=True, help="HOST:PORT of the server")
    parser.add_argument("--event-id", help="the id that the event is sent under")
    parser.add_argument("--appid", default="demo")
    parser.add_argument("--xwhen", default=123, type=int)
    parser.add_argument("--xwho", default="jerry")
    parser.add_argument("--xwhat", default="install")
    parser.add_argument(
        "--xcontext", default='{"idfa": "idfa1", "amount": 123}', type=json.loads
    )
    return parser.parse_args()


def event(args: argparse.Namespace) -> receiver_pb2.Event:
    """Build the event that the arguments describe."""
    xcontext = struct_pb2.Struct()
    xcontext.update(args.xcontext)
    return receiver_pb2.Event(
        appid=args.appid,
        xwhen=args.xwhen,
        xwho=args.xwho,
        xwhat=args.xwhat,
        xcontext=xcontext,
    )


def metadata(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Say what goes with the call: the event's id, if it has one."""
    return [("event-id", args.event_id)] if args.event_id else []


if __name__ == "__main__":
    sys.exit(main())
