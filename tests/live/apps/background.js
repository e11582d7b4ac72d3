// SPDX-License-Identifier: Apache-2.0
// background.js port backend: answers every request after 30 ms without calling anybody, while a timer of its own calls
// backend/timer every few milliseconds: nothing that a request caused.
'use strict';
const http = require('http');
const [port, backend] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });
let n = 0;

setInterval(() => http.get(`${backend}/timer/${n++}`, { agent }, (res) => res.resume()).on('error', () => {}), 7);
http.createServer((req, res) => setTimeout(() => res.end('ok'), 30)).listen(port, '127.0.0.1');
