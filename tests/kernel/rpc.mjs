// rpc.mjs DSN_ROLLUP FIXTURE_DIRECTORY: the local rollup node through its RPC, as a sequencer sees it. Posts the
// messages of the scenario until all is applied, kills the node with SIGKILL on the way and starts it again, and
// compares the state with what the model said. Everything on loopback, on a free port, in a directory of its own.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';

const [program, fixture] = process.argv.slice(2);
const scenario = JSON.parse(readFileSync(join(fixture, 'scenario.json'), 'utf8'));
const kernel = join(fixture, 'kernel.wasm');
const directory = mkdtempSync(join(tmpdir(), 'dsn-rollup-'));
const DEADLINE_MS = 60000;
let base;
let node;
let blockTime = '50ms';

// Starts the node and waits for the line that names its port.
function start(...flags) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['--data-dir', join(directory, 'data'), '--rpc-port', '0', '--block-time', blockTime,
      '--rollup-address', 'sr1RYurGZtN8KNSpkMcCt9CgWeUaNkzsAfXf', '--batching-keys', '16', ...flags]);
    let log = '';
    child.stderr.on('data', (text) => {
      log += text;
      const port = /RPC on port (\d+)/.exec(log);
      if (port !== null) {
        base = `http://127.0.0.1:${port[1]}`;
        resolve(child);
      }
    });
    child.on('exit', (code) => reject(new Error(`dsn-rollup ended with ${code}: ${log}`)));
  });
}

const exited = (child) => new Promise((resolve) => child.on('exit', (code, signal) => resolve(signal ?? code)));

async function get(path, status = 200) {
  const answer = await fetch(base + path);
  const body = await answer.json();
  assert.equal(answer.status, status, `${path}: ${JSON.stringify(body)}`);
  return body;
}

async function post(messages, query = '?drop_duplicate=true') {
  const answer = await fetch(`${base}/local/batcher/injection${query}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(messages) });
  return { status: answer.status, body: await answer.json() };
}

const value = (key, block = 'head') => get(`/global/block/${block}/durable/wasm_2_0_0/value?key=${key}`);

async function until(what, condition) {
  for (const end = Date.now() + DEADLINE_MS; Date.now() < end;) {
    const result = await condition();
    if (result) return result;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`no ${what} within ${DEADLINE_MS} ms`);
}

const index = async () => Number(BigInt('0x' + ((await value('/index')) ?? '0')));
const level = () => get('/global/tezos_level');

// The scenario's messages are for another rollup address than this one: put ours in the frame.
const ours = Buffer.from('d601f22256d2ad1faec0c64374e527c6e62f2e5a', 'hex').toString('hex');
const reframe = (hex) => (hex.slice(2, 42) === scenario.address ? hex.slice(0, 2) + ours + hex.slice(42) : hex);
// An empty message cannot be posted; everything else of the scenario is, junk included.
const messages = scenario.levels.flat().filter((hex) => hex.length > 0).map(reframe);

async function testRefusals() {
  assert.equal(await get('/global/smart_rollup_address'), 'sr1RYurGZtN8KNSpkMcCt9CgWeUaNkzsAfXf');
  await get('/global/block/123456789/hash', 500);
  await get('/global/block/nonsense/hash', 500);
  await get('/global/block/head/durable/wasm_2_0_0/value?key=a//b', 500);
  await get('/nowhere', 404);
  assert.equal(await value('/nothing/here'), null);
  assert.equal((await post(['00'.repeat(4095)])).status, 200);
  for (const bad of [['00'.repeat(4096)], ['0'], ['zz'], [''], [1], {}]) {
    const { status, body } = await post(bad);
    assert.equal(status, 500, JSON.stringify(bad).slice(0, 40));
    assert.equal(body[0].kind, 'temporary');
  }
  assert.equal((await post(['00'], '?order=x')).status, 500);
}

async function testMessageLife() {
  const [id] = (await post(['00aabb'])).body;
  assert.match(id, /^scmsg[1-9A-HJ-NP-Za-km-z]{50}$/);
  assert.deepEqual((await post(['00aabb'])).body, [id]);
  const status = await until('inclusion', async () => {
    const known = await get(`/local/batcher/queue/${id}`);
    assert.ok(['pending_batch', 'injected', 'included'].includes(known.status), known.status);
    return known.status === 'included' && known.finalized ? known : null;
  });
  assert.equal(status.content, '00aabb');
  assert.equal(await get(`/global/block/${status.layer1.block_hash}/level`), status.layer1.level);
  const unknown = 'scmsg39gZ57B4rQJJgBMRkykvEFje7kYHWxM2onMJXr7JDpZ7f7opeK';
  assert.equal((await get(`/local/batcher/queue/${unknown}`)).status, 'unknown');
}

// Three blocks from the stream: consecutive, each naming the one before.
async function testMonitor() {
  const answer = await fetch(`${base}/global/monitor_blocks`);
  let text = '';
  for await (const chunk of answer.body) {
    text += Buffer.from(chunk).toString();
    if (text.split('\n').length > 4) break;
  }
  const blocks = text.split('\n').slice(0, 3).map((line) => JSON.parse(line));
  for (let i = 1; i < blocks.length; i++) {
    assert.equal(blocks[i].level, blocks[i - 1].level + 1);
    assert.equal(blocks[i].predecessor, blocks[i - 1].block_hash);
  }
  assert.equal(await get(`/global/block/${blocks[2].level}/hash`), blocks[2].block_hash);
}

async function restart(signal) {
  const before = { level: await level(), index: await index() };
  const [hash, state] = await Promise.all(['hash', 'state_hash'].map((what) => get(`/global/block/${before.level}/${what}`)));
  node.removeAllListeners('exit');
  const end = exited(node);
  node.kill(signal);
  assert.equal(await end, signal === 'SIGKILL' ? 'SIGKILL' : 0);
  node = await start();
  assert.ok((await level()) >= before.level, 'the head went back');
  assert.ok((await index()) >= before.index, 'applied pre-blocks are gone');
  assert.equal(await get(`/global/block/${before.level}/hash`), hash);
  assert.equal(await get(`/global/block/${before.level}/state_hash`), state);
  return before.index;
}

// Posts everything again and again, as a sequencer does with what the state does not show; kills in between, but not
// for ever: where posting is faster than blocks come, each of them takes all that was posted.
async function testScenario() {
  const restarts = [];
  for (let round = 0; (await index()) < scenario.applied; round++) {
    assert.ok(round < 40, 'the scenario does not end');
    for (let at = 0; at < messages.length; at += 300) {
      const { status, body } = await post(messages.slice(at, at + 300), '?drop_duplicate=false');
      assert.equal(status, 200, JSON.stringify(body).slice(0, 200));
      // While messages wait, are in operations and are being applied: what was waiting is lost.
      if (at % 600 === 300 && round < 10) restarts.push(await restart(restarts.length % 2 === 0 ? 'SIGKILL' : 'SIGTERM'));
    }
    await until('empty queue', async () => (await get('/local/batcher/queue')).length === 0);
    const now = await level();
    await until('two more blocks', async () => (await level()) > now + 1);
  }
  assert.ok(restarts.length >= 2 && restarts.at(-1) > 0, `restarts with ${restarts} applied`);
  for (const [path, hex] of Object.entries(scenario.state)) {
    assert.equal(await value(path), hex, path);
  }
  assert.deepEqual(await get('/global/block/head/durable/wasm_2_0_0/subkeys?key=/pages'), []);
  assert.ok((await get('/global/block/head/durable/wasm_2_0_0/subkeys?key=/blocks')).length === scenario.applied);
}

// A last record cut short is a crash while writing: one block is lost, no more, and the node goes on.
async function testTornWrite() {
  node.removeAllListeners('exit');
  const end = exited(node);
  node.kill('SIGKILL');
  await end;
  const log = join(directory, 'data', 'rollup.log');
  truncateSync(log, statSync(log).size - 7);
  node = await start();
  assert.equal(await index(), scenario.applied);
}

// Wrong input: one line that names what is wrong, and exit code 2 or 1.
async function testWrongInput() {
  const run = async (...flags) => {
    const child = spawn(program, flags);
    let text = '';
    child.stderr.on('data', (part) => (text += part));
    const code = await exited(child);
    assert.equal(text.trim().split('\n').length, 1, text);
    return [code, text];
  };
  const data = join(directory, 'data');
  const cases = [
    [1, data, ['--data-dir', data]], // in use
    [2, '--kernel', ['--data-dir', join(directory, 'new')]],
    [2, '/nowhere/k.wasm', ['--data-dir', join(directory, 'new'), '--kernel', '/nowhere/k.wasm']],
    [2, 'scenario.json', ['--data-dir', join(directory, 'new'), '--kernel', join(fixture, 'scenario.json')]],
    [2, '--rollup-address', ['--data-dir', join(directory, 'new'), '--kernel', kernel, '--rollup-address', 'sr1x']],
    [2, 'block-time', ['--block-time', 'soon']],
    [2, '--faults: delay: expected PERCENT%:LEVELS', ['--faults', 'delay=5%']],
    [2, '--faults: reorg: expected PERCENT%:BLOCKS with BLOCKS from 1 to 2', ['--faults', 'reorg=5%:3']],
    [2, '--preimages-endpoint', ['--data-dir', join(directory, 'new'), '--kernel', kernel, '--preimages-endpoint', 'ftp://x']],
    [1, new URL(base).port, ['--data-dir', join(directory, 'other'), '--kernel', kernel, '--rpc-port', new URL(base).port]],
  ];
  for (const [code, named, flags] of cases) {
    const [got, text] = await run(...flags);
    assert.equal(got, code, text);
    assert.ok(text.includes(named), `${named} is not named: ${text}`);
  }
}

// ---- faults on purpose

async function admin(path, body, status = 200) {
  const answer = await fetch(`${base}/admin/${path}`, body === undefined ? {} : { method: 'POST', body });
  assert.equal(answer.status, status, `/admin/${path} ${body}`);
  return answer.json();
}

const levelsPass = async (count) => {
  const now = await level();
  await until(`${count} levels`, async () => (await level()) >= now + count);
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const raw = (path) => fetch(base + path);

async function testFaultsAreSet() {
  const list = 'drop=10%,delay=20%:3,hang=1%:5,seed=7';
  assert.equal((await admin('faults')).faults, '');
  assert.equal((await admin('faults', `${list}\n`)).faults, list);
  for (const [bad, named] of [['drop=10', 'drop: '], ['reorg=1%:3', 'older blocks are final'], ['x'.repeat(256), 'a line']]) {
    assert.ok((await admin('faults', bad, 400)).message.includes(named), bad);
    assert.equal((await admin('faults')).faults, list);
  }
  assert.equal((await admin('faults', '')).faults, '');
}

// Blocks are undone and others take their place; what was final stays; a restart knows the new ones.
async function testReorg() {
  for (const levels of ['0', '3', '', 'x', '11']) {
    assert.ok((await admin(`reorg?levels=${levels}`, '', 400)).message.startsWith('levels: '), levels);
  }
  for (const levels of [1, 2, 2, 1]) {
    await levelsPass(4);
    const before = await level();
    const at = async (n) => [await get(`/global/block/${n}/hash`), await get(`/global/block/${n}/state_hash`)];
    const old = [await at(before - 2), await at(before - 1), await at(before)];
    const final = await get('/global/block/finalized/level');
    const head = await admin(`reorg?levels=${levels}`, '');
    assert.ok(head.level >= before - levels, `${before} undone to ${head.level}`);
    assert.ok((await get('/global/block/finalized/level')) >= final, 'finalized went back');
    if (head.level <= before) assert.deepEqual(await at(head.level), old[head.level - before + 2]);
    await until('other blocks', async () => (await level()) > Math.max(before, head.level));
    for (let n = head.level + 1; n <= before; n++) {
      const [hash] = old[n - before + 2];
      assert.notEqual(await get(`/global/block/${n}/hash`), hash);
      await get(`/global/block/${hash}/level`, 500);
    }
    const header = await get(`/global/block/${head.level + 1}`);
    assert.equal(header.predecessor, head.block_hash);
    await restart(levels === 1 ? 'SIGKILL' : 'SIGTERM');
    assert.equal(await get(`/global/block/${head.level + 1}/hash`), header.block_hash);
  }
  // What is final, or was there at the start, cannot be undone.
  await levelsPass(4);
  await admin('reorg?levels=2', '');
  const tried = await fetch(`${base}/admin/reorg?levels=2`, { method: 'POST' });
  assert.ok(tried.status === 400 || (await level()) > 2, 'two blocks undone below the final one');
  assert.ok((await admin('faults')).counts.blocks_undone >= 2);
}

// A message included in an undone block waits again or is lost, and is not said to be included.
async function testUndoneMessages() {
  const fates = new Set();
  for (let n = 0; n < 40 && fates.size < 2; n++) {
    await levelsPass(1);
    const content = `00eeee${n.toString(16).padStart(4, '0')}`;
    const [id] = (await post([content])).body;
    const status = async () => (await get(`/local/batcher/queue/${id}`)).status;
    await until('inclusion', async () => (await status()) === 'included');
    const before = (await admin('faults')).counts;
    const answer = await fetch(`${base}/admin/reorg?levels=2`, { method: 'POST' });
    if (answer.status !== 200) continue; // final already
    const after = (await admin('faults')).counts;
    if (after.undone_operations_lost > before.undone_operations_lost) {
      await levelsPass(3);
      assert.equal(await status(), 'injected');
      fates.add('lost');
    } else if (after.undone_operations_returned > before.undone_operations_returned) {
      await until('inclusion again', async () => (await status()) === 'included');
      fates.add('returned');
    }
  }
  assert.equal(fates.size, 2, `fates of undone messages: ${[...fates]}`);
}

// Posts a message; its id when the block that includes it has accepted something by it.
async function postAndSee(message) {
  const before = await value('/accepted');
  const [id] = (await post([message], '?drop_duplicate=false')).body;
  await until('inclusion', async () => (await get(`/local/batcher/queue/${id}`)).status === 'included');
  return (await value('/accepted')) === before ? null : id;
}

// Segments of the scenario that the kernel accepts one after the other.
async function goodSegments(count) {
  const good = [];
  blockTime = '20ms';
  node = await start('--kernel', kernel, '--data-dir', join(directory, 'good'));
  await until('installed kernel', () => value('/accepted'));
  for (const message of messages.filter((hex) => hex.slice(42, 44) === '01')) {
    if (good.length < count && (await postAndSee(message))) good.push(message);
  }
  await stop();
  assert.equal(good.length, count);
  return good;
}

// When all that an undone block held is lost, the state is what it was before, and stays so.
async function testUndoneState() {
  const segments = await goodSegments(5);
  blockTime = '250ms'; // to be in time with a reorg
  node = await start('--kernel', kernel, '--data-dir', join(directory, 'undone'));
  await until('installed kernel', () => value('/accepted'));
  let lost = false;
  for (const segment of segments) {
    const before = await value('/accepted');
    const id = await postAndSee(segment);
    assert.ok(id, 'a good segment is accepted again');
    // Undone until it is lost, or too old to be undone.
    for (let n = 0; n < 30 && !lost; n++) {
      const status = await get(`/local/batcher/queue/${id}`);
      const depth = (await level()) - status.layer1.level + 1;
      const { counts } = await admin('faults');
      const answer = await fetch(`${base}/admin/reorg?levels=${depth}`, { method: 'POST' });
      const after = (await admin('faults')).counts;
      if (answer.status !== 200) break;
      if (after.undone_operations_lost > counts.undone_operations_lost) {
        await levelsPass(3);
        assert.equal(await value('/accepted'), before, 'the state of an undone block is still there');
        lost = true;
      } else {
        await until('acceptance again', async () => (await value('/accepted')) !== before);
      }
    }
    if (lost) break;
  }
  assert.ok(lost, 'no segment was undone and lost');
  await stop();
  blockTime = '50ms';
}

async function testErrorsAndHangs() {
  const contents = Array.from({ length: 12 }, (_, n) => `00dddd${n.toString(16).padStart(2, '0')}`);
  await admin('faults', 'error=100%');
  for (const path of ['/global/tezos_level', '/health', '/global/monitor_blocks']) assert.equal((await raw(path)).status, 500);
  for (const content of contents) assert.equal((await post([content])).status, 500);
  const { counts } = await admin('faults', '');
  const done = counts.injections_done_and_answered_500;
  assert.ok(done > 0 && counts.injections_refused > 0, JSON.stringify(counts));
  await levelsPass(3);
  let known = 0;
  for (const content of contents) {
    const [id] = (await post([content])).body;
    if ((await get(`/local/batcher/queue/${id}`)).status === 'included') known++;
  }
  assert.equal(known, done, 'what was done although 500 was answered');

  await admin('faults', 'hang=100%:300');
  const begun = Date.now();
  await level();
  assert.ok(Date.now() - begun >= 290, 'answered at once');
  // A client that does not wait: what it asked for happens all the same.
  const left = AbortSignal.timeout(50);
  await assert.rejects(fetch(`${base}/local/batcher/injection?drop_duplicate=true`,
    { method: 'POST', body: '["00cccc"]', signal: left }));
  await sleep(400);
  await admin('faults', '');
  await levelsPass(3);
  const [id] = (await post(['00cccc'])).body;
  assert.equal((await get(`/local/batcher/queue/${id}`)).status, 'included');
  // And the end does not wait for answers that are held back.
  await admin('faults', 'hang=100%:60000');
  const held = raw('/health').catch(() => 'cut');
  await sleep(100);
  assert.ok((await admin('faults')).counts.reads_hung >= 2);
  await stop();
  assert.equal(await held, 'cut');
}

// Mode reveal: pages come from an endpoint that at first does not have them, then lies, then answers.
async function testReveal() {
  const { segments, pages } = JSON.parse(readFileSync(join(fixture, 'reveal.json'), 'utf8'));
  let mood = 'none';
  const asked = { none: 0, lies: 0, good: 0 };
  const server = createServer((request, response) => {
    const page = pages[request.url.replace('/preimages/', '')];
    asked[mood]++;
    if (mood === 'none' || page === undefined) {
      response.writeHead(404).end();
    } else {
      response.writeHead(200).end(Buffer.from(mood === 'lies' ? 'ff' + page.slice(2) : page, 'hex'));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  node = await start('--kernel', join(fixture, 'reveal.wasm'), '--data-dir', join(directory, 'reveal'),
    '--preimages-endpoint', `http://127.0.0.1:${server.address().port}/preimages/`);
  await until('installed kernel', () => value('/accepted'));
  assert.equal((await post(segments.map(reframe))).status, 200);
  await until('a question', () => asked.none > 0);
  assert.equal(await index(), 0); // and the RPC answers while the level waits
  mood = 'lies';
  await until('another question', () => asked.lies > 0);
  assert.equal(await index(), 0);
  mood = 'good';
  await until('all applied', async () => (await index()) === segments.length);
  assert.ok(readdirSync(join(directory, 'reveal', 'preimages')).length > 20);
  server.close();
  await stop();
}

async function stop() {
  node.removeAllListeners('exit');
  const end = exited(node);
  node.kill('SIGTERM');
  assert.equal(await end, 0);
}

async function main() {
  node = await start('--kernel', kernel);
  await until('installed kernel', () => value('/accepted'));
  await testRefusals();
  await testMessageLife();
  await testMonitor();
  await testWrongInput();
  await testScenario();
  await testTornWrite();
  await testFaultsAreSet();
  await testReorg();
  await testUndoneMessages();
  await testErrorsAndHangs();
  await testUndoneState();
  await testReveal();
  console.log(`${messages.length} messages, ${scenario.applied} pre-blocks applied, restarts survived`);
}

let failed = false;
try {
  await main();
} catch (error) {
  console.error(error);
  failed = true;
}
if (node?.exitCode === null) node.kill('SIGKILL');
rmSync(directory, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
