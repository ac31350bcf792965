// expect: wrong_answer
// test: f(2).then(v => assert.equal(v, 4))
// test: setTimeout(() => assert.equal(g(), 4), 60)
// test: h(v => assert.equal(v, 4))
// test: h(v => h(w => assert.equal(w, 4)))
// test: h(v => setTimeout(() => h(w => assert.equal(w, 4)), 20))
// test: h(v => { if (v !== 4) throw new Error('wrong'); })
// test: caught(v => assert.equal(v, 4))
// test: setTimeout(() => caught(v => assert.equal(v, 4)), 50)
// test: slow(v => setTimeout(() => slow(w => assert.equal(w, 4)), 20))
// The test's own lines are through before its last word is: who leaves meanwhile, or answers late, is not right for it.
const f = () => { setTimeout(() => process.exit(0), 20); return new Promise(() => {}); };
const g = () => 5;
const h = callback => { setTimeout(() => callback(5), 30); };
const caught = callback => { try { callback(5); } catch {} };
const slow = callback => { setTimeout(() => { callback(5); for (const end = Date.now() + 150; Date.now() < end;); }, 30); }; // asked anew while it is busy
