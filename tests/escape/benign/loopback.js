// expect: ok
// stdout: got hello
const http = require('http');
const s = http.createServer((q, a) => a.end('hello')).listen(0, '127.0.0.1', () =>
  http.get({ port: s.address().port, host: '127.0.0.1' }, r => r.on('data', d => { console.log('got ' + d); s.close(); })));
