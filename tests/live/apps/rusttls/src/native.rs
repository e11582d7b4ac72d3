// SPDX-License-Identifier: Apache-2.0
//! native-tls: the system's OpenSSL.
use crate::Stream;
use native_tls::{Identity, TlsAcceptor, TlsConnector};
use std::net::TcpStream;
use std::{fs, io};

#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl Acceptor {
	pub fn new(cert: &str, key: &str) -> Self {
		let identity = Identity::from_pkcs8(&fs::read(cert).unwrap(), &fs::read(key).unwrap()).unwrap();
		Acceptor(TlsAcceptor::new(identity).unwrap())
	}
	pub fn accept(&self, socket: TcpStream) -> io::Result<Box<dyn Stream>> {
		Ok(Box::new(self.0.accept(socket).map_err(io::Error::other)?))
	}
}

pub fn connect(socket: TcpStream) -> Box<dyn Stream> {
	let connector = TlsConnector::builder().danger_accept_invalid_certs(true).build().unwrap();
	Box::new(connector.connect("localhost", socket).unwrap())
}
