//! TCP: callers that speak another language, lie, stall, or sit behind a bad line.
//!
//! The bytes are written by hand from `docs/wire_format.md`, not with the code under test.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_transport::{Transport, TransportError};
use quorate_types::MemberId;

use crate::tcp::{Member, WAIT_MAX, cluster, config, pair, wait_until};

const MESSAGE: u8 = 1;
const BULK: u8 = 2;

/// A handshake for member 2 from member 9.
fn hello(version: u16, kind: u8, cluster: u64, to: u64) -> Vec<u8> {
    let mut bytes = b"QRTH".to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend([kind, 0]);
    bytes.extend(cluster.to_be_bytes());
    bytes.extend(9_u64.to_be_bytes());
    bytes.extend(to.to_be_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    bytes
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).expect("tests send little").to_be_bytes();
    let checksum = crc32c::crc32c(&[&length, [kind].as_slice(), payload].concat());
    [&length, checksum.to_be_bytes().as_slice(), &[kind], payload].concat()
}

fn connect(member: &Member) -> TcpStream {
    let stream = TcpStream::connect(member.transport.local_addr()).expect("it listens");
    stream.set_read_timeout(Some(WAIT_MAX)).expect("the timeout is valid");
    stream
}

/// Sends a handshake and returns the code of the answer.
fn greet(stream: &mut TcpStream, hello: &[u8]) -> u8 {
    stream.write_all(hello).expect("the socket takes a few bytes");
    let mut answer = [0; 28];
    stream.read_exact(&mut answer).expect("every handshake is answered");
    assert_eq!(answer[..4], *b"QRTA");
    assert_eq!(answer[4..6], [0, 1], "the version");
    assert_eq!(answer[8..16], cluster().get().to_be_bytes());
    assert_eq!(answer[16..24], 2_u64.to_be_bytes());
    assert_eq!(answer[24..], crc32c::crc32c(&answer[..24]).to_be_bytes());
    answer[6]
}

/// A caller that was taken.
fn welcome(member: &Member, kind: u8) -> TcpStream {
    let mut stream = connect(member);
    assert_eq!(greet(&mut stream, &hello(1, kind, cluster().get(), 2)), 0);
    stream
}

fn assert_closed(stream: &mut TcpStream) {
    let read = stream.read(&mut [0; 64]);
    let reset = matches!(&read, Err(error) if error.kind() == io::ErrorKind::ConnectionReset);
    assert!(matches!(read, Ok(0)) || reset, "the connection is closed: {read:?}");
}

#[test]
fn garbage_is_hung_up_on() {
    let [first, second] = pair();
    let mut stream = connect(&second);
    stream.write_all(&[b'x'; 100]).expect("the socket takes a few bytes");
    assert_closed(&mut stream);
    wait_until("the count", || second.transport.stats().malformed == 1);
    let error = second.transport.stats().last_error.expect("it was noted");
    assert!(matches!(error, TransportError::MalformedFrame { .. }), "{error:?}");
    first.send_until_arrived(&second, "unharmed");
}

#[test]
fn strangers_get_a_reason() {
    let [_, second] = pair();
    let check = |expected, hello: &[u8]| {
        let mut stream = connect(&second);
        assert_eq!(greet(&mut stream, hello), expected);
        assert_closed(&mut stream);
    };
    check(1, &hello(1, MESSAGE, cluster().get() + 1, 2));
    check(2, &hello(1, MESSAGE, cluster().get(), 3));
    check(3, &hello(2, MESSAGE, cluster().get(), 2));
    let stats = second.transport.stats();
    let counts = (stats.refused_foreign, stats.refused_wrong_member, stats.refused_version);
    assert_eq!(counts, (1, 1, 1));
    assert_eq!(stats.malformed, 0);
}

#[test]
fn a_hand_written_message_arrives() {
    let [_, second] = pair();
    let mut stream = welcome(&second, MESSAGE);
    stream.write_all(&frame(1, b"by hand")).expect("the socket takes a few bytes");
    second.recorder.wait("the message", |seen| seen.messages.len() == 1);
    let expected = (MemberId::new(9), Bytes::from_static(b"by hand"));
    assert_eq!(second.recorder.seen().messages[0], expected);
}

#[test]
fn a_keep_alive_is_answered() {
    let [_, second] = pair();
    let mut stream = welcome(&second, MESSAGE);
    stream.write_all(&frame(2, b"")).expect("the socket takes a few bytes");
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).expect("the answer comes");
    assert_eq!(answer.to_vec(), frame(2, b""));
}

fn check_malformed(kind: u8, bytes: &[u8]) {
    let [first, second] = pair();
    let mut stream = welcome(&second, kind);
    stream.write_all(bytes).expect("the socket takes a few bytes");
    assert_closed(&mut stream);
    wait_until("the count", || second.transport.stats().malformed == 1);
    assert!(second.recorder.seen().messages.is_empty());
    first.send_until_arrived(&second, "unharmed");
}

#[test]
fn a_length_bomb_is_not_read() {
    check_malformed(MESSAGE, &[&[0xff; 4], [0; 64].as_slice()].concat());
    check_malformed(BULK, &[&[0xff; 4], [0; 64].as_slice()].concat());
}

#[test]
fn a_frame_without_content_is_malformed() {
    check_malformed(MESSAGE, &[0; 9]);
}

#[test]
fn frames_that_do_not_belong_are_malformed() {
    check_malformed(MESSAGE, &frame(4, b"a chunk among messages"));
    check_malformed(MESSAGE, &frame(77, b"an unknown kind"));
    check_malformed(BULK, &frame(4, b"a chunk before the header"));
}

/// Sends a bulk stream with the given frames after the header; the receiver must not take it.
fn check_bulk_fails(frames: &[Vec<u8>], malformed: u64) {
    let [_, second] = pair();
    let mut stream = welcome(&second, BULK);
    let bytes = [frame(3, b"header"), frames.concat()].concat();
    stream.write_all(&bytes).expect("the socket takes a few bytes");
    stream.shutdown(Shutdown::Write).expect("it is open");
    second.recorder.wait("the stream to fail", |seen| seen.bulk.len() == 1);
    assert!(second.recorder.seen().bulk[0].2.is_err(), "the stream looks complete");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the answer comes");
    assert_eq!(answer[8..10], [6, 1], "the answer is a refusal");
    assert_eq!(second.transport.stats().malformed, malformed);
}

#[test]
fn a_bulk_stream_must_add_up() {
    let end = |size: u64, content: &[u8]| {
        frame(5, &[&size.to_be_bytes(), crc32c::crc32c(content).to_be_bytes().as_slice()].concat())
    };
    let chunk = frame(4, b"content");
    check_bulk_fails(&[chunk.clone(), end(8, b"content")], 1);
    check_bulk_fails(&[chunk.clone(), end(7, b"another")], 1);
    check_bulk_fails(&[end(7, b"content")], 1);
    check_bulk_fails(&[chunk.clone(), frame(4, b"")], 1);
    check_bulk_fails(&[chunk.clone(), frame(1, b"a message")], 1);
    check_bulk_fails(&[chunk.clone(), frame(5, b"short")], 1);
    check_bulk_fails(&[frame(4, &[0; 256 * 1024 + 1])], 1);
    check_bulk_fails(&[chunk], 0);
}

#[test]
fn a_caller_that_says_nothing_is_hung_up_on() {
    let mut config = config(MemberId::new(2));
    config.handshake_timeout = Duration::from_millis(20);
    let member = Member::start(config);
    let mut silent = connect(&member);
    let mut slow = connect(&member);
    slow.write_all(b"QRTH").expect("the socket takes a few bytes");
    assert_closed(&mut silent);
    assert_closed(&mut slow);
    assert_eq!(member.transport.stats().handshakes_timed_out, 2);
}

#[test]
fn callers_above_the_limit_are_hung_up_on() {
    let mut config = config(MemberId::new(2));
    config.incoming_count_max = 2;
    let member = Member::start(config);
    let held = [welcome(&member, MESSAGE), welcome(&member, MESSAGE)];
    assert_closed(&mut connect(&member));
    wait_until("the count", || member.transport.stats().refused_busy == 1);
    drop(held);
    let deadline = Instant::now() + WAIT_MAX;
    let hello = hello(1, MESSAGE, cluster().get(), 2);
    loop {
        let mut stream = connect(&member);
        if stream.write_all(&hello).is_ok() && stream.read_exact(&mut [0; 28]).is_ok() {
            break;
        }
        assert!(Instant::now() < deadline, "the places were given back");
    }
}

#[test]
fn a_stop_does_not_wait_for_silent_connections() {
    let mut config = config(MemberId::new(2));
    config.handshake_timeout = Duration::from_secs(300);
    config.idle_timeout = Duration::from_secs(600);
    // This peer accepts, as its operating system does, but never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = deaf.local_addr().expect("it is bound").to_string();
    config.peers.insert(MemberId::new(1), address);
    let member = Member::start(config);
    let _half_open = connect(&member);
    let _idle = welcome(&member, MESSAGE);
    let _bulk = welcome(&member, BULK);
    member.transport.send(MemberId::new(1), Bytes::from_static(b"hello?"));
    let _dialed = deaf.accept().expect("the member calls");
    let begun = Instant::now();
    member.transport.stop();
    assert!(begun.elapsed() < Duration::from_secs(5), "stop took {:?}", begun.elapsed());
}

#[test]
fn a_peer_that_falls_silent_is_told_unreachable() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let mut config = config(MemberId::new(1));
    config.keep_alive_interval = Duration::from_millis(10);
    config.idle_timeout = Duration::from_millis(50);
    let address = silent.local_addr().expect("it is bound").to_string();
    config.peers.insert(MemberId::new(2), address);
    let member = Member::start(config);
    member.transport.send(MemberId::new(2), Bytes::from_static(b"hello?"));
    let (mut stream, _) = silent.accept().expect("the member calls");
    let mut answer = b"QRTA\0\x01\0\0".to_vec();
    answer.extend(cluster().get().to_be_bytes());
    answer.extend(2_u64.to_be_bytes());
    answer.extend(crc32c::crc32c(&answer).to_be_bytes());
    stream.read_exact(&mut [0; 36]).expect("the handshake comes");
    stream.write_all(&answer).expect("the socket takes a few bytes");
    member.recorder.wait("the silence to be told", |seen| !seen.unreachable.is_empty());
}

/// A line to `target` that flips one bit of the bytes sent towards it, in the first connection that
/// carries that many.
struct BadLine {
    address: String,
    flips_left: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicU64>,
}

impl BadLine {
    fn new(target: String, flip_at: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (flips_left, stop) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(0)));
        let (flips, stopped) = (Arc::clone(&flips_left), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut lines = Vec::new();
            for caller in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) == 1 {
                    break;
                }
                let Ok(callee) = TcpStream::connect(&target) else { continue };
                let back = (clone(&callee), clone(&caller));
                let flips = Arc::clone(&flips);
                lines.push(thread::spawn(move || carry(caller, callee, flip_at, &flips)));
                let none = AtomicU64::new(0);
                lines.push(thread::spawn(move || carry(back.0, back.1, 0, &none)));
            }
            for line in lines {
                line.join().expect("carrying bytes does not panic");
            }
        });
        Self { address, flips_left, thread: Some(thread), stop }
    }
}

impl Drop for BadLine {
    /// The members at both ends must be stopped before.
    fn drop(&mut self) {
        self.stop.store(1, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
        // A failed test unwinds with its members still running: their lines would not end.
        let thread = self.thread.take().filter(|_| !thread::panicking());
        if let Some(thread) = thread {
            thread.join().expect("the line does not panic");
        }
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("descriptors are left")
}

fn carry(mut from: TcpStream, mut to: TcpStream, flip_at: usize, flips_left: &AtomicU64) {
    let (mut buffer, mut carried) = ([0; 4096], 0);
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            break;
        }
        if (carried..carried + count).contains(&flip_at)
            && flips_left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok()
        {
            buffer[flip_at - carried] ^= 1;
        }
        carried += count;
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_flipped_bit_in_a_message_costs_the_connection_only() {
    // The length (above the limit then), the checksum, the kind, and the content of the first
    // frame.
    for offset in [36, 36 + 5, 36 + 8, 36 + 9 + 10] {
        let [first, second] = pair();
        let line = BadLine::new(second.address(), offset);
        first.transport.set_peer(second.id, line.address.clone()).expect("it is known");
        first.send_until_arrived(&second, "a message of some length");
        assert_eq!(line.flips_left.load(Ordering::SeqCst), 0, "the bit was flipped");
        wait_until("the count", || second.transport.stats().malformed == 1);
        let seen = second.recorder.seen();
        assert!(seen.messages.iter().all(|(_, message)| message == "a message of some length"));
        drop(seen);
        drop((first, second, line));
    }
}

#[test]
fn a_flipped_bit_in_a_bulk_stream_breaks_it() {
    let [first, second] = pair();
    let line = BadLine::new(second.address(), 100_000);
    first.transport.set_peer(second.id, line.address.clone()).expect("it is known");
    let content = vec![7; 1 << 20];
    let send = || {
        let mut sink = first.transport.open_bulk(second.id, Bytes::from_static(b"header"))?;
        let bulk =
            |error: io::Error| TransportError::Bulk { peer: second.id, detail: error.to_string() };
        sink.write_all(&content).map_err(bulk)?;
        sink.finish()
    };
    let error = send().expect_err("the stream breaks");
    assert!(error.is_outcome_unknown(), "{error:?}");
    send().expect("the line is good now");
    let seen = second.recorder.seen();
    assert!(seen.bulk[0].2.is_err());
    assert!(seen.bulk[1].2.as_ref() == Ok(&content));
    assert_eq!(second.transport.stats().malformed, 1);
    drop(seen);
    drop((first, second, line));
}
