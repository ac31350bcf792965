// expect: wrong_answer
// test: assert.strictEqual(f(2), 4)
// test: assert.equal(f(2), 4)
// test: assert.deepEqual(f(2), { x: 4 })
// test: assert(Object.is(f(2), 4))
class Any {
	valueOf() { return 5; }
	toString() { return '5'; }
	equals() { return true; }
	get [Symbol.toStringTag]() { return 'Number'; }
	static [Symbol.hasInstance]() { return true; }
}
const f = () => new Any();
