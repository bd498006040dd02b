// run_kernel.mjs FIXTURE_DIRECTORY: runs the packed kernel on the scenario in node's WebAssembly, with a host
// of its own (a flat map of paths), and compares the final durable state with what the C host library and the
// model came to. Prints instruction counts when the kernel counts them (kernel-cost).
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';

const REBOOT = '/kernel/env/reboot';
const REBOOTS_MAX = 1000;
const STORE_BYTES_MAX = 2048;
const PATH_BYTES_MAX = 240;
const PATH = /^(\/[A-Za-z0-9._-]+)+$/;
const CODE = { longPath: -1, badPath: -2, noValue: -3, badOffset: -4, memory: -6, tooLarge: -7, readonly: -9, noNode: -10 };

// Paths and values, nothing shared, nothing clever.
export class Storage {
  constructor() {
    this.values = new Map();
  }
  below(path) {
    return [...this.values.keys()].filter((key) => key === path || key.startsWith(path + '/'));
  }
  has(path) {
    const value = this.values.has(path) ? 1 : 0;
    return value + (this.below(path).length > value ? 2 : 0);
  }
  delete(path) {
    for (const key of this.below(path)) this.values.delete(key);
  }
  copy(from, to, move) {
    const found = this.below(from).map((key) => [key.slice(from.length), this.values.get(key)]);
    if (found.length === 0) return CODE.noNode;
    if (move) this.delete(from);
    this.delete(to);
    for (const [rest, value] of found) this.values.set(to + rest, value);
    return 0;
  }
  write(path, offset, data) {
    const old = this.values.get(path) ?? new Uint8Array(0);
    if (offset > old.length) return CODE.badOffset;
    const value = new Uint8Array(Math.max(old.length, offset + data.length));
    value.set(old);
    value.set(data, offset);
    this.values.set(path, value);
    return 0;
  }
  digest() {
    const hash = createHash('sha256');
    for (const key of [...this.values.keys()].sort()) {
      hash.update(`${key}=${Buffer.from(this.values.get(key)).toString('hex')}\n`);
    }
    return hash.digest('hex');
  }
}

export class Machine {
  constructor(wasm, address) {
    this.module = new WebAssembly.Module(wasm);
    this.address = address;
    this.storage = new Storage();
    this.storage.values.set('/kernel/boot.wasm', new Uint8Array(wasm));
    this.inbox = [];
    this.debug = '';
    this.onRun = () => {};
  }

  memory(at, length) {
    const buffer = this.instance.exports.memory.buffer;
    at >>>= 0;
    length >>>= 0;
    return at + length < buffer.byteLength ? new Uint8Array(buffer, at, length) : null;
  }

  // Calls `use` with the path, or answers the code that it deserves.
  path(at, length, writable, use) {
    if (length >>> 0 > PATH_BYTES_MAX) return CODE.longPath;
    const bytes = this.memory(at, length);
    if (bytes === null) return CODE.memory;
    const text = Buffer.from(bytes).toString('latin1');
    if (!PATH.test(text)) return CODE.badPath;
    if (writable && (text === '/readonly' || text.startsWith('/readonly/'))) return CODE.readonly;
    return use(text);
  }

  imports() {
    const storage = this.storage;
    return {
      read_input: (info, to, max) => {
        const message = this.inbox[this.next];
        if (message === undefined) return 0;
        const length = Math.min(message.length, max >>> 0, 4096);
        const target = this.memory(to, Math.min(max >>> 0, 4096));
        const fields = this.memory(info, 8);
        if (target === null || fields === null) return CODE.memory;
        new DataView(fields.buffer).setInt32(fields.byteOffset, this.level, true);
        new DataView(fields.buffer).setInt32(fields.byteOffset + 4, this.next, true);
        target.set(message.subarray(0, length));
        this.next++;
        return length;
      },
      write_debug: (at, length) => {
        this.debug += Buffer.from(this.memory(at, length)).toString('latin1');
      },
      store_has: (at, length) => this.path(at, length, false, (path) => storage.has(path)),
      store_delete: (at, length) =>
        this.path(at, length, true, (path) => {
          storage.delete(path);
          return 0;
        }),
      store_copy: (a, al, b, bl) =>
        this.path(a, al, false, (from) => this.path(b, bl, true, (to) => storage.copy(from, to, false))),
      store_move: (a, al, b, bl) =>
        this.path(a, al, true, (from) => this.path(b, bl, true, (to) => storage.copy(from, to, true))),
      store_value_size: (at, length) =>
        this.path(at, length, false, (path) => storage.values.get(path)?.length ?? CODE.noValue),
      store_read: (at, length, offset, to, max) =>
        this.path(at, length, false, (path) => {
          const value = storage.values.get(path);
          if (max >>> 0 > STORE_BYTES_MAX) return CODE.tooLarge;
          if (value === undefined) return CODE.noValue;
          if (offset >>> 0 >= value.length) return CODE.badOffset;
          const part = value.subarray(offset, offset + max);
          this.memory(to, max).set(part);
          return part.length;
        }),
      store_write: (at, length, offset, from, n) =>
        this.path(at, length, true, (path) => {
          if (n >>> 0 > STORE_BYTES_MAX) return CODE.tooLarge;
          return storage.write(path, offset >>> 0, this.memory(from, n).slice());
        }),
      reveal_preimage: () => CODE.noNode, // the scenario reveals nothing
      reveal_metadata: (to, max) => {
        const metadata = new Uint8Array(24);
        metadata.set(this.address);
        this.memory(to, max).set(metadata.subarray(0, Math.min(24, max)));
        return Math.min(24, max);
      },
    };
  }

  run() {
    this.instance = new WebAssembly.Instance(this.module, { smart_rollup_core: this.imports() });
    this.instance.exports.kernel_run();
    this.onRun(this.instance);
  }

  // A level with these external payloads. Traps end the run, not the level, as in the machine.
  runLevel(level, payloads) {
    const internal = (tag, length) => Uint8Array.from({ length }, (_, i) => (i === 1 ? tag : 0));
    this.level = level;
    this.next = 0;
    this.inbox = [internal(1, 2), internal(3, 42), ...payloads.map((p) => Uint8Array.from([1, ...p])), internal(2, 2)];
    for (let reboots = 0; ; reboots++) {
      this.storage.values.delete(REBOOT);
      try {
        this.run();
      } catch (error) {
        if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      }
      if (!this.storage.values.has(REBOOT) || reboots === REBOOTS_MAX) return;
    }
  }
}

export function loadFixture(directory) {
  const scenario = JSON.parse(readFileSync(join(directory, 'scenario.json'), 'utf8'));
  const levels = scenario.levels.map((level) => level.map((hex) => Buffer.from(hex, 'hex')));
  return { ...scenario, levels, address: Buffer.from(scenario.address, 'hex') };
}

function main() {
  const directory = process.argv[2];
  const { address, levels, state, applied } = loadFixture(directory);
  const machine = new Machine(readFileSync(join(directory, 'kernel.wasm')), address);
  levels.forEach((payloads, i) => machine.runLevel(100 + i, payloads));

  const expected = new Storage();
  for (const [path, hex] of Object.entries(state)) expected.values.set(path, Buffer.from(hex, 'hex'));
  const got = new Storage();
  for (const [path, value] of machine.storage.values) {
    if (!path.startsWith('/kernel/')) got.values.set(path, value);
  }
  if (got.digest() !== expected.digest()) {
    for (const path of new Set([...got.values.keys(), ...expected.values.keys()])) {
      const hex = (tree) => Buffer.from(tree.values.get(path) ?? 'none').toString('hex').slice(0, 80);
      if (hex(got) !== hex(expected)) console.error(`${path}: node ${hex(got)}, wasm2c ${hex(expected)}`);
    }
    console.error('the final durable states differ');
    process.exit(1);
  }
  if (got.values.size < 20 || applied < 10) throw new Error('the scenario is too short to tell anything');
  console.log(`${levels.length} levels, ${applied} pre-blocks applied, ${got.values.size} values, state ${got.digest()}`);
}

if (process.argv[1] === import.meta.filename || process.argv[1]?.endsWith('run_kernel.mjs')) main();
