//! Asking a Quorate member in this process.

use quorate::{Client, Config, Error, MemoryData, Node};
use quorate_kv_api::HashKvResponse;

use crate::operation::{Answer, Answers, Operation};

/// A cluster of one member, in memory.
pub struct Quorate {
    client: Client,
    _node: Node,
}

impl Quorate {
    /// Opens it, empty.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open() -> Result<Self, String> {
        let node = Node::open(Config::in_memory(&MemoryData::new()));
        let node = node.map_err(|error| format!("quorate does not open: {error}"))?;
        Ok(Self { client: node.client(), _node: node })
    }

    fn carry_out(&mut self, operation: &Operation) -> Result<Answer, Error> {
        let client = &self.client;
        match operation.clone() {
            Operation::Put(request) => client.put_with(request).wait().map(Answer::Put),
            Operation::DeleteRange(request) => {
                client.delete_with(request).wait().map(Answer::DeleteRange)
            }
            Operation::Range(request) => client.range(request.into()).wait().map(Answer::Range),
            Operation::Txn(request) => client.txn_with(request).wait().map(Answer::Txn),
            Operation::HashKv(request) => client.hash(request.revision).wait().map(|hash| {
                Answer::HashKv(HashKvResponse {
                    header: None,
                    hash: hash.hash,
                    compact_revision: hash.compact_revision,
                    hash_revision: hash.revision,
                })
            }),
            operation => panic!("not in SUPPORTED: {operation:?}"),
        }
    }
}

impl Answers for Quorate {
    fn answer(&mut self, operation: &Operation) -> Result<Answer, String> {
        match self.carry_out(operation) {
            Ok(answer) => Ok(answer),
            Err(Error::Refused(cause)) => Ok(Answer::Refused {
                code: cause.grpc_code(),
                message: cause.etcd_message().to_owned(),
            }),
            Err(error) => Err(format!("quorate: {error}")),
        }
    }
}
