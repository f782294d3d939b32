//! One socket, and the list of all sockets that lets `stop` end them.
//!
//! [`Connection`] is the single place that touches a stream: encryption (mTLS) would wrap the
//! stream here, between `connect` or `accept` and the handshake, and nothing else would change.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Select, Sender, TryRecvError};
use parking_lot::Mutex;

/// An open socket without Nagle's delay. Dropping it closes it in both directions.
pub(super) struct Connection {
    stream: Arc<TcpStream>,
    registry: Arc<Registry>,
    id: u64,
    /// The address at the other end, for messages to people.
    pub(super) address: String,
}

/// All open sockets of one transport.
#[derive(Default)]
pub(super) struct Registry {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    streams: HashMap<u64, Arc<TcpStream>>,
    id_last: u64,
    closed: bool,
}

/// Told once, heard by all who wait.
pub(super) struct Stop {
    /// Dropped to tell: that disconnects the receivers.
    sender: Mutex<Option<Sender<()>>>,
    receiver: Receiver<()>,
}

impl Registry {
    /// Takes `stream` in; refuses it after [`Registry::close_all`].
    pub(super) fn add(self: &Arc<Self>, stream: TcpStream) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let address = stream.peer_addr()?.to_string();
        let stream = Arc::new(stream);
        let mut open = self.open.lock();
        if open.closed {
            return Err(stopped());
        }
        open.id_last += 1;
        let id = open.id_last;
        open.streams.insert(id, Arc::clone(&stream));
        Ok(Connection { stream, registry: Arc::clone(self), id, address })
    }

    /// Closes every socket, now and in future. Threads that wait for one return with an error.
    pub(super) fn close_all(&self) {
        let mut open = self.open.lock();
        open.closed = true;
        for stream in open.streams.values() {
            // The peer may have closed it first.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Connection {
    /// Ends both directions; threads that wait for this socket return.
    pub(super) fn close(&self) {
        // The peer may have closed it first.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Ends the own direction; what the peer still sends can be read.
    pub(super) fn close_write(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// How long a single read waits for bytes; at least 1 ms.
    pub(super) fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout.max(Duration::from_millis(1))))
    }

    /// How long a single write waits for room; at least 1 ms.
    pub(super) fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_write_timeout(Some(timeout.max(Duration::from_millis(1))))
    }

    /// Fills `bytes` before `deadline`, however slowly they drip in.
    pub(super) fn read_exact_by(&self, mut bytes: &mut [u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.set_read_timeout(left)?;
            match (&*self.stream).read(bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => bytes = &mut bytes[count..],
                Err(error) if is_timeout(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads and forgets what the peer still sends, until it closes, `deadline`, or `size_max`
    /// bytes. Closing a socket with unread bytes would destroy what was just written to the peer.
    pub(super) fn linger(&self, deadline: Instant, size_max: usize) {
        let mut buffer = [0; 16 * 1024];
        let mut size = 0;
        while size < size_max {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.set_read_timeout(left).is_err() {
                return;
            }
            match (&*self.stream).read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => size += count,
            }
        }
    }
}

impl Read for &Connection {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (&*self.stream).read(bytes)
    }
}

impl Write for &Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.stream).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
        self.registry.open.lock().streams.remove(&self.id);
    }
}

impl Stop {
    pub(super) fn new() -> Self {
        let (sender, receiver) = channel::bounded(0);
        Self { sender: Mutex::new(Some(sender)), receiver }
    }

    pub(super) fn tell(&self) {
        drop(self.sender.lock().take());
    }

    pub(super) fn is_told(&self) -> bool {
        self.receiver.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Waits for `pause`; true if told meanwhile.
    pub(super) fn wait(&self, pause: Duration) -> bool {
        self.receiver.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Connects to the first address of `address` that answers, on a thread of its own, because neither
/// resolving a name nor connecting can be interrupted. When `stop` is told, that thread is left to
/// end by itself: it holds nothing but the socket.
pub(super) fn dial(address: String, timeout: Duration, stop: &Stop) -> io::Result<TcpStream> {
    let (sender, receiver) = channel::bounded(1);
    thread::Builder::new().name("quorate-tcp-dial".to_owned()).spawn(move || {
        // Nobody waits any more if this fails.
        let _ = sender.send(connect(&address, timeout));
    })?;
    let mut select = Select::new();
    let dialed = select.recv(&receiver);
    select.recv(&stop.receiver);
    if select.ready() != dialed {
        return Err(stopped());
    }
    receiver.recv().unwrap_or_else(|_| Err(io::Error::other("the connecting thread failed")))
}

fn connect(address: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()?.take(ADDRESS_COUNT_MAX) {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether a read or write ended because its timeout passed; systems name that differently.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the transport is stopped")
}

/// How many addresses of one name are tried; each may take the whole timeout.
const ADDRESS_COUNT_MAX: usize = 8;
