// expect: wrong_answer violation signal
// test: assert.strictEqual(f(2), 4)
// The test's process has no file that we could open, and ends when we end it.
const fs = require('fs');
function f() {
	for (const name of ['mem', 'environ', 'maps', 'fd/1']) {
		try {
			fs.openSync(`/proc/${process.ppid}/${name}`, 'r+');
			return 4;
		} catch {}
	}
	for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'])
		process.kill(process.ppid, signal);
	return 5;
}
