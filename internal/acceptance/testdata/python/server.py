"""Serves a Receiver that greets, and prints each request as a line of JSON."""

import json
from concurrent import futures

import grpc
import receiver_pb2
import receiver_pb2_grpc
from google.protobuf import json_format


class Receiver(receiver_pb2_grpc.ReceiverServicer):
    """Greets whoever did what an event tells of."""

    def receive(
        self, request: receiver_pb2.Event, context: grpc.ServicerContext
    ) -> receiver_pb2.Reply:
        """Print the event, and the ids that came with it, and greet."""
        metadata = context.invocation_metadata()
        ids = [value for key, value in metadata if key == "event-id"]
        data = json_format.MessageToDict(request, preserving_proto_field_name=True)
        print("request:", json.dumps({"ids": ids, "data": data}), flush=True)
        return receiver_pb2.Reply(message=f"Hello, {request.xwho}!")


def main() -> None:
    """Serve on a free port until the process is ended."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    receiver_pb2_grpc.add_ReceiverServicer_to_server(Receiver(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"serving addr=127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
