//! Ticks as documents, and their unique `_id`.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use mongodb::bson::raw::cstr;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, RawDocument, RawDocumentBuf, doc};
use mongodb::error::Error;
use mongodb::{ClientSession, Collection};

use crate::model::StreamId;
use crate::storage::db::backend::{
    Failure, Identifier, Identity, N_STEP, OUTLIER, StoreError, StoreResult, StoredTick, flags,
};
use crate::storage::db::{RowBatch, TickRow};

/// Rows of one lookup: some MB of keys, of the 16 MB that a request may have.
const LOOKUP_ROWS: usize = 10_000;

/// Document of `ticks`, and its `_id`.
#[derive(Debug, Clone)]
pub(super) struct TickDocument {
    pub(super) id: Vec<u8>,
    pub(super) document: RawDocumentBuf,
}

/// Concatenates the parts of the key, texts prefixed by their lengths, so that different keys have different bytes.
/// Symbol and time come first: neighbours in time are neighbours in the index. A tick without identity is unique by its
/// `n`.
fn id_of(tick: &TickRow, identity: Identity<&str>, n: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 + tick.symbol.len());
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    text(&mut bytes, &tick.symbol);
    bytes.extend_from_slice(&tick.time_ns.to_be_bytes());
    match identity {
        Identity::None => {
            bytes.push(0);
            bytes.extend_from_slice(&n.to_be_bytes());
        }
        Identity::Sequence { source, seq } => {
            bytes.push(1);
            text(&mut bytes, source);
            bytes.extend_from_slice(&seq.to_be_bytes());
        }
        Identity::Entry { stream, id, part } => {
            bytes.push(2);
            text(&mut bytes, stream);
            bytes.extend_from_slice(&id.ms.to_be_bytes());
            bytes.extend_from_slice(&id.seq.to_be_bytes());
            bytes.extend_from_slice(&part.to_be_bytes());
        }
    }
    // -0 and 0 are the same price.
    let price = if tick.price == 0.0 { 0 } else { tick.price.to_bits() };
    bytes.extend_from_slice(&price.to_be_bytes());
    bytes
}

fn binary(id: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: id.to_vec() }
}

fn document(tick: &TickRow, stream: Option<&str>, id: &[u8], n: i64) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), binary(id));
    document.append(cstr!("symbol"), tick.symbol.as_str());
    document.append(cstr!("time_ns"), tick.time_ns);
    document.append(cstr!("price"), tick.price);
    document.append(cstr!("n"), n);
    if let Some(size) = tick.size {
        document.append(cstr!("size"), size);
    }
    if let Some(source) = &tick.source {
        document.append(cstr!("source"), source.as_str());
    }
    if let Some(seq) = tick.seq {
        document.append(cstr!("seq"), seq.cast_signed());
    }
    if let Some((stream, id)) = stream.zip(tick.id) {
        document.append(cstr!("stream"), stream);
        document.append(cstr!("id_ms"), id.ms.cast_signed());
        document.append(cstr!("id_seq"), id.seq.cast_signed());
    }
    if let Some(flags) = flags(tick) {
        document.append(cstr!("flags"), i32::from(flags));
    }
    document
}

/// Documents for all ticks, sorted and deduplicated by key, and the number of duplicates. Sorted keys suit the index,
/// and two writers with the same rows conflict at the first one.
pub(super) fn encode(batches: &[RowBatch], n: i64) -> StoreResult<(Vec<TickDocument>, u64)> {
    let overflow = || StoreError::new(Failure::Lost, "the counter in the collection meta is out of range");
    let first_n = n.checked_mul(N_STEP).ok_or_else(overflow)?;
    let mut rows = Vec::new();
    for batch in batches {
        let stream = batch.stream.as_deref();
        let mut identifier = Identifier::default();
        for tick in &batch.ticks {
            let n = first_n + rows.len() as i64;
            let id = id_of(tick, identifier.identify(tick, tick.source.as_deref(), stream), n);
            let document = document(tick, stream, &id, n);
            rows.push(TickDocument { id, document });
        }
    }
    let count = rows.len();
    // The sort is stable: of equal keys, the first to arrive remains.
    rows.sort_by(|one, other| one.id.cmp(&other.id));
    rows.dedup_by(|next, first| next.id == first.id);
    let duplicates = (count - rows.len()) as u64;
    Ok((rows, duplicates))
}

/// `_id` and `n` of those rows that are stored already.
pub(super) async fn find_stored(
    ticks: &Collection<RawDocumentBuf>,
    session: &mut ClientSession,
    rows: &[TickDocument],
) -> Result<HashMap<Vec<u8>, i64, RandomState>, Error> {
    let mut stored = HashMap::default();
    for rows in rows.chunks(LOOKUP_ROWS) {
        let ids: Vec<Bson> = rows.iter().map(|row| Bson::Binary(binary(&row.id))).collect();
        let found = ticks.find(doc! { "_id": { "$in": ids } }).projection(doc! { "n": 1 }).session(&mut *session);
        let mut found = found.await?;
        while found.advance(session).await? {
            let row = found.current();
            stored.insert(row.get_binary("_id")?.bytes.to_vec(), row.get_i64("n")?);
        }
    }
    Ok(stored)
}

pub(super) fn decode(row: &RawDocument) -> Result<StoredTick, Error> {
    let number = |name: &str| row.get_i64(name).ok().map(i64::cast_unsigned);
    let tick = TickRow {
        symbol: row.get_str("symbol")?.into(),
        time_ns: row.get_i64("time_ns")?,
        price: row.get_f64("price")?,
        size: row.get_f64("size").ok(),
        source: row.get_str("source").ok().map(Into::into),
        seq: number("seq"),
        id: number("id_ms").zip(number("id_seq")).map(|(ms, seq)| StreamId { ms, seq }),
        outlier: row.get_i32("flags").is_ok_and(|flags| flags & i32::from(OUTLIER) != 0),
    };
    Ok(StoredTick { n: row.get_i64("n")?, tick })
}
