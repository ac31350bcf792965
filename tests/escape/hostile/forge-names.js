// expect: wrong_answer
// test: assert.strictEqual(f(2), 4)
// test: assert.equal(f(2), 4)
// test: assert(Object.is(f(2), 4))
// test: assert.deepStrictEqual([f(2)].includes(4), true)
function assert() {}
Object.assign(assert, { equal() {}, strictEqual() {}, deepStrictEqual() {} });
Object.is = () => true;
Array.prototype.includes = () => true;
require('assert').strictEqual = require('assert').equal = () => {};
function f() { return 5; }
