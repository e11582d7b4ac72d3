// SPDX-License-Identifier: Apache-2.0
// node.js port [backend URL]: /a/X calls backend/b/X over a keep-alive agent, after a short wait; anything else says ok.
'use strict';
const http = require('http');
const [port, backend] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 10 });

function call(path) {
	return new Promise((resolve, reject) => {
		http.get(backend + path, { agent }, (res) => {
			res.resume();
			res.on('end', () => resolve(res.statusCode));
		}).on('error', reject);
	});
}

const server = http.createServer(async (req, res) => {
	for await (const _ of req);
	if (req.url.startsWith('/a/')) {
		await new Promise((r) => setTimeout(r, Math.random() * 10));
		await call('/b/' + req.url.slice(3));
	}
	if (req.url.startsWith('/chunked'))
		for (let i = 0; i < 5; i++)
			res.write('chunk');
	res.end('ok');
});
server.on('upgrade', (req, socket) => {
	socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
	socket.pipe(socket);
});
server.listen(port, '127.0.0.1', 511);
