//! Documents of the fake server, with their versions, and transactions with snapshot isolation.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use mongodb::bson::{Bson, Document, doc};

/// Lifetime of a transaction whose client is silent.
const EXPIRES: Duration = Duration::from_secs(1);

/// `_id` of a document, as bytes.
pub type Key = Vec<u8>;

/// Versions of a document with their times; `None` for a deletion.
type Versions = Vec<(u64, Option<Document>)>;

#[derive(Default)]
pub struct Collection {
    pub is_view: bool,
    documents: BTreeMap<Key, Versions>,
}

impl Collection {
    pub fn new(is_view: bool) -> Self {
        Self { is_view, ..Self::default() }
    }
}

pub struct Transaction {
    pub number: i64,
    started: u64,
    heard: Instant,
    pub phase: Phase,
    writes: BTreeMap<(String, Key), Option<Document>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Open,
    Committed,
    Aborted,
}

/// Write conflict with another transaction.
pub struct Conflict;

#[derive(Default)]
pub struct State {
    /// Collections by `database.collection`.
    pub collections: BTreeMap<String, Collection>,
    /// Transactions by session id.
    pub transactions: HashMap<Key, Transaction>,
    /// Replies to retryable writes, by session and number.
    pub answered: HashMap<(Key, i64), Document>,
    pub cursors: HashMap<i64, (String, VecDeque<Document>)>,
    pub cursors_opened: i64,
    clock: u64,
}

pub fn key_of(id: &Bson) -> Key {
    doc! { "": id.clone() }.to_vec().unwrap()
}

impl State {
    /// Aborts the transactions of lost clients.
    pub fn sweep(&mut self) {
        for transaction in self.transactions.values_mut() {
            if transaction.phase == Phase::Open && transaction.heard.elapsed() > EXPIRES {
                transaction.phase = Phase::Aborted;
            }
        }
    }

    pub fn begin(&mut self, session: Key, number: i64) {
        let started = self.clock;
        let transaction =
            Transaction { number, started, heard: Instant::now(), phase: Phase::Open, writes: BTreeMap::new() };
        self.transactions.insert(session, transaction);
    }

    /// Returns whether the session's transaction is open.
    pub fn open(&mut self, session: &Key, number: i64) -> bool {
        let found = self.transactions.get_mut(session).filter(|it| it.number == number && it.phase == Phase::Open);
        if let Some(transaction) = found {
            transaction.heard = Instant::now();
            return true;
        }
        false
    }

    pub fn abort(&mut self, session: &Key) {
        if let Some(transaction) = self.transactions.get_mut(session) {
            transaction.phase = Phase::Aborted;
        }
    }

    pub fn commit(&mut self, session: &Key) {
        self.clock += 1;
        let Some(transaction) = self.transactions.get_mut(session) else { return };
        transaction.phase = Phase::Committed;
        for ((namespace, key), document) in std::mem::take(&mut transaction.writes) {
            let collection = self.collections.entry(namespace).or_default();
            collection.documents.entry(key).or_default().push((self.clock, document));
        }
    }

    /// Writes one document, in the session's transaction or by itself.
    pub fn put(
        &mut self,
        namespace: &str,
        key: Key,
        document: Option<Document>,
        session: Option<&Key>,
    ) -> Result<(), Conflict> {
        let place = (namespace.to_owned(), key);
        let is_open = |it: &Transaction| it.phase == Phase::Open;
        let others = self.transactions.iter().filter(|(id, it)| Some(*id) != session && is_open(it));
        if others.clone().any(|(_, it)| it.writes.contains_key(&place)) {
            return Err(Conflict);
        }
        let versions = self.collections.get(namespace).and_then(|it| it.documents.get(&place.1));
        let newest = versions.and_then(|versions| versions.last()).map_or(0, |(since, _)| *since);
        match session.and_then(|session| self.transactions.get_mut(session)) {
            Some(transaction) => {
                if newest > transaction.started {
                    return Err(Conflict);
                }
                transaction.writes.insert(place, document);
            }
            None => {
                self.clock += 1;
                let collection = self.collections.entry(place.0).or_default();
                collection.documents.entry(place.1).or_default().push((self.clock, document));
            }
        }
        Ok(())
    }

    /// Returns a document as the session's transaction sees it, or its current version.
    pub fn get(&self, namespace: &str, key: &Key, session: Option<&Key>) -> Option<Document> {
        let transaction = session.and_then(|session| self.transactions.get(session));
        if let Some(own) = transaction.and_then(|it| it.writes.get(&(namespace.to_owned(), key.clone()))) {
            return own.clone();
        }
        let until = transaction.map_or(u64::MAX, |it| it.started);
        let versions = self.collections.get(namespace)?.documents.get(key)?;
        versions.iter().rev().find(|(since, _)| *since <= until)?.1.clone()
    }

    /// Returns all documents that match a filter, with their keys.
    pub fn matching(&self, namespace: &str, filter: &Document, session: Option<&Key>) -> Vec<(Key, Document)> {
        let keys: Vec<Key> = match filter.get("_id") {
            Some(Bson::Document(inner)) => inner.get_array("$in").unwrap().iter().map(key_of).collect(),
            Some(id) => vec![key_of(id)],
            None => self.collections.get(namespace).into_iter().flat_map(|it| it.documents.keys().cloned()).collect(),
        };
        let found = keys.into_iter().filter_map(|key| self.get(namespace, &key, session).map(|found| (key, found)));
        found.filter(|(_, document)| matches(document, filter)).collect()
    }
}

/// Compares two values of the same type.
pub fn compare(one: &Bson, other: &Bson) -> Option<Ordering> {
    match (one, other) {
        (Bson::Int64(one), Bson::Int64(other)) => Some(one.cmp(other)),
        (Bson::String(one), Bson::String(other)) => Some(one.cmp(other)),
        (Bson::DateTime(one), Bson::DateTime(other)) => Some(one.cmp(other)),
        (one, other) => (one == other).then_some(Ordering::Equal),
    }
}

fn matches(document: &Document, filter: &Document) -> bool {
    filter.iter().filter(|(name, _)| *name != "_id").all(|(name, wanted)| {
        let Some(value) = document.get(name) else { return false };
        let Bson::Document(conditions) = wanted else { return compare(value, wanted) == Some(Ordering::Equal) };
        conditions.iter().all(|(operator, bound)| {
            let order = compare(value, bound);
            match operator.as_str() {
                "$lt" => order == Some(Ordering::Less),
                "$lte" => order.is_some_and(Ordering::is_le),
                "$gt" => order == Some(Ordering::Greater),
                "$gte" => order.is_some_and(Ordering::is_ge),
                other => panic!("this server knows no {other}"),
            }
        })
    })
}

/// Applies an update to a document, or to `None` for an upsert. Returns the result.
pub fn updated(before: Option<&Document>, filter: &Document, update: &Document) -> Document {
    let plain = filter.iter().filter(|(_, value)| !matches!(value, Bson::Document(_)));
    let mut after = before.cloned().unwrap_or_else(|| plain.map(|(name, it)| (name.clone(), it.clone())).collect());
    for (operator, fields) in update {
        for (name, value) in fields.as_document().unwrap() {
            let known = after.get(name);
            let is_greater = known.is_none_or(|known| compare(known, value) == Some(Ordering::Less));
            match operator.as_str() {
                "$set" => drop(after.insert(name.clone(), value.clone())),
                "$setOnInsert" if before.is_none() => drop(after.insert(name.clone(), value.clone())),
                "$max" if is_greater => drop(after.insert(name.clone(), value.clone())),
                "$inc" => {
                    let sum = known.and_then(Bson::as_i64).unwrap_or(0) + value.as_i64().unwrap();
                    drop(after.insert(name.clone(), sum));
                }
                "$setOnInsert" | "$max" => {}
                other => panic!("this server knows no {other}"),
            }
        }
    }
    after
}
