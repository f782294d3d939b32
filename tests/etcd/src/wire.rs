//! Calling etcd by gRPC, with our own messages: they have etcd's numbers.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use quorate_kv_api::{Event, LeaseKeepAliveResponse, RangeRequest, RangeResponse};
use tokio::runtime::{Builder, Runtime};
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, IntoRequest, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::operation::{Answer, Answers, Operation};
use crate::watch::{WatchCreateRequest, WatchRequest, WatchResponse, Watched};

/// A connection to one etcd. Every call ends in time.
pub struct Wire {
    runtime: Runtime,
    endpoint: Endpoint,
    calls: Channel,
    watches: BTreeMap<u64, Streaming<WatchResponse>>,
}

impl Wire {
    /// A connection to the server at this address; it is made with the first call.
    ///
    /// # Errors
    ///
    /// If the address is none, or no runtime can be made.
    pub fn new(url: &str) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        let endpoint = Endpoint::from_shared(url.to_owned());
        let endpoint = endpoint.map_err(|error| format!("{url}: {error}"))?;
        let endpoint = endpoint.connect_timeout(CALL_TIMEOUT).tcp_nodelay(true);
        let calls = {
            let _inside = runtime.enter();
            endpoint.connect_lazy()
        };
        Ok(Self { runtime, endpoint, calls, watches: BTreeMap::new() })
    }

    /// Whether the server serves reads of the whole cluster.
    ///
    /// # Errors
    ///
    /// If it does not: the text of it.
    pub fn check(&mut self) -> Result<(), String> {
        let read = RangeRequest::key("\0");
        let read = self.call::<_, RangeResponse>("KV/Range", read);
        read.map(|_| ()).map_err(|status| status.to_string())
    }

    fn call<Request, Response>(&self, method: &str, request: Request) -> Result<Response, Status>
    where
        Request: Message + Send + Sync + 'static,
        Response: Message + Default + Send + Sync + 'static,
    {
        let client = Grpc::new(self.calls.clone());
        let mut client = client.max_decoding_message_size(ANSWER_BYTES_MAX);
        let path = path(method);
        self.in_time(async move {
            ready(&mut client).await?;
            let codec = ProstCodec::default();
            let response = client.unary(request.into_request(), path, codec).await?;
            Ok(response.into_inner())
        })
    }

    /// Opens a stream in both directions.
    fn stream<Request, Response>(
        &self,
        channel: Channel,
        method: &str,
        requests: impl Stream<Item = Request> + Send + 'static,
    ) -> Result<Streaming<Response>, Status>
    where
        Request: Message + Send + Sync + 'static,
        Response: Message + Default + Send + Sync + 'static,
    {
        let client = Grpc::new(channel);
        let mut client = client.max_decoding_message_size(ANSWER_BYTES_MAX);
        let path = path(method);
        self.in_time(async move {
            ready(&mut client).await?;
            let codec = ProstCodec::default();
            let request = tonic::Request::new(requests);
            let response = client.streaming(request, path, codec).await?;
            Ok(response.into_inner())
        })
    }

    fn in_time<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        self.runtime.block_on(async {
            match tokio::time::timeout(CALL_TIMEOUT, work).await {
                Ok(result) => result,
                Err(_) => Err(Status::cancelled(NO_ANSWER)),
            }
        })
    }

    fn keep_alive(
        &self,
        request: quorate_kv_api::LeaseKeepAliveRequest,
    ) -> Result<LeaseKeepAliveResponse, Status> {
        let requests = tokio_stream::once(request);
        let mut answers = self.stream(self.calls.clone(), "Lease/LeaseKeepAlive", requests)?;
        self.next(&mut answers)
    }

    fn next<Response>(&self, stream: &mut Streaming<Response>) -> Result<Response, Status> {
        let message = self.in_time(stream.message())?;
        message.ok_or_else(|| Status::cancelled("the stream ended"))
    }

    fn watch_start(&mut self, number: u64, request: &WatchCreateRequest) -> Result<Answer, Status> {
        // A connection for each, as a watch that nobody reads would hold up the other calls.
        let channel = {
            let _inside = self.runtime.enter();
            self.endpoint.connect_lazy()
        };
        let create = WatchRequest { create_request: Some(request.clone()) };
        // The stream lives as long as our side of it, which must not end after the request.
        let requests = tokio_stream::StreamExt::chain(
            tokio_stream::once(create),
            tokio_stream::pending::<WatchRequest>(),
        );
        let mut stream = self.stream(channel, "Watch/Watch", requests)?;
        let first: WatchResponse = self.next(&mut stream)?;
        if !first.created {
            return Err(Status::internal(format!("a watch begins with {first:?}")));
        }
        if first.canceled {
            return Ok(Answer::Watched(over(&first)));
        }
        self.watches.insert(number, stream);
        Ok(Answer::Watched(Watched::Began))
    }

    fn watch_end(&mut self, number: u64, revision: i64) -> Result<Answer, Status> {
        let mut stream =
            self.watches.remove(&number).ok_or_else(|| Status::internal("no such watch"))?;
        let mut events: Vec<Event> = Vec::new();
        while events.last().is_none_or(|event| event.revision() < revision) {
            let response = self.next(&mut stream)?;
            if response.canceled {
                return Ok(Answer::Watched(over(&response)));
            }
            events.extend(response.events);
        }
        Ok(Answer::Watched(Watched::Events(events)))
    }

    fn carry_out(&mut self, operation: &Operation) -> Result<Answer, Status> {
        match operation.clone() {
            Operation::Put(request) => self.call("KV/Put", request).map(Answer::Put),
            Operation::DeleteRange(request) => {
                self.call("KV/DeleteRange", request).map(Answer::DeleteRange)
            }
            Operation::Range(request) => self.call("KV/Range", request).map(Answer::Range),
            Operation::Txn(request) => self.call("KV/Txn", request).map(Answer::Txn),
            Operation::HashKv(request) => {
                self.call("Maintenance/HashKV", request).map(Answer::HashKv)
            }
            Operation::Compact(request) => self.call("KV/Compact", request).map(Answer::Compact),
            Operation::LeaseGrant(request) => {
                self.call("Lease/LeaseGrant", request).map(Answer::LeaseGrant)
            }
            Operation::LeaseRevoke(request) => {
                self.call("Lease/LeaseRevoke", request).map(Answer::LeaseRevoke)
            }
            Operation::LeaseKeepAlive(request) => {
                self.keep_alive(request).map(Answer::LeaseKeepAlive)
            }
            Operation::LeaseTimeToLive(request) => {
                self.call("Lease/LeaseTimeToLive", request).map(Answer::LeaseTimeToLive)
            }
            // The request has no fields.
            Operation::Leases => self.call("Lease/LeaseLeases", ()).map(Answer::Leases),
            Operation::WatchStart { number, request } => self.watch_start(number, &request),
            Operation::WatchEnd { number, revision } => self.watch_end(number, revision),
        }
    }
}

impl Answers for Wire {
    fn answer(&mut self, operation: &Operation) -> Result<Answer, String> {
        match self.carry_out(operation) {
            Ok(answer) => Ok(answer),
            Err(status) if is_broken(&status) => Err(format!("etcd: {status}")),
            Err(status) => Ok(Answer::Refused {
                code: status.code().into(),
                message: status.message().to_owned(),
            }),
        }
    }
}

/// Whether an error is no answer: it comes from the connection, or from a server that is broken.
fn is_broken(status: &Status) -> bool {
    status.source().is_some() || BROKEN.contains(&status.code())
}

fn over(response: &WatchResponse) -> Watched {
    match response.compact_revision {
        0 => Watched::Canceled { reason: response.cancel_reason.clone() },
        compact_revision => Watched::Compacted { compact_revision },
    }
}

fn path(method: &str) -> PathAndQuery {
    let path = PathAndQuery::try_from(format!("/etcdserverpb.{method}"));
    path.expect("the names of the services are paths")
}

async fn ready(client: &mut Grpc<Channel>) -> Result<(), Status> {
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))
}

/// What a working etcd answers to none of the operations sent here.
const BROKEN: [Code; 5] =
    [Code::Cancelled, Code::Unavailable, Code::Internal, Code::DeadlineExceeded, Code::Aborted];
const NO_ANSWER: &str = "no answer in time";
/// A few of the largest values: an old revision may be read, or watched.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
