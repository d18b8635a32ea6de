//! Replies of the fake server.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mongodb::bson::{Bson, Document, doc};

use super::Kind;
use super::data::{Collection, Conflict, Key, Phase, State, compare, key_of, updated};

/// Longest wait of a write outside a transaction for a conflicting one: a transaction's lifetime.
const WAIT: Duration = Duration::from_secs(5);

/// Documents in the first and in further replies of a cursor, few enough to need several.
const BATCH: usize = 101;
const NEXT_BATCH: usize = 3_000;

const TRANSIENT: &[&str] = &["TransientTransactionError"];

/// Names of the writing commands.
const WRITES: [&str; 4] = ["insert", "update", "delete", "findAndModify"];

pub fn error(code: i32, words: &str, labels: &[&str]) -> Document {
    doc! { "ok": 0.0, "code": code, "codeName": "Error", "errmsg": words, "errorLabels": labels.to_vec() }
}

/// Failure of a command.
struct Refusal(Document);

impl From<Conflict> for Refusal {
    fn from(_: Conflict) -> Self {
        Self(error(112, "WriteConflict error: this operation conflicted with another operation", TRANSIENT))
    }
}

fn is(document: &Document, name: &str, value: impl Into<Bson>) -> bool {
    document.get(name) == Some(&value.into())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn answer(state: &Mutex<State>, kind: Kind, port: u16, name: &str, command: &Document) -> Document {
    match name {
        "hello" | "isMaster" => return hello(kind, port),
        "ping" | "endSessions" | "killCursors" => return doc! { "ok": 1.0 },
        "saslStart" => return error(18, "Authentication failed.", &[]),
        _ => {}
    }
    let session = command.get_document("lsid").ok().map(|id| id.to_vec().unwrap());
    let number = command.get_i64("txnNumber").ok();
    if let Some((session, number)) = session.zip(number) {
        if kind == Kind::Alone {
            return error(20, "Transaction numbers are only allowed on a replica set member or mongos", &[]);
        }
        if is(command, "autocommit", false) {
            return in_transaction(&mut lock(state), name, command, &session, number);
        }
        let place = (session, number);
        if let Some(first) = lock(state).answered.get(&place) {
            return first.clone();
        }
        let answer = alone(state, name, command);
        lock(state).answered.insert(place, answer.clone());
        return answer;
    }
    alone(state, name, command)
}

fn hello(kind: Kind, port: u16) -> Document {
    let mut answer = doc! {
        "ok": 1.0, "helloOk": true, "ismaster": true, "isWritablePrimary": true, "minWireVersion": 0,
        "maxWireVersion": 21, "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 4_000, "logicalSessionTimeoutMinutes": 30, "readOnly": false,
    };
    if kind == Kind::ReplicaSet {
        let me = format!("127.0.0.1:{port}");
        answer.extend(doc! { "setName": "r", "setVersion": 1, "hosts": [&me], "primary": &me, "me": &me });
        answer.insert("secondary", false);
    }
    answer
}

/// Runs a command outside a transaction; waits for conflicting transactions.
fn alone(state: &Mutex<State>, name: &str, command: &Document) -> Document {
    let concern = command.get_document("writeConcern").cloned().unwrap_or_default();
    let is_durable = is(&concern, "w", "majority") && is(&concern, "j", true);
    if WRITES.contains(&name) && !is_durable {
        return error(79, "this server takes durable writes only", &[]);
    }
    let level = command.get_document("readConcern").ok().and_then(|concern| concern.get_str("level").ok());
    if ["find", "distinct"].contains(&name) && level != Some("majority") {
        return error(72, "this server is asked for what a majority has only", &[]);
    }
    let give_up = Instant::now() + WAIT;
    loop {
        let done = {
            let mut state = lock(state);
            state.sweep();
            act(&mut state, name, command, None)
        };
        match done {
            Err(Refusal(error)) if is(&error, "code", 112) && Instant::now() < give_up => {}
            Err(Refusal(error)) => return error,
            Ok(answer) => return answer,
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn in_transaction(state: &mut State, name: &str, command: &Document, session: &Key, number: i64) -> Document {
    state.sweep();
    let known = state.transactions.get(session).filter(|it| it.number == number).map(|it| it.phase);
    match (name, known) {
        ("commitTransaction", Some(Phase::Committed)) => return doc! { "ok": 1.0 },
        ("commitTransaction", Some(Phase::Open)) => {
            state.commit(session);
            return doc! { "ok": 1.0 };
        }
        ("abortTransaction", Some(Phase::Open)) => {
            state.abort(session);
            return doc! { "ok": 1.0 };
        }
        ("commitTransaction" | "abortTransaction", _) => {
            return error(251, "Given transaction number does not match any in-progress transactions", &[]);
        }
        _ => {}
    }
    if command.contains_key("writeConcern") {
        return error(72, "a command of a transaction has no write concern", &[]);
    }
    if is(command, "startTransaction", true) {
        let level = command.get_document("readConcern").ok().and_then(|concern| concern.get_str("level").ok());
        if level != Some("snapshot") {
            return error(72, "this server is asked for snapshots only", &[]);
        }
        state.begin(session.clone(), number);
    } else if !state.open(session, number) {
        return error(251, "Transaction has been aborted.", TRANSIENT);
    }
    let answer = act(state, name, command, Some(session)).unwrap_or_else(|Refusal(error)| error);
    if !is(&answer, "ok", 1.0) || answer.contains_key("writeErrors") {
        state.abort(session);
    }
    answer
}

fn act(state: &mut State, name: &str, command: &Document, session: Option<&Key>) -> Result<Document, Refusal> {
    let database = command.get_str("$db").unwrap();
    let namespace = format!("{database}.{}", command.get_str(name).unwrap_or_default());
    match name {
        "insert" => insert(state, &namespace, command, session),
        "update" => update(state, &namespace, command, session),
        "delete" => delete(state, &namespace, command, session),
        "findAndModify" => {
            let (filter, change) = (command.get_document("query").unwrap(), command.get_document("update").unwrap());
            let (_, after) = change_one(state, &namespace, filter, change, true, session)?;
            Ok(doc! { "ok": 1.0, "value": after })
        }
        "find" => Ok(find(state, &namespace, command, session)),
        "getMore" => {
            let id = command.get_i64("getMore").unwrap();
            let Some((namespace, mut rest)) = state.cursors.remove(&id) else {
                return Err(Refusal(error(43, "cursor id not found", &[])));
            };
            let batch: Vec<Document> = rest.drain(..rest.len().min(NEXT_BATCH)).collect();
            let id = if rest.is_empty() { 0 } else { id };
            if id != 0 {
                state.cursors.insert(id, (namespace.clone(), rest));
            }
            Ok(doc! { "ok": 1.0, "cursor": { "id": id, "ns": namespace, "nextBatch": batch } })
        }
        "distinct" => {
            let field = command.get_str("key").unwrap();
            let all = state.matching(&namespace, &Document::new(), session);
            let names: BTreeSet<&str> = all.iter().filter_map(|(_, it)| it.get_str(field).ok()).collect();
            Ok(doc! { "ok": 1.0, "values": names.into_iter().collect::<Vec<_>>() })
        }
        "create" if state.collections.contains_key(&namespace) => Err(Refusal(error(48, "already exists", &[]))),
        "create" | "createIndexes" => {
            let is_view = command.contains_key("viewOn");
            state.collections.entry(namespace).or_insert_with(|| Collection::new(is_view));
            Ok(doc! { "ok": 1.0 })
        }
        "listCollections" => {
            let all = state.collections.iter().filter_map(|(name, it)| {
                let name = name.strip_prefix(&format!("{database}."))?;
                Some(doc! { "name": name, "type": if it.is_view { "view" } else { "collection" } })
            });
            let all: Vec<Document> = all.collect();
            Ok(doc! { "ok": 1.0, "cursor": { "id": 0_i64, "ns": format!("{database}.$cmd"), "firstBatch": all } })
        }
        "dropDatabase" => {
            state.collections.retain(|name, _| !name.starts_with(&format!("{database}.")));
            Ok(doc! { "ok": 1.0 })
        }
        other => Err(Refusal(error(59, &format!("no such command: '{other}'"), &[]))),
    }
}

fn documents<'a>(command: &'a Document, name: &str) -> impl Iterator<Item = &'a Document> {
    command.get_array(name).unwrap().iter().map(|it| it.as_document().unwrap())
}

fn insert(state: &mut State, namespace: &str, command: &Document, session: Option<&Key>) -> Result<Document, Refusal> {
    let (mut inserted, mut errors) = (0, Vec::new());
    for (index, document) in documents(command, "documents").enumerate() {
        let key = key_of(document.get("_id").unwrap());
        if state.get(namespace, &key, session).is_some() {
            let words = format!("E11000 duplicate key error collection: {namespace} index: _id_");
            errors.push(doc! { "index": index as i32, "code": 11_000, "errmsg": words });
            if session.is_some() || !is(command, "ordered", false) {
                break;
            }
        } else {
            state.put(namespace, key, Some(document.clone()), session)?;
            inserted += 1;
        }
    }
    let mut answer = doc! { "ok": 1.0, "n": inserted };
    if !errors.is_empty() {
        answer.insert("writeErrors", errors);
    }
    Ok(answer)
}

/// Applies an update. Returns whether the document existed, and its new form.
fn change_one(
    state: &mut State,
    namespace: &str,
    filter: &Document,
    change: &Document,
    upsert: bool,
    session: Option<&Key>,
) -> Result<(bool, Option<Document>), Refusal> {
    let found = state.matching(namespace, filter, session).into_iter().next();
    if found.is_none() && !upsert {
        return Ok((false, None));
    }
    let before = found.as_ref().map(|(_, document)| document);
    let after = updated(before, filter, change);
    if before != Some(&after) {
        let key = key_of(after.get("_id").unwrap());
        state.put(namespace, key, Some(after.clone()), session)?;
    }
    Ok((found.is_some(), Some(after)))
}

fn update(state: &mut State, namespace: &str, command: &Document, session: Option<&Key>) -> Result<Document, Refusal> {
    let mut answer = doc! { "ok": 1.0 };
    let mut matched = 0;
    for (index, one) in documents(command, "updates").enumerate() {
        let (filter, change) = (one.get_document("q").unwrap(), one.get_document("u").unwrap());
        let upsert = one.get_bool("upsert").unwrap_or(false);
        let (was_there, after) = change_one(state, namespace, filter, change, upsert, session)?;
        matched += i32::from(after.is_some());
        if let Some(after) = after.filter(|_| !was_there) {
            let id = after.get("_id").cloned().unwrap();
            answer.insert("upserted", vec![doc! { "index": index as i32, "_id": id }]);
        }
    }
    answer.extend(doc! { "n": matched, "nModified": matched });
    Ok(answer)
}

fn delete(state: &mut State, namespace: &str, command: &Document, session: Option<&Key>) -> Result<Document, Refusal> {
    let mut deleted = 0;
    for one in documents(command, "deletes") {
        for (key, _) in state.matching(namespace, one.get_document("q").unwrap(), session) {
            state.put(namespace, key, None, session)?;
            deleted += 1;
        }
    }
    Ok(doc! { "ok": 1.0, "n": deleted })
}

fn find(state: &mut State, namespace: &str, command: &Document, session: Option<&Key>) -> Document {
    let filter = command.get_document("filter").cloned().unwrap_or_default();
    let number = |name: &str| command.get(name).and_then(|it| it.as_i64().or(it.as_i32().map(i64::from)));
    let mut found: Vec<Document> = state.matching(namespace, &filter, session).into_iter().map(|it| it.1).collect();
    if let Some((field, way)) = command.get_document("sort").ok().and_then(|sort| sort.iter().next()) {
        found.sort_by(|one, other| {
            let order = one.get(field).zip(other.get(field)).and_then(|(one, other)| compare(one, other)).unwrap();
            if *way == Bson::Int32(-1) { order.reverse() } else { order }
        });
    }
    let skip = number("skip").map_or(0, |skip| skip as usize).min(found.len());
    let limit = number("limit").filter(|limit| *limit > 0).map_or(usize::MAX, |limit| limit as usize);
    let mut found: VecDeque<Document> = found.into_iter().skip(skip).take(limit).collect();
    if let Ok(fields) = command.get_document("projection") {
        for document in &mut found {
            let kept = document.iter().filter(|(name, _)| *name == "_id" || fields.contains_key(name));
            *document = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        }
    }
    let batch: Vec<Document> = found.drain(..found.len().min(BATCH)).collect();
    let mut id = 0;
    if !found.is_empty() {
        state.cursors_opened += 1;
        id = state.cursors_opened;
        state.cursors.insert(id, (namespace.to_owned(), found));
    }
    doc! { "ok": 1.0, "cursor": { "id": id, "ns": namespace, "firstBatch": batch } }
}
