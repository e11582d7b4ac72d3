// SPDX-License-Identifier: Apache-2.0
//! A line of a plan (../load.proto).
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};

#[derive(Clone)]
pub struct Plan {
    pub line: String,
    pub id: String,
    pub method: String,
    pub code: i32,
    pub count: usize,
    pub pause: Duration,
    pub size: usize,
    pub deadline: Duration,
    pub cancel: Duration,
    pub parent: String,
}

pub fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

impl Plan {
    pub fn new(line: &str) -> Plan {
        let w: Vec<&str> = line.split_whitespace().collect();
        let n: Vec<u64> = w[2..8].iter().map(|x| x.parse().unwrap()).collect();
        Plan {
            line: line.trim().into(),
            id: w[0].into(),
            method: w[1].into(),
            code: n[0] as i32,
            count: n[1] as usize,
            pause: Duration::from_millis(n[2]),
            size: n[3] as usize,
            deadline: Duration::from_millis(n[4]),
            cancel: Duration::from_millis(n[5]),
            parent: w[8].into(),
        }
    }

    pub fn answer(&self) -> Vec<u8> {
        vec![b'a'; self.size]
    }

    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut r = Request::new(message);
        r.metadata_mut().insert("x-truth-id", self.id.parse().unwrap());
        if self.parent != "-" {
            r.metadata_mut().insert("traceparent", self.parent.parse().unwrap());
        }
        if !self.deadline.is_zero() {
            r.set_timeout(self.deadline);
        }
        r
    }

    /// What the server ends the call with.
    pub fn end(&self, metadata: &MetadataMap) -> Result<(), Status> {
        if metadata.get("x-truth-id").map(|v| v.as_bytes()) != Some(self.id.as_bytes()) {
            return Err(Status::data_loss("another id"));
        }
        match Code::from_i32(self.code) {
            Code::Ok => Ok(()),
            code => Err(Status::new(code, "as asked")),
        }
    }
}
