// Sends events to a server of orders.v1.OrdersService, and follows what it stores.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { credentials, Metadata, status, type CallOptions, type ServiceError } from "@grpc/grpc-js";
import { v7 as newId } from "uuid";

import {
  Event,
  OrdersServiceClient,
  type PublishBatchResponse,
  type PublishResponse,
  TailRequest,
  type TailResponse,
} from "./gen/orders/v1/orders.js";

// A call that fails with UNAVAILABLE is tried again, after the time that the server
// asks for, if it does. gRPC sends the same metadata each time, and so the same id.
const serviceConfig = {
  methodConfig: [
    {
      name: [{ service: "orders.v1.OrdersService" }],
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: "0.2s",
        maxBackoff: "5s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};

// After the server was away, the connection is back within about two seconds.
const options = {
  "grpc.service_config": JSON.stringify(serviceConfig),
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1500,
};

/** How long all tries of a call may take together, in milliseconds. */
const timeout = 30_000;

/** Stores an event. It is stored once, however often it is sent with this id. */
function send(client: OrdersServiceClient, event: Event, id: string): Promise<PublishResponse> {
  return reply((done) => client.publish({ event }, withId(id), deadline(), done));
}

/** Stores all events, or none. The nth has the id `${id}/n`. */
function sendBatch(client: OrdersServiceClient, events: Event[], id: string): Promise<PublishBatchResponse> {
  return reply((done) => client.publishBatch({ events }, withId(id), deadline(), done));
}

/** Yields the stored events after a position, and then each new one, without end. */
async function* tail(client: OrdersServiceClient, after: bigint): AsyncGenerator<TailResponse> {
  for (;;) {
    try {
      const replies: AsyncIterable<TailResponse> = client.tail(TailRequest.fromPartial({ after }), patient());
      for await (const reply of replies) {
        yield reply;
        after = reply.position;
      }
    } catch (error) {
      if ((error as ServiceError).code !== status.UNAVAILABLE) throw error;
      await sleep(200); // the server ends its tails when it is stopped
    }
  }
}

/** Returns the metadata of a call that waits for the server until its deadline. */
function patient(): Metadata {
  return new Metadata({ waitForReady: true });
}

/** Returns the metadata of a call that sends an event. */
function withId(id: string): Metadata {
  const metadata = patient();
  metadata.set("event-id", id);
  return metadata;
}

function deadline(): CallOptions {
  return { deadline: Date.now() + timeout };
}

/** Makes a call that has a callback, and returns its reply as a promise. */
function reply<Reply>(call: (done: (error: ServiceError | null, reply: Reply) => void) => void): Promise<Reply> {
  return new Promise((resolve, reject) => call((error, reply) => (error ? reject(error) : resolve(reply))));
}

const usage = `usage: client.js [--addr HOST:PORT] COMMAND
  send   [--id ID] [--source TEXT] [--type TEXT] [--subject TEXT] [--data JSON]
  batch  [--id ID] < FILE    one event in JSON in each line
  tail   [--file FILE]       which remembers the position`;

async function main(): Promise<void> {
  const { values: flags, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      addr: { type: "string", default: "localhost:50051" },
      id: { type: "string", default: newId() }, // fixed before the first try
      source: { type: "string", default: "shop" },
      type: { type: "string", default: "placed" },
      subject: { type: "string", default: "order-1" },
      data: { type: "string", default: '{"amount": 42}' },
      file: { type: "string", default: "position" },
    },
  });
  // Between two local programs there is no proxy.
  const local = { ...options, "grpc.enable_http_proxy": 0 };
  const client = new OrdersServiceClient(flags.addr, credentials.createInsecure(), local);
  switch (positionals[0]) {
    case "send": {
      const { source, type: eventType, subject } = flags;
      const event = Event.fromPartial({ source, eventType, subject, data: JSON.parse(flags.data) });
      const { position, duplicate } = await send(client, event, flags.id);
      console.log(`position ${position}${duplicate ? ", stored before" : ""}`);
      break;
    }
    case "batch": {
      const lines = (await text(process.stdin)).trimEnd().split("\n");
      const events = lines.map((line) => Event.fromJSON(JSON.parse(line)));
      const { position } = await sendBatch(client, events, flags.id);
      console.log(`${events.length} acknowledged, the last at position ${position}`);
      break;
    }
    case "tail":
      for await (const { position, event } of tail(client, remembered(flags.file))) {
        console.log(`${position} ${event?.eventType} ${event?.subject}`);
        // Remember an event once it is handled: after a crash it comes again.
        writeFileSync(`${flags.file}.new`, String(position));
        renameSync(`${flags.file}.new`, flags.file);
      }
      break;
    default:
      console.error(usage);
      process.exitCode = 2;
  }
  client.close();
}

/** Returns the position in a file, or 0 if there is no file. */
function remembered(file: string): bigint {
  try {
    return BigInt(readFileSync(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return 0n;
  }
}

main().catch((error: ServiceError) => {
  console.error(`${status[error.code] ?? "error"}: ${error.details ?? error.message}`);
  process.exit(1);
});
