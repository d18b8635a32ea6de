//! Messages in one buffer, one after the other: no allocation a message, on the whole way from source to server.

use crate::client::publisher::delivery_report::Span;

/// Messages in order, numbered without gaps; the oldest can be taken off one by one.
#[derive(Debug, Default)]
pub struct Batch {
    /// The oldest message's number, once there was one.
    first: u64,
    /// The messages are in the spool, and stay there until they are confirmed.
    pub(crate) spooled: bool,
    payloads: Vec<u8>,
    /// Where each payload ends in `payloads`.
    ends: Vec<usize>,
    /// What is shown of each message; shorter than `ends` where the last ones show nothing.
    lines: Vec<Option<String>>,
    /// Messages that have been taken off.
    gone: usize,
}

impl Batch {
    /// Appends the message that `write` appends to the bytes it is given. `line` is for people, shown once the server
    /// has taken the message; safe for a terminal.
    pub fn push(&mut self, line: Option<String>, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.payloads);
        if line.is_some() {
            self.lines.resize(self.ends.len(), None);
            self.lines.push(line);
        }
        self.ends.push(self.payloads.len());
    }

    /// Says which number the next message has; the numbers of all that follow come from it. Only for an empty batch.
    pub fn number(&mut self, first: u64) {
        self.first = first;
    }

    /// The numbers of all messages, if there are any.
    pub(crate) fn span(&self) -> Option<Span> {
        (!self.is_empty()).then(|| Span { first: self.first, last: self.first + self.len() as u64 - 1 })
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.ends.len() - self.gone
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all messages off; the memory stays, for those that come next.
    pub fn clear(&mut self) {
        self.payloads.clear();
        self.ends.clear();
        self.lines.clear();
        self.gone = 0;
        self.spooled = false;
    }

    /// Each message's bytes.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[self.gone..];
        ends.iter().scan(self.start(), |start, end| Some(&self.payloads[std::mem::replace(start, *end)..*end]))
    }

    /// The oldest message's line.
    pub(crate) fn line(&self) -> Option<&str> {
        self.lines.get(self.gone)?.as_deref()
    }

    /// Takes the `count` oldest messages off, or all.
    pub(crate) fn skip(&mut self, count: usize) {
        if count >= self.len() {
            self.clear();
        } else {
            self.gone += count;
            self.first += count as u64;
        }
    }

    /// Moves the `count` oldest messages into a batch of their own, or all.
    pub(crate) fn split(&mut self, count: usize) -> Self {
        if count >= self.len() {
            return std::mem::take(self);
        }
        let mut front = Self { spooled: self.spooled, ..Self::default() };
        front.copy(self, count);
        self.skip(count);
        front
    }

    /// Moves all of `other`'s messages, which follow them in number, behind these.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.copy(other, other.len());
        other.clear();
    }

    /// Appends the `count` oldest messages of `other`.
    fn copy(&mut self, other: &Self, count: usize) {
        if self.is_empty() {
            self.first = other.first;
        }
        let ends = &other.ends[other.gone..other.gone + count];
        let (from, to) = (other.start(), ends.last().copied().unwrap_or(other.start()));
        let base = self.payloads.len();
        self.payloads.extend_from_slice(&other.payloads[from..to]);
        if other.lines.len() > other.gone {
            self.lines.resize(self.ends.len(), None);
            let lines = &other.lines[other.gone..];
            self.lines.extend_from_slice(&lines[..lines.len().min(count)]);
        }
        self.ends.extend(ends.iter().map(|end| end - from + base));
    }

    /// Where the oldest message starts.
    fn start(&self) -> usize {
        self.gone.checked_sub(1).map_or(0, |last| self.ends[last])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use crate::client::publisher::batch::*;

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
    fn numbers_go_with_their_messages() {
        let mut batch = Batch::default();
        assert_eq!(batch.span(), None);
        batch.number(7);
        (0..10).for_each(|_| batch.push(None, |out| out.push(b'x')));
        let mut front = batch.split(4);
        batch.skip(2);
        assert_eq!(
            (front.span(), batch.span()),
            (Some(Span { first: 7, last: 10 }), Some(Span { first: 13, last: 16 }))
        );
        front.clear();
        front.append(&mut batch);
        assert_eq!((front.span(), front.len()), (Some(Span { first: 13, last: 16 }), 4));
    }

    proptest! {
        #[test]
        fn it_is_a_queue_of_messages_with_their_lines(steps in steps()) {
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
