// expect: wrong_answer
// test: assert.equal(parser()(text()), 4)
// test: new (parser())(text())(); assert.equal(1, 4)
// test: text().split().map(parser()); assert.equal(1, 4)
// test: assert.notStrictEqual(same(text), text); const a = [1]; assert.notStrictEqual(same(a), a)
// Functions of node's that make code of a text are not brought into the test's process.
let n = 0;
const parser = () => [eval, Function][n++ % 2];
const text = () => 'process.reallyExit(0)';
const same = x => x;
