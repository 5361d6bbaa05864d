// What a client of the generated service sees, protocol by protocol. The tests in Go
// compare it with what it should see.
import { type CallOptions, Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { OrdersService } from "orders";

// Steps are done one after the other.
export type Steps = Record<string, () => Promise<unknown>>;

// observe does steps, and returns what came of each.
export async function observe(steps: Steps): Promise<Record<string, unknown>> {
  const seen: Record<string, unknown> = {};
  for (const [name, step] of Object.entries(steps)) {
    try {
      seen[name] = await step();
    } catch (error) {
      seen[name] = described(error);
    }
  }
  return seen;
}

// withKey sends an API key with each call.
export function withKey(key: string): Interceptor {
  return (next) => (request) => {
    request.header.set("Authorization", `Bearer ${key}`);
    return next(request);
  };
}

// described returns what a caller can learn from an error.
function described(error: unknown) {
  if (!(error instanceof ConnectError)) {
    return { error: String(error) };
  }
  return {
    code: Code[error.code],
    message: error.rawMessage,
    details: error.details.map((detail) => ("type" in detail ? detail.type : detail.desc.typeName)),
    pushback: error.metadata.has("grpc-retry-pushback-ms"),
  };
}

// Peers are the ways to the servers by one protocol.
export interface Peers {
  withKey: Transport;
  withoutKey: Transport;
  limited: Transport; // to a server that takes one event of a source
}

// unaryAndTail calls what every protocol can do, also in a browser.
export function unaryAndTail(protocol: string, peers: Peers): Steps {
  const client = createClient(OrdersService, peers.withKey);
  const open = createClient(OrdersService, peers.withoutKey);
  const limited = createClient(OrdersService, peers.limited);
  const event = (subject: string) => ({ source: "web-shop", eventType: "placed", subject });
  const once = (id: string): CallOptions => ({ headers: { "event-id": id } });
  return {
    [`${protocol}: publish`]: async () => {
      const { eventId, duplicate } = await client.publish({ event: event("one") }, once(`${protocol}-1`));
      return { eventId, duplicate };
    },
    [`${protocol}: the same again`]: async () => {
      const { eventId, duplicate } = await client.publish({ event: event("one") }, once(`${protocol}-1`));
      return { eventId, duplicate };
    },
    [`${protocol}: the same id for another event`]: () => client.publish({ event: event("two") }, once(`${protocol}-1`)),
    [`${protocol}: batch`]: async () => {
      const { count } = await client.publishBatch({ events: [event("two"), event("three")] }, once(`${protocol}-2`));
      return { count };
    },
    [`${protocol}: follow`]: async () => {
      const { position } = await client.publish({ event: event("first") });
      const stop = new AbortController();
      const followed = [];
      for await (const reply of client.tail({ after: position - 1n }, { signal: stop.signal })) {
        followed.push(reply.event?.subject);
        if (followed.length == 3) {
          break;
        }
        // The next one is stored once this one has come.
        await client.publish({ event: event(`next ${followed.length}`) });
      }
      stop.abort();
      return followed;
    },
    [`${protocol}: follow until the deadline`]: async () => {
      // Whether client or server is first to notice that the time is over differs: grpc-go
      // then resets the stream, which the client reports as Canceled.
      try {
        for await (const _ of client.tail({ after: 1n << 40n }, { timeoutMs: 300 })) {
          return "an event";
        }
      } catch (error) {
        const code = ConnectError.from(error).code;
        return Code[code === Code.Canceled ? Code.DeadlineExceeded : code];
      }
    },
    [`${protocol}: without a key`]: () => open.publish({ event: event("one") }),
    [`${protocol}: follow without a key`]: async () => {
      for await (const _ of open.tail({})) {
        return "an event";
      }
    },
    [`${protocol}: of another source`]: () => client.publish({ event: { source: "billing", eventType: "paid" } }),
    [`${protocol}: not implemented`]: () => client.find({ position: 1n }),
    [`${protocol}: too many`]: async () => {
      const source = protocol;
      await limited.publish({ event: { source, eventType: "placed" } });
      await limited.publish({ event: { source, eventType: "placed" } });
    },
  };
}

// uploads calls what needs a stream from the client, which browsers do not have.
export function uploads(protocol: string, { withKey }: Peers): Steps {
  const client = createClient(OrdersService, withKey);
  return {
    [`${protocol}: client stream`]: async () => {
      async function* events() {
        for (const subject of ["one", "two", "three"]) {
          yield { event: { source: "web-shop", eventType: "placed", subject } };
        }
      }
      const { count } = await client.publishStream(events(), { headers: { "event-id": `${protocol}-stream` } });
      return { count };
    },
  };
}

// dialogue sends each request once the reply to the one before has come.
export function dialogue(protocol: string, { withKey }: Peers): Steps {
  const client = createClient(OrdersService, withKey);
  return {
    [`${protocol}: bidi`]: async () => {
      let answered = () => {};
      const ids: string[] = [];
      async function* events() {
        for (const subject of ["one", "two", "three"]) {
          const answer = new Promise<void>((resolve) => (answered = resolve));
          yield { event: { source: "web-shop", eventType: "placed", subject } };
          await answer;
        }
      }
      for await (const reply of client.publishEach(events(), { headers: { "event-id": `${protocol}-each` } })) {
        ids.push(reply.eventId);
        answered();
      }
      return ids;
    },
  };
}
