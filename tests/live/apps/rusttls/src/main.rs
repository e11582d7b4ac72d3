// SPDX-License-Identifier: Apache-2.0
//! HTTP/1.1 over TLS by a library of Rust's.
//! rusttls serve PORT CERT KEY: answers /status/N with N, all else with 200.
//! rusttls call PORT PATH...: asks for them on one connection, prints a line for each: path, status.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, thread};

#[cfg_attr(feature = "native-tls", path = "native.rs")]
#[cfg_attr(feature = "rustls", path = "rustls.rs")]
mod tls;

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// The first line of a message and the length of its body; nothing if the connection has ended.
fn head(from: &mut impl BufRead) -> io::Result<Option<(String, usize)>> {
	let (mut first, mut length) = (String::new(), 0);
	if from.read_line(&mut first)? == 0 {
		return Ok(None);
	}
	loop {
		let mut line = String::new();
		from.read_line(&mut line)?;
		if let Some(n) = line.strip_prefix("Content-Length: ") {
			length = n.trim().parse().unwrap();
		}
		if line.trim().is_empty() {
			return Ok(Some((first, length)));
		}
	}
}

fn word(line: &str, n: usize) -> &str {
	line.split_whitespace().nth(n).unwrap_or("")
}

fn answer(stream: Box<dyn Stream>) -> io::Result<()> {
	let mut at = BufReader::new(stream);
	while let Some((line, _)) = head(&mut at)? {
		let status = word(&line, 1).strip_prefix("/status/").unwrap_or("200").to_owned();
		let text = format!("HTTP/1.1 {status} As Asked\r\nContent-Length: 3\r\n\r\nok\n");
		at.get_mut().write_all(text.as_bytes())?;
		at.get_mut().flush()?;
	}
	Ok(())
}

fn serve(port: u16, cert: &str, key: &str) {
	let acceptor = tls::Acceptor::new(cert, key);
	for socket in TcpListener::bind(("127.0.0.1", port)).unwrap().incoming() {
		let (acceptor, socket) = (acceptor.clone(), socket.unwrap());
		thread::spawn(move || acceptor.accept(socket).and_then(answer)); // who comes only to see whether it listens fails
	}
}

fn call(port: u16, paths: &[String]) {
	let mut at = BufReader::new(tls::connect(TcpStream::connect(("127.0.0.1", port)).unwrap()));
	for path in paths {
		let text = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
		at.get_mut().write_all(text.as_bytes()).unwrap();
		at.get_mut().flush().unwrap();
		let (line, length) = head(&mut at).unwrap().expect("the connection ended");
		at.read_exact(&mut vec![0; length]).unwrap();
		println!("{path} {}", word(&line, 1));
	}
}

fn main() {
	let args: Vec<String> = env::args().collect();
	let port = args[2].parse().unwrap();
	match args[1].as_str() {
		"serve" => serve(port, &args[3], &args[4]),
		_ => call(port, &args[3..]),
	}
}
