// A client from another ecosystem at a guarded node: TLS, a bearer token, and envelopes made from docs/protocol.md
// alone, with other implementations of Ed25519 and BLAKE2b.
//   access.js prepare FOLDER                      writes FOLDER/tokens and FOLDER/allow for api_server --access FOLDER
//   access.js FOLDER MODULES EXPORT TRANSACTIONS  checks, one line each; exit 1 when one failed
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const token = 'interop-token-0123456789';
const network = Buffer.alloc(32, 0x11); // api_server's
const seed = Buffer.alloc(32, 7);
const privateKey = crypto.createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
  format: 'der',
  type: 'pkcs8',
});
const publicKey = crypto.createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(12);

// ---- BLAKE2b-256 (RFC 7693), which Node does not have ------------------------------------------------------------

const words = (text) => text.trim().split(/\s+/).map((word) => BigInt(`0x${word}`));
const initial = words(`6a09e667f3bcc908 bb67ae8584caa73b 3c6ef372fe94f82b a54ff53a5f1d36f1
  510e527fade682d1 9b05688c2b3e6c1f 1f83d9abfb41bd6b 5be0cd19137e2179`);
const order = ['0123456789abcdef', 'ea489fd61c02b753', 'b8c052fdae367194', '7931dcbe265a40f8', '905724afe1bc683d',
  '2c6a0b834d75fe19', 'c51fed4a0763928b', 'db7ec13950f4862a', '6fe9b308c2d714a5', 'a2847615fb9e3cd0'];
const lanes = ['048c', '159d', '26ae', '37bf', '05af', '16bc', '278d', '349e'];
const cut = (value) => BigInt.asUintN(64, value);
const turn = (value, bits) => cut((value >> bits) | (value << (64n - bits)));

function compress(state, block, counted, last) {
  const message = Array.from({ length: 16 }, (_, i) => block.readBigUInt64LE(8 * i));
  const v = [...state, ...initial];
  v[12] ^= BigInt(counted);
  if (last) v[14] = cut(~v[14]);
  for (let round = 0; round < 12; round++) {
    lanes.forEach((lane, i) => {
      const [a, b, c, d] = [...lane].map((digit) => parseInt(digit, 16));
      const [x, y] = [...order[round % 10].slice(2 * i, 2 * i + 2)].map((digit) => message[parseInt(digit, 16)]);
      v[a] = cut(v[a] + v[b] + x);
      v[d] = turn(v[d] ^ v[a], 32n);
      v[c] = cut(v[c] + v[d]);
      v[b] = turn(v[b] ^ v[c], 24n);
      v[a] = cut(v[a] + v[b] + y);
      v[d] = turn(v[d] ^ v[a], 16n);
      v[c] = cut(v[c] + v[d]);
      v[b] = turn(v[b] ^ v[c], 63n);
    });
  }
  return state.map((word, i) => word ^ v[i] ^ v[i + 8]);
}

function digest(data) {
  let state = [initial[0] ^ 0x01010020n, ...initial.slice(1)];
  for (let at = 0; ; at += 128) {
    const last = at + 128 >= data.length;
    const block = Buffer.alloc(128);
    data.copy(block, 0, at, Math.min(at + 128, data.length));
    state = compress(state, block, last ? data.length : at + 128, last);
    if (!last) continue;
    const result = Buffer.alloc(64);
    state.forEach((word, i) => result.writeBigUInt64LE(word, 8 * i));
    return result.subarray(0, 32);
  }
}

// ---- the envelope ------------------------------------------------------------------------------------------------

function uint64(value) {
  const result = Buffer.alloc(8);
  result.writeBigUInt64LE(BigInt(value));
  return result;
}

function uleb(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}

function envelope(payload, nonce, expiry = Date.now() + 30000) {
  const body = Buffer.concat([Buffer.from([1]), network, publicKey, uint64(nonce), uint64(expiry), uleb(payload.length),
    payload]);
  return Buffer.concat([body, crypto.sign(null, Buffer.concat([Buffer.from([14, 0, 1]), digest(body)]), privateKey)]);
}

// ---- the checks --------------------------------------------------------------------------------------------------

let checks = 0;
let failures = 0;

function check(condition, text) {
  checks++;
  if (!condition) failures++;
  console.log(`${condition ? 'ok' : 'FAILED'}  ${text}`);
}

async function run(folder, modules, exportAddress, transactionsAddress) {
  const load = (name) => require(require.resolve(name, { paths: [path.resolve(modules)] }));
  const grpc = load('@grpc/grpc-js');
  const loader = load('@grpc/proto-loader');
  const proto = (file) => grpc.loadPackageDefinition(
    loader.loadSync(path.join(__dirname, file), { longs: Number, keepCase: true, defaults: true, enums: String }));
  const roots = fs.readFileSync(path.join(folder, 'server.pem'));
  const tls = grpc.credentials.createSsl(roots);
  const shown = (text) => grpc.credentials.combineChannelCredentials(tls,
    grpc.credentials.createFromMetadataGenerator((_, done) => {
      const metadata = new grpc.Metadata();
      metadata.set('authorization', `Bearer ${text}`);
      done(null, metadata);
    }));
  const { narwhal } = proto('seed/narwhal.proto');
  const { exporter } = proto('seed/exporter.proto');
  const open = (credentials) => new narwhal.Transactions(transactionsAddress, credentials);
  const submit = (client, transaction) => new Promise((resolve) => {
    client.SubmitTransaction({ transaction }, { deadline: Date.now() + 20000 },
      (error) => resolve(error || { code: 0, details: '' }));
  });
  const client = open(shown(token));
  const expect = async (what, wanted, who, transaction) => {
    const { code, details } = await submit(who, transaction);
    check(code === grpc.status[wanted], `${what}: ${grpc.status[code]} ${details}`);
  };
  const sizes = [1, 127, 128, 1000, 100000];
  for (let i = 0; i < sizes.length; i++)
    await expect(`${sizes[i]} bytes in an envelope`, 'OK', client, envelope(crypto.randomBytes(sizes[i]), 100000 + i));
  await expect('the same nonce again', 'ALREADY_EXISTS', client, envelope(Buffer.from('x'), 100001));
  await expect('a nonce below the window', 'ALREADY_EXISTS', client, envelope(Buffer.from('x'), 1));
  await expect('an expired envelope', 'FAILED_PRECONDITION', client, envelope(Buffer.from('x'), 100100, Date.now() - 1));
  await expect('an envelope far ahead', 'INVALID_ARGUMENT', client, envelope(Buffer.from('x'), 100100, Date.now() + 1e6));
  const broken = envelope(Buffer.from('x'), 100100);
  broken[broken.length - 1] ^= 1;
  await expect('a broken signature', 'UNAUTHENTICATED', client, broken);
  await expect('bare bytes', 'INVALID_ARGUMENT', client, Buffer.from('bare'));
  await expect('no token', 'UNAUTHENTICATED', open(tls), envelope(Buffer.from('x'), 100100));
  await expect('a wrong token', 'UNAUTHENTICATED', open(shown(`${token}x`)), envelope(Buffer.from('x'), 100100));
  await expect('no TLS', 'UNAVAILABLE', open(grpc.credentials.createInsecure()), envelope(Buffer.from('x'), 100100));
  const first = await new Promise((resolve) => {
    const call = new exporter.Exporter(exportAddress, shown(token)).Export({ from_id: 0 });
    call.on('data', (item) => { resolve(item.id); call.cancel(); });
    call.on('error', (error) => resolve(error.details));
  });
  check(first === 1, `Export with the token: ${first}`);
}

async function main(args) {
  if (args[0] === 'prepare') {
    fs.writeFileSync(path.join(args[1], 'tokens'), `interop ${token} read submit\n`, { mode: 0o600 });
    fs.writeFileSync(path.join(args[1], 'allow'), `interop ${publicKey.toString('hex')}\n`);
    return 0;
  }
  await run(...args);
  console.log(`${checks} checks of access, ${failures} failed`);
  return failures > 0 || checks < 15 ? 1 : 0;
}

main(process.argv.slice(2)).then((code) => process.exit(code));
