// SPDX-License-Identifier: Apache-2.0
// @grpc/grpc-js (../load.proto says what it does).
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [what, port, streams] = process.argv.slice(2);
// the proto stands beside this file, or above it in the source
const { Load } = grpc.loadPackageDefinition(
	loader.loadSync(['.', '..'].map((d) => path.join(__dirname, d, 'load.proto')).find(fs.existsSync))).spandrel.test;
const options = { 'grpc.max_receive_message_length': 64 << 20, 'grpc.max_send_message_length': 64 << 20, 'grpc.enable_http_proxy': 0 };
// TLS if the environment names a certificate and its key
const [cert, key] = [process.env.TLS_CERT, process.env.TLS_KEY].map((f) => f && fs.readFileSync(f));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const now = () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6));

class Plan {
	constructor(line) {
		const w = line.trim().split(' ');
		[this.id, this.method] = w;
		[this.code, this.count, this.pause, this.size, this.deadline, this.cancel] = w.slice(2, 8).map(Number);
		this.parent = w[8];
		this.ask = { value: line.trim() };
		this.sent = this.received = 0;
	}
	answer() {
		return { value: Buffer.alloc(this.size, 'a') };
	}
	metadata() {
		const m = new grpc.Metadata();
		m.set('x-truth-id', this.id);
		if (this.parent !== '-')
			m.set('traceparent', this.parent);
		return m;
	}
	// what the call ends with: null, or an error
	end(call) {
		if (call.metadata.get('x-truth-id')[0] !== this.id)
			return { code: grpc.status.DATA_LOSS, details: 'another id' };
		return this.code ? { code: this.code, details: 'as asked' } : null;
	}
}

const service = {
	async unary(call, done) {
		const plan = new Plan(call.request.value);
		await sleep(plan.pause);
		const error = plan.end(call);
		done(error, error ? undefined : plan.answer());
	},
	async down(call) {
		const plan = new Plan(call.request.value);
		for (let i = 0; i < plan.count && !call.cancelled; i++) {
			await sleep(plan.pause);
			if (!call.write(plan.answer()) && !call.cancelled)
				await new Promise((go) => { call.once('drain', go); call.once('cancelled', go); });
		}
		const error = plan.end(call);
		if (error)
			call.emit('error', error);
		else
			call.end();
	},
	up(call, done) {
		let plan;
		call.on('data', (ask) => { plan = plan || new Plan(ask.value); });
		call.on('end', () => {
			const error = plan.end(call);
			done(error, error ? undefined : plan.answer());
		});
	},
	both(call) {
		let plan;
		call.on('data', (ask) => {
			plan = plan || new Plan(ask.value);
			call.write(plan.answer());
		});
		call.on('end', () => {
			const error = plan && plan.end(call);
			if (error)
				call.emit('error', error);
			else
				call.end();
		});
	},
};

async function send(call, plan) {
	for (let i = 0; i < plan.count; i++) {
		await sleep(plan.pause);
		if (plan.ended)
			return;
		plan.sent++;
		call.write(plan.ask);
	}
	call.end();
}

// A method that the service does not have is called as unary.
function method(client, plan) {
	const known = client[plan.method.toLowerCase()];
	if (known)
		return known.bind(client);
	const { requestSerialize, responseDeserialize } = Load.service.Unary;
	return (ask, ...rest) => client.makeUnaryRequest(`/spandrel.test.Load/${plan.method}`, requestSerialize,
		responseDeserialize, ask, ...rest);
}

function call(client, plan) {
	return new Promise((resolve) => {
		const begin = now();
		const more = plan.deadline ? { deadline: Date.now() + plan.deadline } : {};
		const up = plan.method === 'Up' || plan.method === 'Both', down = plan.method === 'Down' || plan.method === 'Both';
		const end = (status) => {
			plan.ended = true;
			process.stdout.write(`${plan.id} ${status.code} ${plan.sent} ${plan.received} ${begin} ${now()}\n`);
			resolve();
		};
		const args = [...(up ? [] : [plan.ask]), plan.metadata(), more];
		if (!down)
			args.push((error, answer) => { plan.received += answer ? 1 : 0; });
		const made = method(client, plan)(...args);
		made.on('status', end);
		if (down) {
			made.on('data', () => { plan.received++; });
			made.on('error', () => {});
		}
		if (up)
			send(made, plan);
		else
			plan.sent = 1;
		if (plan.cancel)
			setTimeout(() => made.cancel(), plan.cancel);
	});
}

function serve() {
	const server = new grpc.Server(options);
	server.addService(Load.service, service);
	server.bindAsync(`127.0.0.1:${port}`, cert ?
		grpc.ServerCredentials.createSsl(null, [{ cert_chain: cert, private_key: key }]) : grpc.ServerCredentials.createInsecure(), (error) => {
		if (error)
			throw error;
	});
}

async function drive() {
	const client = new Load(`127.0.0.1:${port}`,
		cert ? grpc.credentials.createSsl(cert) : grpc.credentials.createInsecure(), options);
	const lines = readline.createInterface({ input: process.stdin });
	const running = new Set();
	for await (const line of lines) {
		while (running.size >= Number(streams))
			await Promise.race(running);
		const one = call(client, new Plan(line)).then(() => running.delete(one));
		running.add(one);
	}
	await Promise.all(running);
	client.close();
}

if (what === 'serve')
	serve();
else
	drive();
