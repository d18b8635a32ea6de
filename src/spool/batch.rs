//! Batch of messages in one contiguous buffer, which needs no allocation for each message.

use crate::spool::SequenceRange;

/// Ordered messages with consecutive numbers. The oldest can be removed one by one.
///
/// # Examples
/// ```
/// use tickscope::spool::Batch;
///
/// let mut batch = Batch::default();
/// batch.set_first_number(1);
/// batch.push(None, |out| out.extend_from_slice(b"{}"));
/// assert_eq!(batch.len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Batch {
    /// Number of the oldest message.
    first: u64,
    /// The messages are in the spool, and stay there until they are confirmed.
    pub(crate) spooled: bool,
    payloads: Vec<u8>,
    /// End offset of each payload in `payloads`.
    ends: Vec<usize>,
    /// Display line of each message; shorter than `ends` if the last messages have none.
    lines: Vec<Option<String>>,
    /// Number of messages removed from the front.
    removed: usize,
}

impl Batch {
    /// Appends a message; `write` appends its bytes to the buffer. `line` is displayed once the server has confirmed
    /// the message, and must be safe for a terminal.
    pub fn push(&mut self, line: Option<String>, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.payloads);
        if line.is_some() {
            self.lines.resize(self.ends.len(), None);
            self.lines.push(line);
        }
        self.ends.push(self.payloads.len());
    }

    /// Sets the number of the first message, from which the following ones count on. Call it on an empty batch only.
    pub fn set_first_number(&mut self, first: u64) {
        self.first = first;
    }

    /// Numbers of all messages; `None` if the batch is empty.
    pub(crate) fn range(&self) -> Option<SequenceRange> {
        (!self.is_empty()).then(|| SequenceRange { first: self.first, last: self.first + self.len() as u64 - 1 })
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.ends.len() - self.removed
    }

    /// Returns true if there are no messages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all messages and keeps the memory.
    pub fn clear(&mut self) {
        self.payloads.clear();
        self.ends.clear();
        self.lines.clear();
        self.removed = 0;
        self.spooled = false;
    }

    /// Bytes of each message, in order.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[self.removed..];
        ends.iter().scan(self.start(), |start, end| Some(&self.payloads[std::mem::replace(start, *end)..*end]))
    }

    /// Display line of the oldest message.
    pub(crate) fn line(&self) -> Option<&str> {
        self.lines.get(self.removed)?.as_deref()
    }

    /// Removes the `count` oldest messages, or all.
    pub(crate) fn skip(&mut self, count: usize) {
        if count >= self.len() {
            self.clear();
        } else {
            self.removed += count;
            self.first += count as u64;
        }
    }

    /// Moves the `count` oldest messages, or all, into a new batch.
    pub(crate) fn split(&mut self, count: usize) -> Self {
        if count >= self.len() {
            return std::mem::take(self);
        }
        let mut front = Self { spooled: self.spooled, ..Self::default() };
        front.copy(self, count);
        self.skip(count);
        front
    }

    /// Moves all messages of `other`, which must continue the numbers of this batch, to its end.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.copy(other, other.len());
        other.clear();
    }

    /// Appends the `count` oldest messages of `other`.
    fn copy(&mut self, other: &Self, count: usize) {
        if self.is_empty() {
            self.first = other.first;
        }
        let ends = &other.ends[other.removed..other.removed + count];
        let (from, to) = (other.start(), ends.last().copied().unwrap_or(other.start()));
        let base = self.payloads.len();
        self.payloads.extend_from_slice(&other.payloads[from..to]);
        if other.lines.len() > other.removed {
            self.lines.resize(self.ends.len(), None);
            let lines = &other.lines[other.removed..];
            self.lines.extend_from_slice(&lines[..lines.len().min(count)]);
        }
        self.ends.extend(ends.iter().map(|end| end - from + base));
    }

    /// Offset of the oldest message.
    fn start(&self) -> usize {
        self.removed.checked_sub(1).map_or(0, |last| self.ends[last])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use crate::spool::batch::*;

    fn all(batch: &Batch) -> Vec<(Vec<u8>, Option<String>)> {
        let mut rest = Batch::default();
        rest.copy(batch, batch.len());
        let payloads: Vec<Vec<u8>> = rest.payloads().map(<[u8]>::to_vec).collect();
        let lines = (0..payloads.len()).map(|_| {
            let line = rest.line().map(str::to_owned);
            rest.skip(1);
            line
        });
        payloads.iter().cloned().zip(lines).collect()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(Vec<u8>, Option<String>),
        Skip(usize),
        Split(usize),
        Append,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (any::<Vec<u8>>(), proptest::option::of("[a-z]{0,3}"))
                .prop_map(|(bytes, line)| Step::Push(bytes, line)),
            1 => (0usize..5).prop_map(Step::Skip),
            1 => (0usize..5).prop_map(Step::Split),
            1 => Just(Step::Append),
        ];
        proptest::collection::vec(step, 0..40)
    }

    #[test]
    fn numbers_follow_their_messages() {
        let mut batch = Batch::default();
        assert_eq!(batch.range(), None);
        batch.set_first_number(7);
        (0..10).for_each(|_| batch.push(None, |out| out.push(b'x')));
        let mut front = batch.split(4);
        batch.skip(2);
        assert_eq!(
            (front.range(), batch.range()),
            (Some(SequenceRange { first: 7, last: 10 }), Some(SequenceRange { first: 13, last: 16 }))
        );
        front.clear();
        front.append(&mut batch);
        assert_eq!((front.range(), front.len()), (Some(SequenceRange { first: 13, last: 16 }), 4));
    }

    proptest! {
        #[test]
        fn a_batch_is_a_queue_of_messages_with_lines(steps in steps()) {
            let (mut batch, mut front) = (Batch::default(), Batch::default());
            let (mut expected, mut expected_front) = (VecDeque::new(), VecDeque::new());
            for step in steps {
                match step {
                    Step::Push(bytes, line) => {
                        batch.push(line.clone(), |out| out.extend_from_slice(&bytes));
                        expected.push_back((bytes, line));
                    }
                    Step::Skip(count) => {
                        batch.skip(count);
                        expected.drain(..count.min(expected.len()));
                    }
                    Step::Split(count) => {
                        front = batch.split(count);
                        expected_front = expected.drain(..count.min(expected.len())).collect();
                    }
                    Step::Append => {
                        front.append(&mut batch);
                        expected_front.append(&mut expected);
                    }
                }
                prop_assert_eq!(batch.len(), expected.len());
                prop_assert_eq!(batch.is_empty(), expected.is_empty());
                prop_assert_eq!(all(&batch), Vec::from(expected.clone()));
                prop_assert_eq!(all(&front), Vec::from(expected_front.clone()));
            }
        }
    }
}
