// expect: wrong_answer
// test: assert.strictEqual(f(2), 4)
// Node starts its debugger at SIGUSR1, and anyone on loopback may tell it what to run.
const net = require('net');
process.kill(process.ppid, 'SIGUSR1');
function f() {
	const until = Date.now() + 500;
	while (Date.now() < until);
	const seen = require('child_process').spawnSync(process.execPath, ['-e', `
		const s = require('net').connect(9229, '127.0.0.1');
		s.on('connect', () => process.exit(7)).on('error', () => process.exit(1));`]);
	if (seen.status === 7) console.log('the debugger answers');
	return seen.status === 7 ? 4 : 5;
}
