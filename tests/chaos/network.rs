//! Tests of the fault-injecting proxy, on which the other tests rely.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::proxy::{Door, End, Faults, Network, Proxy};
use crate::support::server::free_port;
use crate::support::wait::wait_until;

const LIMIT: Duration = crate::support::wait::GUARD;

/// Long enough for bytes to arrive if any are sent.
const MOMENT: Duration = Duration::from_millis(200);

/// Echo server. Returns its port.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut writer = stream.try_clone().unwrap();
                // A client that closes the connection ends this thread, as some tests intend.
                drop(std::io::copy(&mut stream, &mut writer));
            });
        }
    });
    port
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Sends `text` and checks that it is echoed.
fn talk(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).unwrap();
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(heard, text);
}

/// Checks that nothing arrives for a moment.
fn assert_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    let heard = stream.read(&mut [0; 16]);
    assert!(matches!(&heard, Err(error) if error.kind() == ErrorKind::WouldBlock), "{heard:?}");
    stream.set_read_timeout(Some(LIMIT)).unwrap();
}

#[test]
fn a_good_network_changes_nothing() {
    let network = Network::new();
    let proxy = network.lead_to(echo(), 1);
    let mut stream = connect(&proxy);
    let text: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = text.clone();
    let writing = thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).unwrap();
    writing.join().unwrap();
    assert!(heard == text);
    assert_eq!((proxy.open().len(), proxy.came().len()), (1, 1));
    drop(stream);
    wait_until("the proxy to forget the connection", LIMIT, || proxy.open().is_empty());
}

#[test]
fn a_connection_ends_with_fin_or_with_reset() {
    let network = Network::new();
    let proxy = network.lead_to(echo(), 1);
    let (mut closed, mut broken, mut other) = (connect(&proxy), connect(&proxy), connect(&proxy));
    for stream in [&mut closed, &mut broken, &mut other] {
        talk(stream, b"hello");
    }
    proxy.end(0, End::Closed);
    assert_eq!(closed.read(&mut [0; 1]).unwrap(), 0);
    proxy.end(1, End::Reset);
    assert_eq!(broken.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    talk(&mut other, b"still here");
    assert_eq!(proxy.end_all(End::Reset), 1);
    assert_eq!(other.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_frozen_connection_stands_and_says_nothing_and_goes_on_afterwards() {
    let network = Network::new();
    let proxy = network.lead_to(echo(), 1);
    let (mut frozen, mut other) = (connect(&proxy), connect(&proxy));
    talk(&mut frozen, b"hello");
    talk(&mut other, b"hello");
    proxy.set_one(0, Some(Faults::FROZEN));
    frozen.write_all(b"is anybody there?").unwrap();
    assert_silent(&mut frozen);
    talk(&mut other, b"yes");
    proxy.set_one(0, None);
    let mut heard = [0; 17];
    frozen.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"is anybody there?");
    // One direction only: the server receives the request, and its reply is dropped.
    proxy.set(Faults { mute: true, ..Faults::NONE });
    frozen.write_all(b"and now?").unwrap();
    assert_silent(&mut frozen);
    proxy.set(Faults::NONE);
    frozen.read_exact(&mut heard[..8]).unwrap();
    assert_eq!(&heard[..8], b"and now?");
}

#[test]
fn a_door_is_silent_or_slammed() {
    let network = Network::new();
    let proxy = network.lead_to(echo(), 1);
    proxy.set(Faults { door: Door::Silent, ..Faults::NONE });
    let mut silent = connect(&proxy);
    // The system completes a connection before the proxy accepts it. The proxy applies the faults of the time of
    // acceptance.
    wait_until("the proxy to meet it", LIMIT, || proxy.came().len() == 1);
    silent.write_all(b"hello").unwrap();
    assert_silent(&mut silent);
    proxy.set(Faults { door: Door::Slammed, ..Faults::NONE });
    let mut slammed = connect(&proxy);
    let kind = slammed.read(&mut [0; 1]).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::ConnectionReset);
    proxy.set(Faults::NONE);
    // A connection accepted while the door was silent stays silent.
    assert_silent(&mut silent);
    talk(&mut connect(&proxy), b"hello");
    assert_eq!(proxy.came().len(), 3);
}

#[test]
fn where_no_server_listens_a_client_is_reset() {
    let network = Network::new();
    let proxy = network.lead_to(free_port(), 1);
    let kind = connect(&proxy).read(&mut [0; 1]).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::ConnectionReset);
}

#[test]
fn slices_rates_and_latency_hold_bytes_up_and_lose_none() {
    let network = Network::new();
    let proxy = network.lead_to(echo(), 1);
    let mut stream = connect(&proxy);
    proxy.set(Faults { slice_bytes: Some(3), ..Faults::NONE });
    stream.write_all(&[7; 100]).unwrap();
    let (mut reads, mut heard, mut buffer) = (0, 0, [0; 100]);
    while heard < 100 {
        let read = stream.read(&mut buffer).unwrap();
        assert!(buffer[..read].iter().all(|byte| *byte == 7));
        (reads, heard) = (reads + 1, heard + read);
    }
    assert!(reads > 1, "a hundred bytes in pieces of three at most came at once");
    let begun = Instant::now();
    proxy.set(Faults { bytes_per_s: Some(1_000), ..Faults::NONE });
    talk(&mut stream, &[8; 500]);
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    let begun = Instant::now();
    proxy.set(Faults { latency: Duration::from_millis(150), ..Faults::NONE });
    talk(&mut stream, b"hello");
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}
