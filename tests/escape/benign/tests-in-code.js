// expect: ok
// test: assert.strictEqual(add(2, 3), 5);
// test: assert.deepStrictEqual(mapper([1, 2], x => x * 10), [10, 20]);
// test: const a = [3, 1, 2]; sortIn(a); assert.deepEqual(a, [1, 2, 3]);
// test: assert.throws(fails, Bad); assert.throws(fails, { code: 7 }); assert.throws(fails, /no/);
// test: assert.deepEqual([...gen()], [1, 2]);
// test: assert.equal(table.f(2), 3);
// test: assert.equal(require('./main').add(1, 1), 2);
// test: assert.equal(await later(4), 8);
// test: await assert.rejects(later(-1), RangeError);
// test: await assert.rejects(atOnce(), RangeError); assert.equal(add(1, 1), 2)
// test: later(3).then(v => assert.equal(v, 6));
// test: const logs = [], old = console.log; console.log = (...x) => logs.push(x); hello(); console.log = old; assert.deepEqual(logs, [['hello', [1]]])
// test: let n = 0; const d = debounce(() => n++, 200); d(); d(); await new Promise(r => setTimeout(r, 600)); assert.equal(n, 1)
// test: const s = new Stack(); s.push(1).push(2); assert(s instanceof Stack); assert.equal(s.size, 2); assert.deepEqual([...s], [1, 2]); assert.deepEqual(s.items, [1, 2])
// test: const e = emitter(); let got = 0; e.on('x', v => { got = v; }); e.emit('x', 4); assert.equal(got, 4)
// test: const m = { n: 0, hit() { return ++this.n; } }; assert.deepEqual(useMock(m), [1, 2]); assert.equal(m.n, 2)
// test: const it = ids(); assert.equal(it.next().value, 1); assert.equal(it.next().value, 2)
// test: for await (const x of ag()) assert.equal(x, 1)
// test: const o = cyc(); assert.equal(o.self.self.v, 1); assert.ok(Object.is(nz(), -0) && Number.isNaN(nan()))
// test: new Promise((ok, no) => cb2((e, v) => e ? no(e) : ok(v))).then(v => assert.equal(v, 9))
// test: cb2((e, v) => assert.equal(v, 9)); setTimeout(() => cb2((e, v) => assert.equal(v, 9)), 20)
// test: const a = [1], o = { x: 1 }; assert.strictEqual(same(a), a); assert.notStrictEqual(copy(a), a); assert.strictEqual(same({ o }.o), o); assert.equal(typeof kind(), 'function'); assert.equal(kind()('7'), 7)
// test: fs.writeFileSync('a', 'b'); assert.equal(fs.readFileSync('a', 'utf8'), 'b'); assert.equal(evaluate('1 + 1'), 2); await new Promise(ok => soon(ok, 1))
// test: let got = 0; afterwards(v => { got = v; }); await new Promise(r => setTimeout(r, 300)); assert.equal(got, 5)
// test: let n = 0; busy(() => { n += run(() => 7); }); await new Promise(r => setTimeout(r, 60)); assert.equal(add(1, 1), 2); assert.equal(n, 7)
// test: const assert = require('node:assert/strict'); assert.deepEqual(require('./main.js').add(1, 1), 2)
const assert = require('assert');
const EventEmitter = require('events');
function add(a, b) { return a + b; }
class Stack { constructor() { this.items = []; } push(x) { this.items.push(x); return this; } get size() { return this.items.length; } *[Symbol.iterator]() { yield* this.items; } }
const sortIn = a => { a.sort((x, y) => x - y); };
const later = async x => { await new Promise(r => setTimeout(r, 10)); if (x < 0) throw new RangeError('neg'); return x * 2; };
const atOnce = () => Promise.reject(new RangeError('at once'));
class Bad extends Error { constructor(m) { super(m); this.name = 'Bad'; this.code = 7; } }
function fails() { throw new Bad('no'); }
function debounce(f, ms) { let t; return (...a) => { clearTimeout(t); t = setTimeout(() => f(...a), ms); }; }
function mapper(list, f) { return list.map(x => f(x)); }
function* gen() { yield 1; yield 2; }
function hello() { console.log('hello', [1]); }
const table = { a: 1, f(x) { return x + this.a; } };
function useMock(m) { return [m.hit(), m.hit()]; }
const cyc = () => { const o = { v: 1 }; o.self = o; return o; };
const nan = () => NaN, nz = () => -0;
async function* ag() { yield 1; }
function* ids() { let i = 1; while (true) yield i++; }
function cb2(f) { setTimeout(() => f(null, 9), 5); }
const emitter = () => new EventEmitter();
const same = x => x, copy = x => [...x], kind = () => Number, evaluate = eval, soon = setTimeout, fs = require('fs');
function wait(ms) { const end = Date.now() + ms; while (Date.now() < end); }
function afterwards(f) { wait(50); process.nextTick(() => f(5)); }
const busy = f => { setTimeout(() => { wait(200); f(); }, 5); };
const run = f => f();
module.exports = { add };
if (require.main === module) process.exit(0);
