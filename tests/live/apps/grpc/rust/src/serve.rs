// SPDX-License-Identifier: Apache-2.0
use crate::plan::Plan;
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

mod made {
    include!(concat!(env!("OUT_DIR"), "/spandrel.test.Load.rs"));
}

type Answer = Result<Vec<u8>, Status>;
type Answers = Pin<Box<dyn Stream<Item = Answer> + Send>>;

struct Load;

#[tonic::async_trait]
impl made::load_server::Load for Load {
    type DownStream = Answers;
    type BothStream = Answers;

    async fn unary(&self, request: Request<String>) -> Result<Response<Vec<u8>>, Status> {
        let plan = Plan::new(request.get_ref());
        sleep(plan.pause).await;
        plan.end(request.metadata())?;
        Ok(Response::new(plan.answer()))
    }

    async fn down(&self, request: Request<String>) -> Result<Response<Answers>, Status> {
        let plan = Plan::new(request.get_ref());
        let metadata = request.metadata().clone();
        let (to, from) = mpsc::channel::<Answer>(1);
        tokio::spawn(async move {
            for _ in 0..plan.count {
                sleep(plan.pause).await;
                if to.send(Ok(plan.answer())).await.is_err() {
                    return;
                }
            }
            if let Err(status) = plan.end(&metadata) {
                let _ = to.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(from))))
    }

    async fn up(&self, request: Request<Streaming<String>>) -> Result<Response<Vec<u8>>, Status> {
        let metadata = request.metadata().clone();
        let mut asks = request.into_inner();
        let mut plan = None;
        while let Some(ask) = asks.next().await {
            plan = Some(Plan::new(&ask?));
        }
        let plan = plan.ok_or_else(|| Status::internal("no message"))?;
        plan.end(&metadata)?;
        Ok(Response::new(plan.answer()))
    }

    async fn both(&self, request: Request<Streaming<String>>) -> Result<Response<Answers>, Status> {
        let metadata = request.metadata().clone();
        let mut asks = request.into_inner();
        let (to, from) = mpsc::channel::<Answer>(1);
        tokio::spawn(async move {
            let mut plan = None;
            while let Some(Ok(ask)) = asks.next().await {
                let p = Plan::new(&ask);
                if to.send(Ok(p.answer())).await.is_err() {
                    return;
                }
                plan = Some(p);
            }
            if let Some(Err(status)) = plan.map(|p| p.end(&metadata)) {
                let _ = to.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(from))))
    }
}

pub async fn serve(port: &str) {
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let load = made::load_server::LoadServer::new(Load).max_decoding_message_size(64 << 20);
    Server::builder().add_service(load).serve(address).await.unwrap();
}
