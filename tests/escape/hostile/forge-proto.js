// expect: wrong_answer
// test: f(); assert.equal({}.x, 4)
// test: assert.equal(f().y, 4)
// test: f(); assert.equal([].x, 4)
const f = () => JSON.parse('{"__proto__":{"x":4},"constructor":{"prototype":{"x":4}}}');
