// expect: wrong_answer
// test: require("lodash"); assert.equal(f(), 4)
// test: require("./other"); assert.equal(f(), 4)
// test: require("/work/other.js"); assert.equal(f(), 4)
// test: require("assert").equal(f(), 4)
const fs = require('fs');
fs.mkdirSync('node_modules/lodash', { recursive: true });
for (const name of ['node_modules/lodash/index.js', 'other.js', 'assert.js', 'package.json'])
	fs.writeFileSync(name, 'process.reallyExit(0)');
function f() { return 5; }
