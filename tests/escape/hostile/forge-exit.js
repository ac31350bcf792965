// expect: wrong_answer
// test: assert.strictEqual(f(2), 4)
// test: assert.throws(() => f(2))
// test: f(2)
const f = () => process.exit(0);
