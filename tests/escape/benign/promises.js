// expect: ok
// stdout: 42
const fs = require('fs').promises;
fs.writeFile('x', '42').then(() => fs.readFile('x', 'utf8')).then(t => console.log(t));
