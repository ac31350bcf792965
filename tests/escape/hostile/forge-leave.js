// expect: wrong_answer
// test: setTimeout(() => assert.equal(g(), 4), 100)
// test: new Promise(ok => setTimeout(ok, 100)).then(() => assert.equal(g(), 4))
// The program leaves on its own while the test waits.
const g = () => 5;
setTimeout(() => process.exit(0), 20);
