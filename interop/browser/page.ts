// The page of another origin: it sends events to the server, and follows them.
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { OrdersService } from "orders";
import { follow, publish } from "./shown.ts";
import { observe, type Peers, type Steps, unaryAndTail, withKey } from "../typescript/calls.ts";

interface Task {
  server: string; // the address of the server, with its scheme
  limited: string; // that of a server that takes one event of a source
  key: string;
}

function json(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
}

// withFetch calls the server without a library.
function withFetch({ server, limited, key }: Task): Steps {
  const service = `${server}/orders.v1.OrdersService`;
  const event = { source: "web-shop", eventType: "placed", subject: "one" };
  const signed = { Authorization: `Bearer ${key}` };
  const answer = async (response: Response) => ({ status: response.status, body: await response.json() });
  return {
    "fetch: publish": async () => {
      const response = await fetch(`${service}/Publish`, json({ event }, { ...signed, "event-id": "fetch-1" }));
      const { eventId, duplicate } = await response.json();
      return { status: response.status, eventId, duplicate };
    },
    "fetch: the same again": async () => {
      const response = await fetch(`${service}/Publish`, json({ event }, { ...signed, "event-id": "fetch-1" }));
      const { eventId, duplicate } = await response.json();
      return { status: response.status, eventId, duplicate };
    },
    "fetch: an unknown field": async () =>
      answer(await fetch(`${service}/Publish`, json({ event: { ...event, colour: "red" } }, signed))),
    "fetch: without a key": async () => answer(await fetch(`${service}/Publish`, json({ event }))),
    "fetch: too many": async () => {
      const send = () => fetch(`${limited}/orders.v1.OrdersService/Publish`, json({ event: { ...event, source: "fetch" } }));
      await send();
      const response = await send();
      const { code, details } = await response.json();
      return { status: response.status, code, retryAfter: response.headers.get("Retry-After"), details: details.map((detail: { type: string }) => detail.type) };
    },
    "fetch: follow": async () => {
      const response = await fetch(`${service}/Publish`, json({ event: { ...event, subject: "first" } }, signed));
      const { position } = await response.json();
      const followed: string[] = [];
      for await (const reply of stream(`${service}/Tail`, { after: String(Number(position) - 1) }, signed)) {
        followed.push(reply.event.subject);
        if (followed.length == 2) {
          return followed;
        }
        await fetch(`${service}/Publish`, json({ event: { ...event, subject: "next" } }, signed));
      }
    },
  };
}

// stream yields the replies of a server stream. The Connect protocol puts five bytes
// before each message: flags, of which 2 marks the end of the stream, and the length.
async function* stream(url: string, request: unknown, headers: Record<string, string>) {
  const message = new TextEncoder().encode(JSON.stringify(request));
  const body = new Uint8Array(5 + message.length);
  new DataView(body.buffer).setUint32(1, message.length);
  body.set(message, 5);
  const response = await fetch(url, { method: "POST", headers: { "Content-Type": "application/connect+json", ...headers }, body });
  let bytes = new Uint8Array();
  const reader = response.body!.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    bytes = new Uint8Array([...bytes, ...part.value]);
    while (bytes.length >= 5) {
      const end = 5 + new DataView(bytes.buffer).getUint32(1);
      if (bytes.length < end) {
        break;
      }
      const reply = JSON.parse(new TextDecoder().decode(bytes.subarray(5, end)));
      if (bytes[0] & 2) {
        return;
      }
      yield reply;
      bytes = bytes.slice(end);
    }
  }
}

// shown does what the documents show.
function shown({ server, key }: Task): Steps {
  return {
    "docs: publish": async () => (await publish(server, key, "shown-1")).eventId,
    "docs: follow": async () => {
      const { position } = await publish(server, key, "shown-2");
      const followed: unknown[] = [];
      await follow(server, key, BigInt(position) - 1n, (event) => {
        followed.push(event?.subject);
        throw new Error("enough");
      }).catch(() => {});
      return followed;
    },
  };
}

// manyTails follows more tails at once than a browser has connections by HTTP/1.1, which
// are six: by HTTP/2, which browsers speak only with TLS, they share one.
function manyTails(transport: Peers["withKey"]): Steps {
  const client = createClient(OrdersService, transport);
  return {
    "eight tails at once": async () => {
      const stop = new AbortController();
      const tails = Array.from({ length: 8 }, () => client.tail({}, { signal: stop.signal })[Symbol.asyncIterator]());
      const first = await Promise.all(tails.map((tail) => tail.next()));
      const { duplicate } = await client.publish({ event: { source: "web-shop", eventType: "placed" } });
      stop.abort();
      return { positions: first.map((reply) => String(reply.value.position)), duplicate };
    },
  };
}

// withoutPermission tries what a browser lets any page do without asking the server: to
// send what a form could send. The server has no keys, as on a developer's machine.
function withoutPermission({ limited }: Task): Steps {
  const event = JSON.stringify({ event: { source: "web-shop", eventType: "forged" } });
  const cloudEvent = JSON.stringify({ specversion: "1.0", id: "forged", source: "web-shop", type: "forged" });
  const send = async (path: string, text: string) => {
    const types: string[] = [];
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]) {
      const response = await fetch(limited + path, { method: "POST", mode: "no-cors", body: new Blob([text], { type }) });
      types.push(response.type);
    }
    return types;
  };
  return {
    "a form": () => send("/orders.v1.OrdersService/Publish", event),
    "a form as CloudEvent": () => send("/events/orders.v1.OrdersService", cloudEvent),
  };
}

function peers(task: Task, to: (baseUrl: string, key?: string) => Peers["withKey"]): Peers {
  return { withKey: to(task.server, task.key), withoutKey: to(task.server), limited: to(task.limited) };
}

const signed = (key?: string) => (key ? [withKey(key)] : []);
const connect = (baseUrl: string, key?: string) => createConnectTransport({ baseUrl, interceptors: signed(key) });
const task: Task = await (await fetch("/task")).json();
const seen = await observe({
  ...unaryAndTail("gRPC-Web", peers(task, (baseUrl, key) => createGrpcWebTransport({ baseUrl, interceptors: signed(key) }))),
  ...unaryAndTail("Connect", peers(task, connect)),
  ...withFetch(task),
  ...shown(task),
  ...(task.server.startsWith("https:") ? manyTails(connect(task.server, task.key)) : {}),
  ...withoutPermission(task),
});
await fetch("/seen", json(seen));
