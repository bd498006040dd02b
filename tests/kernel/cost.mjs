// cost.mjs FIXTURE_DIRECTORY COUNTED_KERNEL.wasm: instructions of the kernel for the levels of cost.json, and the sum
// over all runs of each level. WebAssembly instructions, not ticks of the rollup's machine.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Machine } from './run_kernel.mjs';

const [directory, counted] = process.argv.slice(2);
const { address, levels } = JSON.parse(readFileSync(join(directory, 'cost.json'), 'utf8'));
const machine = new Machine(readFileSync(counted), Buffer.from(address, 'hex'));
// The code counts, the state is the packed kernel's.
machine.storage.values.set('/kernel/boot.wasm', new Uint8Array(readFileSync(join(directory, 'kernel_cost.wasm'))));

let runs = [];
machine.onRun = (instance) => runs.push(instance.exports.instructions.value);
const thousands = (n) => n.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ' ');
let idle = 0n;

levels.forEach(({ name, count, payloads }, i) => {
  runs = [];
  machine.runLevel(100 + i, payloads.map((hex) => Buffer.from(hex, 'hex')));
  const total = runs.reduce((sum, n) => sum + n, 0n);
  if (name.startsWith('level without')) idle = total;
  const each = count > 1 ? (total - idle) / BigInt(count) : total;
  console.log(`${thousands(each).padStart(14)}  ${name}`);
});
const accepted = Buffer.from(machine.storage.values.get('/accepted')).readBigUInt64BE();
const applied = Buffer.from(machine.storage.values.get('/index')).readBigUInt64BE();
if (accepted !== 25n || applied !== 1n) throw new Error(`accepted ${accepted}, applied ${applied}: nothing was measured`);
