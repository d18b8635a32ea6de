//! TCP proxy that injects network faults between a program and its server.
//!
//! [`Faults`] describes the faults of a connection. They can be changed at any time, for all connections or for one.
//! The sizes of pieces come from a seed. As with TCP, bytes are never duplicated or reordered.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Maximum number of bytes per read.
const PIECE_BYTES: usize = 16 << 10;

/// Handling of new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Door {
    /// Connections are forwarded to the server.
    #[default]
    Open,
    /// Connections are accepted, and no data is forwarded.
    Silent,
    /// Connections are reset immediately.
    Slammed,
}

/// Faults of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Handling of new connections.
    pub door: Door,
    /// No data reaches the server; the sockets stay open.
    pub deaf: bool,
    /// No data reaches the client, and no end of stream either.
    pub mute: bool,
    /// Bandwidth in bytes per second, in each direction.
    pub bytes_per_s: Option<u32>,
    /// Delay of each piece.
    pub latency: Duration,
    /// Data is forwarded in pieces of 1 up to this number of bytes, each in a separate packet.
    pub slice_bytes: Option<usize>,
}

impl Faults {
    /// Network without faults.
    pub const NONE: Self = Self {
        door: Door::Open,
        deaf: false,
        mute: false,
        bytes_per_s: None,
        latency: Duration::ZERO,
        slice_bytes: None,
    };

    /// Peer that accepts connections and never responds.
    pub const FROZEN: Self = Self { door: Door::Silent, deaf: true, mute: true, ..Self::NONE };

    fn stops(&self, way: Way) -> bool {
        match way {
            Way::ToServer => self.deaf,
            Way::ToClient => self.mute,
        }
    }
}

/// Way in which a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Orderly, as by a process that exits (FIN).
    Closed,
    /// Aborted (RST).
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// Instructions to one connection.
#[derive(Debug, Clone, Copy, Default)]
struct Order {
    /// Faults of this connection, in place of those of all connections.
    faults: Option<Faults>,
    end: Option<End>,
}

struct Shared {
    server_port: u16,
    seed: u64,
    faults: watch::Sender<Faults>,
    /// Open connections, by number, counted from 0.
    open: Mutex<BTreeMap<u64, watch::Sender<Order>>>,
    /// Time at which each connection was accepted.
    came: Mutex<Vec<Instant>>,
}

/// Set of proxies that run on one thread.
pub struct Network {
    runtime: Runtime,
}

/// One proxy address, forwarded to a server.
#[derive(Clone)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Network {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime }
    }

    /// Starts a proxy from a free port of this machine to `server_port`.
    pub fn lead_to(&self, server_port: u16, seed: u64) -> Proxy {
        let listener = self.runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server_port,
            seed,
            faults: watch::Sender::new(Faults::NONE),
            open: Mutex::default(),
            came: Mutex::default(),
        });
        self.runtime.spawn(accept(listener, Arc::clone(&shared)));
        Proxy { port, shared }
    }
}

impl Proxy {
    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sets the faults of all current and future connections.
    pub fn set(&self, faults: Faults) {
        self.shared.faults.send_replace(faults);
    }

    /// Sets the faults of one connection, in place of those of all connections; `None` removes them again.
    pub fn set_one(&self, number: u64, faults: Option<Faults>) {
        self.order(number, |order| order.faults = faults);
    }

    /// Closes one connection.
    pub fn end(&self, number: u64, how: End) {
        self.order(number, |order| order.end = Some(how));
    }

    /// Closes all connections and returns their number.
    pub fn end_all(&self, how: End) -> usize {
        let open = self.open();
        for number in &open {
            self.end(*number, how);
        }
        open.len()
    }

    /// Numbers of the open connections, oldest first.
    pub fn open(&self) -> Vec<u64> {
        self.shared.open.lock().unwrap().keys().copied().collect()
    }

    /// Time at which each connection was accepted, including those that were then reset.
    pub fn came(&self) -> Vec<Instant> {
        self.shared.came.lock().unwrap().clone()
    }

    fn order(&self, number: u64, change: impl FnOnce(&mut Order)) {
        if let Some(orders) = self.shared.open.lock().unwrap().get(&number) {
            orders.send_modify(change);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        // This is read before the connection is counted.
        let door = shared.faults.borrow().door;
        let number = {
            let mut came = shared.came.lock().unwrap();
            came.push(Instant::now());
            came.len() as u64 - 1
        };
        let orders = watch::Sender::new(Order::default());
        let control = Control { faults: shared.faults.subscribe(), order: orders.subscribe() };
        shared.open.lock().unwrap().insert(number, orders);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            serve(client, &shared, (number, door), control).await;
            shared.open.lock().unwrap().remove(&number);
        });
    }
}

async fn serve(mut client: TcpStream, shared: &Shared, (number, door): (u64, Door), mut control: Control) {
    match door {
        Door::Open => {}
        Door::Slammed => return reset(&client),
        Door::Silent => {
            let mut heard = [0; 1024];
            let listening = async { while let Ok(1..) = client.read(&mut heard).await {} };
            let ended = tokio::select! {
                () = listening => None,
                end = control.ended() => Some(end),
            };
            if ended == Some(End::Reset) {
                reset(&client);
            }
            return;
        }
    }
    // If no server is listening, a direct connection would be refused. A reset is the closest equivalent.
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.server_port)).await else {
        return reset(&client);
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let rng = |way: u64| ChaCha8Rng::seed_from_u64(shared.seed ^ (number << 1) ^ way);
    let up = Pump { way: Way::ToServer, control: control.clone(), rng: rng(0) };
    let down = Pump { way: Way::ToClient, control: control.clone(), rng: rng(1) };
    let ended = tokio::select! {
        end = control.ended() => Some(end),
        carried = async { tokio::try_join!(up.carry(from_client, to_server), down.carry(from_server, to_client)) } => {
            // An error on one side resets both.
            carried.is_err().then_some(End::Reset)
        }
    };
    if ended == Some(End::Reset) {
        reset(&client);
        reset(&server);
    }
}

/// Makes the socket send a reset when it is closed.
fn reset(stream: &TcpStream) {
    // This fails only if the connection is already closed, where it has no effect.
    drop(SockRef::from(stream).set_linger(Some(Duration::ZERO)));
}

/// View of a connection on its faults and orders.
#[derive(Clone)]
struct Control {
    faults: watch::Receiver<Faults>,
    order: watch::Receiver<Order>,
}

impl Control {
    fn faults(&self) -> Faults {
        self.order.borrow().faults.unwrap_or(*self.faults.borrow())
    }

    /// Resolves once this direction is not blocked.
    async fn passable(&mut self, way: Way) {
        while self.faults().stops(way) {
            let changed = tokio::select! {
                changed = self.faults.changed() => changed,
                changed = self.order.changed() => changed,
            };
            if changed.is_err() {
                // The proxy has been dropped.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Resolves when the connection must be closed.
    async fn ended(&mut self) -> End {
        let ended = self.order.wait_for(|order| order.end.is_some()).await.map(|order| order.end);
        match ended {
            Ok(Some(end)) => end,
            _ => std::future::pending().await,
        }
    }
}

/// One direction of a connection.
struct Pump {
    way: Way,
    control: Control,
    rng: ChaCha8Rng,
}

impl Pump {
    async fn carry(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            self.control.passable(self.way).await;
            let read = from.read(&mut buffer).await?;
            // Data or an end of stream that arrived just before the direction was blocked is blocked as well.
            self.control.passable(self.way).await;
            if read == 0 {
                return to.shutdown().await;
            }
            let mut rest = &buffer[..read];
            while !rest.is_empty() {
                self.control.passable(self.way).await;
                let (piece, pause) = self.piece(rest.len());
                tokio::time::sleep(pause).await;
                to.write_all(&rest[..piece]).await?;
                rest = &rest[piece..];
            }
        }
    }

    /// Returns the number of the `count` bytes to forward next, and the pause before it.
    fn piece(&mut self, count: usize) -> (usize, Duration) {
        let faults = self.control.faults();
        let mut piece = count;
        if let Some(max) = faults.slice_bytes {
            piece = self.rng.random_range(1..=max).min(piece);
        }
        let mut pause = faults.latency;
        if let Some(rate) = faults.bytes_per_s {
            // Twenty pieces per second, so that a slow connection does not have long pauses.
            piece = piece.min((rate as usize / 20).max(1));
            pause += Duration::from_secs_f64(piece as f64 / f64::from(rate));
        }
        if pause.is_zero() && faults.slice_bytes.is_some() {
            // Packets sent without a pause may be coalesced.
            pause = Duration::from_micros(200);
        }
        (piece, pause)
    }
}
