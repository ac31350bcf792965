// expect: wrong_answer
// test: assert.strictEqual(f(2), 4)
// test: assert.equal(f(2), 4); assert.equal(f(3), 6)
// Answers that were not asked for, and frames that are none.
const fs = require('fs');
function send(text) {
	const head = Buffer.alloc(4);
	head.writeUInt32BE(text.length);
	try { fs.writeSync(3, Buffer.concat([head, Buffer.from(text)])); } catch {}
}
function f(x) {
	for (let id = 0; id < 50; id++) send(JSON.stringify(['answer', id, 'value', 5, [], []]));
	send('[1');
	return 5;
}
