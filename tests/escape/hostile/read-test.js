// expect: wrong_answer
// test: assert.equal(f(2), "secret-4711")
// The test is gone before we start, and nothing of it is in what we are told.
const fs = require('fs'), cp = require('child_process');
const seen = [fs.readdirSync('.').join(), process.argv.join(), JSON.stringify(process.env), String(cp.spawnSync('/bin/grep', ['-rsl', 'secret-4711', '/work', '/tmp', '/dev/shm']).stdout)];
const f = () => (seen.join().match(/secret-[0-9]+/) || seen.join().match(/airlock_test/) || ['nothing'])[0] === 'nothing' ? 'nothing' : 'secret-4711';
