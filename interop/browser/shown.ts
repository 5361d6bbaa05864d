// What docs/browsers.md shows of a page.
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { type Event, OrdersService } from "orders";

// publish sends an event by fetch.
export async function publish(server: string, key: string, id: string) {
  const response = await fetch(`${server}/orders.v1.OrdersService/Publish`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}`, "event-id": id },
    body: JSON.stringify({ event: { source: "web-shop", eventType: "placed", subject: "order-17" } }),
  });
  return response.json();
}

// follow shows the events after a position, until show throws an error.
export async function follow(server: string, key: string, after: bigint, show: (event?: Event) => void) {
  const client = createClient(OrdersService, createConnectTransport({ baseUrl: server })); // or createGrpcWebTransport
  for await (const reply of client.tail({ after }, { headers: { Authorization: `Bearer ${key}` } })) {
    show(reply.event);
  }
}
