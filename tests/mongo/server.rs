//! Fake server that implements the part of MongoDB's wire protocol that the store uses.
//!
//! It verifies that requests are well formed, that every write asks for majority and journal and every read for
//! majority, that transactions are atomic, that a lost reply at any step neither loses nor duplicates a tick, and the
//! texts of errors. It cannot verify a real server's planning, locking, replication and elections, the pipelines of the
//! views, users and TLS; a run with `MONGODB_URL` does.
//!
//! It follows MongoDB's documentation: an error aborts a transaction; a write to a document that another transaction
//! has changed conflicts; a transaction of a lost client holds its locks until it expires (after a second, instead of a
//! minute); a retried write or commit gets the first reply.

pub mod answer;
pub mod data;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use mongodb::bson::Document;

use data::State;

/// Opcode of a message.
const OP_MSG: i32 = 2_013;

/// Topology of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Standalone server, without transactions.
    Alone,
    /// Replica set with one member.
    ReplicaSet,
}

/// Fault injected into a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed, and the command is not executed.
    CutBefore,
    /// The command is executed, and the connection is closed instead of a reply.
    CutAfter,
    /// The command fails with an error code and a message.
    Refuse(i32, &'static str),
    /// The command fails with a write conflict.
    Conflict,
}

/// Running server, stopped when dropped.
pub struct MongoServer {
    port: u16,
    shared: Arc<Shared>,
}

pub struct Shared {
    kind: Kind,
    state: Mutex<State>,
    /// Faults of the next commands, by the command's name.
    faults: Mutex<HashMap<String, Vec<Fault>>>,
    counts: Mutex<HashMap<String, u32>>,
    connections: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MongoServer {
    pub fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            kind,
            state: Mutex::default(),
            faults: Mutex::default(),
            counts: Mutex::default(),
            connections: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if theirs.is_over.load(Ordering::SeqCst) {
                    return;
                }
                client.set_nodelay(true).unwrap();
                lock(&theirs.connections).push(client.try_clone().unwrap());
                let shared = Arc::clone(&theirs);
                thread::spawn(move || serve(&client, &shared, port));
            }
        });
        Self { port, shared }
    }

    /// URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Applies these faults to the next commands of this name, one each.
    pub fn fail(&self, command: &str, faults: &[Fault]) {
        lock(&self.shared.faults).entry(command.to_owned()).or_default().extend_from_slice(faults);
    }

    /// Number of commands received under a name.
    pub fn count(&self, command: &str) -> u32 {
        lock(&self.shared.counts).get(command).copied().unwrap_or(0)
    }

    /// Closes all open connections.
    pub fn cut_all(&self) {
        for connection in lock(&self.shared.connections).drain(..) {
            drop(connection.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.cut_all();
        // A connection wakes the listener, which then ends.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn serve(mut client: &TcpStream, shared: &Shared, port: u16) {
    while let Some((id, command)) = read(client) {
        let name = command.keys().next().cloned().unwrap_or_default();
        *lock(&shared.counts).entry(name.clone()).or_default() += 1;
        let fault = lock(&shared.faults).get_mut(&name).filter(|faults| !faults.is_empty()).map(|it| it.remove(0));
        let answer = match fault {
            Some(Fault::CutBefore) => break,
            Some(Fault::Refuse(code, words)) => answer::error(code, words, &[]),
            Some(Fault::Conflict) => answer::error(112, "WriteConflict error", &["TransientTransactionError"]),
            Some(Fault::CutAfter) | None => answer::answer(&shared.state, shared.kind, port, &name, &command),
        };
        if fault == Some(Fault::CutAfter) {
            break;
        }
        let body = answer.to_vec().unwrap();
        let mut message = Vec::with_capacity(21 + body.len());
        for number in [21 + body.len() as i32, 0, id, OP_MSG, 0] {
            message.extend_from_slice(&number.to_le_bytes());
        }
        message.push(0);
        message.extend_from_slice(&body);
        if client.write_all(&message).is_err() {
            break;
        }
    }
    drop(client.shutdown(Shutdown::Both));
}

/// Decodes a message into its number and command, with document sequences as arrays.
fn read(mut client: &TcpStream) -> Option<(i32, Document)> {
    let mut header = [0; 16];
    client.read_exact(&mut header).ok()?;
    let number = |at: usize| i32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    let mut body = vec![0; usize::try_from(number(0)).unwrap() - header.len()];
    client.read_exact(&mut body).ok()?;
    assert_eq!(number(12), OP_MSG, "a message of another kind");
    assert_eq!(&body[..4], [0; 4], "a message with flags");
    let (mut command, mut sequences) = (Document::new(), Vec::new());
    let mut rest = &body[4..];
    while let Some((kind, section)) = rest.split_first() {
        if *kind == 0 {
            rest = section;
            command = Document::from_reader(&mut rest).unwrap();
            continue;
        }
        let (mut section, after) = section.split_at(i32::from_le_bytes(section[..4].try_into().unwrap()) as usize);
        rest = after;
        section = &section[4..];
        let end = section.iter().position(|byte| *byte == 0).unwrap();
        let name = String::from_utf8(section[..end].to_vec()).unwrap();
        section = &section[end + 1..];
        let mut documents = Vec::new();
        while !section.is_empty() {
            documents.push(Document::from_reader(&mut section).unwrap());
        }
        sequences.push((name, documents));
    }
    for (name, documents) in sequences {
        command.insert(name, documents);
    }
    Some((number(4), command))
}
