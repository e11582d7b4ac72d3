// SPDX-License-Identifier: Apache-2.0
// The service of load.proto, written out: no protoc is needed, wrappers are String and Vec<u8> to prost.
use tonic_prost_build::manual::{Builder, Method, Service};

fn main() {
    let mut service = Service::builder().name("Load").package("spandrel.test");
    for (name, route, up, down) in [
        ("unary", "Unary", false, false),
        ("down", "Down", false, true),
        ("up", "Up", true, false),
        ("both", "Both", true, true),
    ] {
        let mut method = Method::builder()
            .name(name)
            .route_name(route)
            .input_type("String")
            .output_type("Vec<u8>")
            .codec_path("tonic_prost::ProstCodec");
        if up {
            method = method.client_streaming();
        }
        if down {
            method = method.server_streaming();
        }
        service = service.method(method.build());
    }
    Builder::new().build_client(false).compile(&[service.build()]);
}
