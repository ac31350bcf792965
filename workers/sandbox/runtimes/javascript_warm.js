// A node that was started ahead: it waits for its one job and becomes it.
const fs = require('fs');
if (fs.readSync(200, Buffer.alloc(1)) === 1) {
	fs.closeSync(200);
	process.argv[1] = require('path').resolve(process.argv[1]);
	require('module').runMain();
}
