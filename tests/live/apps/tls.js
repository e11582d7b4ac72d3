// SPDX-License-Identifier: Apache-2.0
// tls.js port - CERT KEY: HTTP/1.1 and HTTP/2 over TLS. tls.js port BACKEND: asks for /0, /1 … of the backend, over https with a kept
// connection, over http2 with one session and by fetch, three of each; then says so on its port.
'use strict';
const fs = require('fs'), http = require('http'), http2 = require('http2'), https = require('https');
const [port, backend, cert, key] = process.argv.slice(2);

const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
const byHttps = (path) => new Promise((resolve, reject) => {
	https.get(backend + path, { agent }, (res) => res.resume().on('end', resolve)).on('error', reject);
});
const bySession = (session, path) => new Promise((resolve, reject) => {
	session.request({ ':path': path }).on('end', resolve).on('error', reject).resume().end();
});

async function ask() {
	const session = http2.connect(backend, { rejectUnauthorized: false });
	for (let i = 0; i < 3; i++) {
		await byHttps('/https/' + i);
		await bySession(session, '/http2/' + i);
		await (await fetch(backend + '/fetch/' + i)).text();
	}
	session.close();
	agent.destroy();
}

if (cert) {
	const options = { cert: fs.readFileSync(cert), key: fs.readFileSync(key), allowHTTP1: true };
	http2.createSecureServer(options, (req, res) => res.end('ok\n')).listen(port, '127.0.0.1');
} else {
	http.createServer((req, res) => ask().then(() => res.end('done\n'), (e) => res.end(String(e)))).listen(port, '127.0.0.1');
}
