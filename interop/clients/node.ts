// A client in Node: the Connect protocol, gRPC-Web and gRPC, over HTTP/1.1 and HTTP/2.
import { compressionGzip, createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { dialogue, observe, type Peers, unaryAndTail, uploads, withKey } from "../typescript/calls.ts";

// The arguments are the addresses, with their schemes, and the API key.
const [http, limitedHTTP, grpc, limitedGRPC, key] = process.argv.slice(2);

function peers(to: (baseUrl: string, key?: string) => Peers["withKey"], server = http, limited = limitedHTTP): Peers {
  return { withKey: to(server, key), withoutKey: to(server), limited: to(limited) };
}

const signed = (key?: string) => (key ? [withKey(key)] : []);
const options = (httpVersion: "1.1" | "2") => (baseUrl: string, key?: string) => ({
  baseUrl,
  httpVersion,
  interceptors: signed(key),
});
const [one, two] = [options("1.1"), options("2")];

const connectJSON = peers((url, key) => createConnectTransport({ ...one(url, key), useBinaryFormat: false }));
const connect = peers((url, key) => createConnectTransport({ ...two(url, key), useBinaryFormat: true, useHttpGet: true }));
const compressed = peers((url, key) => createConnectTransport({ ...two(url, key), sendCompression: compressionGzip, compressMinBytes: 0 }));
const web = peers((url, key) => createGrpcWebTransport({ ...one(url, key) }));
const webTwo = peers((url, key) => createGrpcWebTransport({ ...two(url, key) }));
const beside = peers((url, key) => createGrpcTransport({ ...two(url, key) }));
const native = peers((url, key) => createGrpcTransport({ ...two(url, key) }), grpc, limitedGRPC);

console.log(
  JSON.stringify(
    await observe({
      ...unaryAndTail("Connect with JSON", connectJSON),
      ...uploads("Connect with JSON", connectJSON),
      ...unaryAndTail("Connect", connect),
      ...uploads("Connect", connect),
      ...dialogue("Connect", connect),
      ...unaryAndTail("Connect with gzip", compressed),
      ...dialogue("Connect with gzip", compressed),
      ...unaryAndTail("gRPC-Web", web),
      ...uploads("gRPC-Web", web),
      ...dialogue("gRPC-Web over HTTP/2", webTwo),
      ...unaryAndTail("gRPC on the HTTP port", beside),
      ...uploads("gRPC on the HTTP port", beside),
      ...dialogue("gRPC on the HTTP port", beside),
      ...unaryAndTail("gRPC", native),
      ...uploads("gRPC", native),
      ...dialogue("gRPC", native),
    }),
  ),
);
process.exit(0);
