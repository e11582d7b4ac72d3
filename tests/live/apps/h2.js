// SPDX-License-Identifier: Apache-2.0
// Node's HTTP/2 server without TLS: h2.js PORT. Reads what it is sent, then answers /bytes/N with N bytes, /status/N with that
// status, /slow/N after N milliseconds in two parts, /push with a pushed /pushed, /reset by RST_STREAM, else the path.
'use strict';
const http2 = require('http2');

const [port] = process.argv.slice(2);

const ways = {
	bytes: (s, n) => { s.respond({ ':status': 200 }); s.end(Buffer.alloc(n)); },
	status: (s, n) => { s.respond({ ':status': n }, { endStream: true }); },
	slow: (s, n) => {
		s.respond({ ':status': 200 });
		s.write('one');
		setTimeout(() => s.end('two'), n);
	},
	push: (s) => {
		s.pushStream({ ':path': '/pushed' }, (error, pushed) => {
			if (error)
				return;
			pushed.respond({ ':status': 200 });
			pushed.end('pushed');
		});
		s.respond({ ':status': 200 });
		s.end('and more');
	},
	reset: (s) => { s.close(http2.constants.NGHTTP2_INTERNAL_ERROR); },
	trailers: (s) => {
		s.respond({ ':status': 200 }, { waitForTrailers: true });
		s.on('wantTrailers', () => s.sendTrailers({ 'x-sum': '1' }));
		s.end('body');
	},
};

const server = http2.createServer({ settings: { maxConcurrentStreams: 1000 } });
server.on('stream', (stream, headers) => {
	const [, what, n] = headers[':path'].split('/');
	stream.on('error', () => {});
	stream.on('end', () => {
		if (stream.destroyed || stream.closed)
			return;
		if (ways[what])
			ways[what](stream, Number(n));
		else {
			stream.respond({ ':status': 200 });
			stream.end(headers[':path']);
		}
	});
	stream.resume();
});
server.on('sessionError', () => {});
server.listen(port, '127.0.0.1');
