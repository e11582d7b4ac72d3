// SPDX-License-Identifier: Apache-2.0
//! rustls: TLS in Rust.
use crate::Stream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection, SignatureScheme, StreamOwned};
use std::io;
use std::net::TcpStream;
use std::sync::Arc;

#[derive(Clone)]
pub struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
	pub fn new(cert: &str, key: &str) -> Self {
		let certs = CertificateDer::pem_file_iter(cert).unwrap().map(Result::unwrap).collect();
		let key = PrivateKeyDer::from_pem_file(key).unwrap();
		Acceptor(Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(certs, key).unwrap()))
	}
	pub fn accept(&self, socket: TcpStream) -> io::Result<Box<dyn Stream>> {
		let connection = ServerConnection::new(self.0.clone()).map_err(io::Error::other)?;
		Ok(Box::new(StreamOwned::new(connection, socket)))
	}
}

/// A certificate made for a test is its own authority, which is none by the rules.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
	fn verify_server_cert(&self, _: &CertificateDer, _: &[CertificateDer], _: &ServerName, _: &[u8], _: UnixTime)
		-> Result<ServerCertVerified, Error> {
		Ok(ServerCertVerified::assertion())
	}
	fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
		Ok(HandshakeSignatureValid::assertion())
	}
	fn verify_tls13_signature(&self, _: &[u8], _: &CertificateDer, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
		Ok(HandshakeSignatureValid::assertion())
	}
	fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
		ring::default_provider().signature_verification_algorithms.supported_schemes()
	}
}

pub fn connect(socket: TcpStream) -> Box<dyn Stream> {
	let config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(Anyone)).with_no_client_auth();
	let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
	Box::new(StreamOwned::new(connection, socket))
}
