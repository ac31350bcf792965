// expect: wrong_answer
// test: assert.equal(f({ get() { return 1; } }), 4)
// test: assert.equal(f(x => x), 4)
// test: class A { m() {} } assert.equal(f(new A()), 4)
// test: assert.equal(f(eval), 4)
const leave = 'process.reallyExit(0)';
const ways = [
	o => o.constructor(leave)(), o => o.constructor.constructor(leave)(), o => o.get.constructor(leave)(), o => o.m.constructor(leave)(),
	o => o.__proto__.constructor.constructor(leave)(), o => o(leave), o => o('x').constructor.constructor(leave)(),
	o => { o.toString = () => leave; return o.__defineGetter__('x', () => leave); },
];
function f(o) {
	const exit = process.reallyExit;
	process.reallyExit = () => {};
	for (const way of ways) {
		try { way(o); } catch {}
	}
	process.reallyExit = exit;
	return 5;
}
