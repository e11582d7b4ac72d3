// SPDX-License-Identifier: Apache-2.0
//! tonic (../load.proto says what it does).
mod plan;
mod serve;

use plan::{now, Plan};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;

#[derive(Default)]
struct Count {
    sent: AtomicUsize,
    received: AtomicUsize,
}

async fn drain(mut answers: Streaming<Vec<u8>>, count: &Count) -> Result<(), Status> {
    while let Some(answer) = answers.next().await {
        answer?;
        count.received.fetch_add(1, Relaxed);
    }
    Ok(())
}

async fn call(channel: Channel, plan: &Plan, count: Arc<Count>) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(64 << 20);
    grpc.ready().await.map_err(|e| Status::unavailable(e.to_string()))?;
    let path: PathAndQuery = format!("/spandrel.test.Load/{}", plan.method).parse().unwrap();
    let codec = ProstCodec::<String, Vec<u8>>::default();
    let (n, pause, line, sent) = (plan.count, plan.pause, plan.line.clone(), count.clone());
    let asks = tokio_stream::iter(0..n).then(move |_| {
        let (line, sent) = (line.clone(), sent.clone());
        async move {
            sleep(pause).await;
            sent.sent.fetch_add(1, Relaxed);
            line
        }
    });
    match plan.method.as_str() {
        "Both" => drain(grpc.streaming(plan.request(asks), path, codec).await?.into_inner(), &count).await,
        "Up" => {
            grpc.client_streaming(plan.request(asks), path, codec).await?;
            count.received.store(1, Relaxed);
            Ok(())
        }
        "Down" => {
            count.sent.store(1, Relaxed);
            let answers = grpc.server_streaming(plan.request(plan.line.clone()), path, codec).await?;
            drain(answers.into_inner(), &count).await
        }
        _ => {
            count.sent.store(1, Relaxed);
            grpc.unary(plan.request(plan.line.clone()), path, codec).await?;
            count.received.store(1, Relaxed);
            Ok(())
        }
    }
}

async fn one(channel: Channel, plan: Plan) {
    let (begin, count) = (now(), Arc::new(Count::default()));
    let running = call(channel, &plan, count.clone());
    // dropping a call is how it is cancelled, by hand or at its deadline
    let (after, late) = match (plan.cancel.is_zero(), plan.deadline.is_zero()) {
        (false, _) => (plan.cancel, Code::Cancelled),
        (_, false) => (plan.deadline, Code::DeadlineExceeded),
        _ => (std::time::Duration::from_secs(3600), Code::Unknown),
    };
    let code = match tokio::time::timeout(after, running).await {
        Ok(Ok(())) => Code::Ok,
        Ok(Err(status)) => status.code(),
        Err(_) => late,
    };
    let (sent, received) = (count.sent.load(Relaxed), count.received.load(Relaxed));
    println!("{} {} {sent} {received} {begin} {}", plan.id, code as i32, now());
}

async fn drive(port: &str, streams: u32) {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    let channel = endpoint.connect_lazy();
    let slots = Arc::new(Semaphore::new(streams as usize));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let slot = slots.clone().acquire_owned().await.unwrap();
        let (channel, plan) = (channel.clone(), Plan::new(&line));
        tokio::spawn(async move {
            one(channel, plan).await;
            drop(slot);
        });
    }
    let _ = slots.acquire_many(streams).await;
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "serve" {
        serve::serve(&args[2]).await;
    } else {
        drive(&args[2], args[3].parse().unwrap()).await;
    }
}
