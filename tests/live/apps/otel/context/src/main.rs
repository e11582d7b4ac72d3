// SPDX-License-Identifier: Apache-2.0
// Answers HTTP at HOST:PORT, one request a connection, and publishes its process context by a vendor's library.
use libdd_library_config::{otel_process_ctx::linux::publish, tracer_metadata::TracerMetadata};
use std::io::{Read, Write};

fn main() {
    let listener = std::net::TcpListener::bind(std::env::args().nth(1).expect("HOST:PORT")).expect("an address");
    let said = TracerMetadata {
        service_name: Some("published".to_owned()),
        runtime_id: Some("5b0a6c5e-0e0b-4a53-8a39-6d0a3d3f4b11".to_owned()),
        service_version: Some("7.1".to_owned()),
        hostname: "name-of-a-pod".to_owned(),
        tracer_language: "rust".to_owned(),
        tracer_version: "2".to_owned(),
        ..Default::default()
    };
    publish(&said.to_otel_process_ctx()).expect("published");
    for conn in listener.incoming() {
        let (mut conn, mut head) = (conn.expect("a connection"), [0u8; 4096]);
        let _ = conn.read(&mut head);
        let _ = conn.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    }
}
