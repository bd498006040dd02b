// A client from another ecosystem: @grpc/grpc-js with the two original .proto files, against a node's two
// gRPC ports. Prints one line per check and ends with a count; exit 1 when a check failed.
'use strict';
const crypto = require('crypto');
const net = require('net');
const path = require('path');

const usage = `usage: interop.js --export HOST:PORT --transactions HOST:PORT [--oldest N] [--stall-ms N]
  --oldest N    the node keeps pre-blocks from N on: below it must answer OUT_OF_RANGE
  --stall-ms N  the node cuts readers that stall after N ms: check it`;

function options() {
  const result = { oldest: '1', 'stall-ms': '0' };
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    console.log(usage);
    process.exit(0);
  }
  for (let i = 0; i < args.length; i += 2) {
    const name = args[i].replace(/^--/, '');
    if (!['export', 'transactions', 'oldest', 'stall-ms', 'modules'].includes(name) || i + 1 >= args.length) {
      console.error(usage);
      process.exit(2);
    }
    result[name] = args[i + 1];
  }
  if (!result.export || !result.transactions) {
    console.error(usage);
    process.exit(2);
  }
  return result;
}

const option = options();
const from = option.modules ? path.resolve(option.modules) : __dirname;
const load = (name) => require(require.resolve(name, { paths: [from] }));
const grpc = load('@grpc/grpc-js');
const loader = load('@grpc/proto-loader');
const insecure = grpc.credentials.createInsecure();
const settings = { longs: Number, keepCase: true, defaults: true, enums: String };
const proto = (folder, file) =>
  grpc.loadPackageDefinition(loader.loadSync(path.join(__dirname, folder, file), settings));

const seed = { narwhal: proto('seed', 'narwhal.proto').narwhal, exporter: proto('seed', 'exporter.proto').exporter };
const ours = proto('../../proto', 'dsn.proto').dsn;
const health = proto('../../proto', 'health.proto').grpc.health.v1;
const reflections = {
  v1: proto('../../proto', 'reflection.proto').grpc.reflection.v1,
  v1alpha: proto('../../proto', 'reflection_v1alpha.proto').grpc.reflection.v1alpha,
};
const transactions = new seed.narwhal.Transactions(option.transactions, insecure);
const exporter = new seed.exporter.Exporter(option.export, insecure);
const batches = new ours.Transactions(option.transactions, insecure);

let failures = 0;
let checks = 0;

function check(condition, text) {
  checks++;
  if (!condition) failures++;
  console.log(`${condition ? 'ok' : 'FAILED'}  ${text}`);
}

const soon = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A call, as a promise of {error, value}.
function unary(client, method, request) {
  return new Promise((resolve) => {
    client[method](request, { deadline: Date.now() + 20000 }, (error, value) => resolve({ error, value }));
  });
}

function clientStream(client, method, messages) {
  return new Promise((resolve) => {
    const call = client[method]({ deadline: Date.now() + 20000 }, (error, value) => resolve({ error, value }));
    call.on('error', () => {});
    for (const message of messages) call.write(message);
    call.end();
  });
}

// Follows Export from `from_id` until `enough(items)` or an error or the deadline.
function follow(from_id, enough, ms = 20000) {
  return new Promise((resolve) => {
    const items = [];
    const call = exporter.Export({ from_id });
    let over = false;
    const end = (error) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      call.cancel();
      resolve({ items, error });
    };
    const timer = setTimeout(() => end(null), ms);
    call.on('data', (item) => {
      if (over) return;
      items.push(item);
      if (enough(items)) end(null);
    });
    call.on('error', end);
    call.on('end', () => end(new Error('the stream ended')));
  });
}

const random = (size) => crypto.randomBytes(size);

function transactionsOf(subdag) {
  const result = [];
  for (const payload of subdag.payloads) for (const batch of payload.batches) result.push(...batch.transactions);
  return result;
}

// Waits until all of `wanted` (buffers) came by, from `from_id` on.
async function exported(from_id, wanted) {
  const missing = new Set(wanted.map((transaction) => transaction.toString('hex')));
  await follow(from_id, (items) => {
    for (const transaction of transactionsOf(items[items.length - 1])) missing.delete(transaction.toString('hex'));
    return missing.size === 0;
  });
  return missing.size === 0;
}

// The newest id, by a committed transaction of our own.
async function tip() {
  const { error, value } = await unary(batches, 'SubmitAndWait', { transaction: random(32), level: 3 });
  if (error) throw error;
  return value.index;
}

async function submission() {
  const start = await tip();
  const one = random(100);
  let result = await unary(transactions, 'SubmitTransaction', { transaction: one });
  check(!result.error, 'SubmitTransaction is answered');
  const many = Array.from({ length: 500 }, () => random(200));
  result = await clientStream(transactions, 'SubmitTransactionStream', many.map((transaction) => ({ transaction })));
  check(!result.error, 'SubmitTransactionStream of 500 is answered');
  const batched = Array.from({ length: 1000 }, () => random(64));
  const messages = [];
  for (let i = 0; i < 1000; i += 100) messages.push({ transactions: batched.slice(i, i + 100) });
  result = await clientStream(batches, 'SubmitBatch', messages);
  check(!result.error && result.value.accepted === 1000 && result.value.bytes === 64000,
    'SubmitBatch counts 1000 transactions and their bytes');
  check(await exported(start, [one, ...many, ...batched]), 'all of them are exported');

  for (const [level, name] of [[0, 'LEVEL_CERTIFIED'], [1, 'LEVEL_ACCEPTED'], [2, 'LEVEL_CERTIFIED'], [3, 'LEVEL_COMMITTED']]) {
    const transaction = random(48);
    result = await unary(batches, 'SubmitAndWait', { transaction, level });
    const order = ['LEVEL_DEFAULT', 'LEVEL_ACCEPTED', 'LEVEL_CERTIFIED', 'LEVEL_COMMITTED'];
    check(!result.error && order.indexOf(result.value.level) >= order.indexOf(name) && result.value.digest.length === 32,
      `SubmitAndWait reaches ${name}`);
    if (level !== 3) continue;
    const { index, position, digest } = result.value;
    const { items } = await follow(index - 1, () => true);
    const found = transactionsOf(items[0])[position];
    check(items[0].id === index && found && found.equals(transaction), 'the receipt names pre-block and position');
    const infos = items[0].certificates.flatMap((certificate) => certificate.header.payload_info);
    check(infos.some((info) => info.digest.equals(digest)), 'the receipt names the batch');
  }
}

// Two batches of equal bytes have one digest: both submitters must be answered all the same.
async function repetition() {
  for (const level of [1, 2, 3]) {
    const transaction = random(20);
    for (let i = 0; i < 2; i++) {
      const { error } = await unary(batches, 'SubmitAndWait', { transaction, level });
      check(!error, `equal transaction, time ${i + 1}, is answered at level ${level}`);
    }
    const both = await Promise.all([0, 1].map(() => unary(batches, 'SubmitAndWait', { transaction, level })));
    check(both.every(({ error }) => !error), `equal transactions at once are answered at level ${level}`);
  }
}

async function following() {
  const oldest = Number(option.oldest);
  const end = await tip();
  const history = await follow(oldest - 1, (items) => items.length >= end - oldest + 1);
  check(history.items.every((item, i) => item.id === oldest + i) && history.items.length === end - oldest + 1,
    `Export from ${oldest - 1} gives ${oldest} to ${end}, dense`);
  check(history.items.every((item) => item.leader && item.certificates.length >= 1 &&
      item.payloads.length === item.certificates.length &&
      item.certificates[item.certificates.length - 1].header.round === item.leader.header.round),
  'each has its leader last and a payload for each certificate');
  check(history.items.every((item) => item.certificates.every((c) => c.signature.length === 64 * c.signers.length)),
    'a signature of 64 bytes for each signer');
  const middle = Math.max(oldest, Math.floor((oldest + end) / 2));
  const rest = await follow(middle, (items) => items[items.length - 1].id >= end);
  check(rest.items.length > 0 && rest.items[0].id === middle + 1, `Export from the middle begins at ${middle + 1}`);

  // Past the end: quiet until the sequence gets there, then exactly that id. Submit until it does.
  const target = (await tip()) + 3;
  let first = null;
  const waiting = follow(target, (items) => { first = first || items[0]; return true; }, 30000);
  for (let i = 0; i < 200 && !first; i++) {
    await tip();
  }
  await waiting;
  check(first && first.id === target + 1, 'Export past the end waits, then begins at the right id');
  if (oldest > 1) {
    const { error, items } = await follow(oldest - 2, () => true);
    check(error && error.code === grpc.status.OUT_OF_RANGE && error.details.includes(String(oldest)) && !items.length,
      'below the history: OUT_OF_RANGE naming the oldest id');
  }
}

async function refusals() {
  let { error } = await unary(transactions, 'SubmitTransaction', { transaction: Buffer.alloc(0) });
  check(error && error.code === grpc.status.INVALID_ARGUMENT, 'empty transaction: INVALID_ARGUMENT');
  ({ error } = await unary(transactions, 'SubmitTransaction', { transaction: Buffer.alloc(256 * 1024 + 1) }));
  check(error && error.code === grpc.status.INVALID_ARGUMENT && error.details.includes('262144'),
    'over-size transaction: INVALID_ARGUMENT naming the limit');
  ({ error } = await unary(transactions, 'SubmitTransaction', { transaction: Buffer.alloc(256 * 1024) }));
  check(!error, 'the largest transaction is taken');
  ({ error } = await unary(transactions, 'SubmitTransaction', { transaction: Buffer.alloc(6 << 20) }));
  check(error && error.code === grpc.status.RESOURCE_EXHAUSTED, 'over-size message: RESOURCE_EXHAUSTED');
  ({ error } = await clientStream(transactions, 'SubmitTransactionStream',
    [{ transaction: random(10) }, { transaction: Buffer.alloc(0) }, { transaction: random(10) }]));
  check(error && error.code === grpc.status.INVALID_ARGUMENT, 'empty transaction in a stream: INVALID_ARGUMENT');
  ({ error } = await unary(batches, 'SubmitAndWait', { transaction: random(5), level: 7 }));
  check(error && error.code === grpc.status.INVALID_ARGUMENT, 'unknown level: INVALID_ARGUMENT');

  const raw = new grpc.Client(option.transactions, insecure);
  for (const method of ['/narwhal.Transactions/NoSuchMethod', '/no.such.Service/Method', '/exporter.Exporter/Export']) {
    const unknown = await new Promise((resolve) => raw.makeUnaryRequest(method, (x) => x, (x) => x, Buffer.alloc(0),
      { deadline: Date.now() + 5000 }, (e) => resolve(e)));
    check(unknown && unknown.code === grpc.status.UNIMPLEMENTED, `${method}: UNIMPLEMENTED`);
  }
  const garbage = await new Promise((resolve) => raw.makeUnaryRequest('/narwhal.Transactions/SubmitTransaction',
    (x) => x, (x) => x, Buffer.from([0x0a, 0xff, 0xff]), { deadline: Date.now() + 5000 }, (e) => resolve(e)));
  check(garbage && garbage.code === grpc.status.INVALID_ARGUMENT, 'bytes that are no message: INVALID_ARGUMENT');
  raw.close();
}

// Connections that are cut or talk nonsense must not disturb others.
async function rudeness() {
  const [host, port] = option.transactions.split(':');
  for (const noise of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), random(4000), Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')]) {
    await new Promise((resolve) => {
      const socket = net.connect(Number(port), host, () => {
        socket.write(noise, () => { socket.resetAndDestroy(); resolve(); });
      });
      socket.on('error', resolve);
    });
  }
  for (let i = 0; i < 5; i++) {
    const client = new seed.narwhal.Transactions(option.transactions, insecure, { 'grpc.use_local_subchannel_pool': 1 });
    const call = client.SubmitTransactionStream(() => {});
    call.on('error', () => {});
    for (let j = 0; j < 50; j++) call.write({ transaction: random(1000) });
    await soon(5 * i);
    client.close();
    call.cancel();
    const stream = exporter.Export({ from_id: Number(option.oldest) - 1 });
    stream.on('error', () => {});
    stream.cancel();
  }
  const { error } = await unary(transactions, 'SubmitTransaction', { transaction: random(10) });
  check(!error, 'connections that were cut did not disturb others');
}

async function healthAndReflection() {
  for (const [address, service] of [[option.export, 'exporter.Exporter'], [option.transactions, 'narwhal.Transactions'],
    [option.transactions, 'dsn.Transactions']]) {
    const client = new health.Health(address, insecure);
    for (const name of ['', service]) {
      const { error, value } = await unary(client, 'Check', { service: name });
      check(!error && value.status === 'SERVING', `health of "${name}" is SERVING`);
    }
    const { error } = await unary(client, 'Check', { service: 'no.such.Service' });
    check(error && error.code === grpc.status.NOT_FOUND, 'health of an unknown service: NOT_FOUND');
    const watched = await new Promise((resolve) => {
      const call = client.Watch({ service });
      call.on('data', (value) => { resolve(value.status); call.cancel(); });
      call.on('error', () => resolve('error'));
    });
    check(watched === 'SERVING', `health watch of ${service} begins with SERVING`);
    client.close();

    for (const [version, definition] of Object.entries(reflections)) {
      const reflection = new definition.ServerReflection(address, insecure);
      const call = reflection.ServerReflectionInfo();
      const answers = [];
      const done = new Promise((resolve) => {
        call.on('data', (answer) => { answers.push(answer); });
        call.on('end', resolve);
        call.on('error', resolve);
      });
      call.write({ list_services: '' });
      call.write({ file_containing_symbol: service });
      call.write({ file_containing_symbol: 'no.such.Symbol' });
      call.end();
      await done;
      const names = answers[0] && answers[0].list_services_response.service.map((entry) => entry.name);
      check(names && names.includes(service) && names.includes('grpc.health.v1.Health'), `reflection ${version} lists ${service}`);
      const bytes = answers[1] && answers[1].file_descriptor_response && answers[1].file_descriptor_response.file_descriptor_proto[0];
      let described = false;
      if (bytes) {
        // A FileDescriptorSet with this one file in field 1.
        const head = [0x0a];
        for (let rest = bytes.length; ; rest >>= 7) {
          head.push(rest > 127 ? (rest & 127) | 128 : rest);
          if (rest <= 127) break;
        }
        const loaded = loader.loadFileDescriptorSetFromBuffer(Buffer.concat([Buffer.from(head), bytes]), settings);
        described = service in loaded && Object.keys(loaded[service]).length >= 1;
      }
      check(described, `reflection ${version} describes ${service}`);
      check(answers[2] && answers[2].error_response && answers[2].error_response.error_code === 5,
        `reflection ${version}: unknown symbol NOT_FOUND`);
      reflection.close();
    }
  }
}

async function stalling() {
  const stall = Number(option['stall-ms']);
  if (!stall) return;
  const start = await tip();
  const call = exporter.Export({ from_id: start - 1 });
  const ended = new Promise((resolve) => call.on('error', resolve));
  // grpc-js stops reading the connection only once it has handed out a message.
  await new Promise((resolve) => call.once('data', () => { call.pause(); resolve(); }));
  const filler = Array.from({ length: 16 }, () => random(200000));
  for (let i = 0; i < 8; i++) await clientStream(transactions, 'SubmitTransactionStream', filler.map((transaction) => ({ transaction })));
  await soon(3 * stall);
  call.on('data', () => {});
  call.resume();
  const error = await Promise.race([ended, soon(20000)]);
  check(error && error.code === grpc.status.RESOURCE_EXHAUSTED && /last id sent is \d+/.test(error.details),
    'a reader that stalls is cut with RESOURCE_EXHAUSTED naming the last id');
}

(async () => {
  for (const part of [submission, repetition, following, refusals, rudeness, healthAndReflection, stalling]) await part();
  console.log(`${checks - failures} passed, ${failures} failed`);
  process.exit(failures ? 1 : 0);
})().catch((error) => {
  console.log(`FAILED  ${error.stack}`);
  process.exit(1);
});
