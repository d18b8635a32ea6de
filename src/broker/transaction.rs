//! MULTI, EXEC and DISCARD.

use std::sync::Arc;

use crate::broker::connection::{Command, ServerConnection, Transaction};
use crate::broker::lock;
use crate::broker::output_buffer::{CloseReason, REPLY_BYTES_MAX};
use crate::resp::command::Decoder;

/// Memory for the commands between MULTI and EXEC.
const TRANSACTION_BYTES_MAX: usize = 32 * 1024 * 1024;

impl ServerConnection {
    pub(super) fn multi(&mut self) {
        if self.transaction.is_some() {
            return self.replies.error("ERR MULTI calls can not be nested");
        }
        self.transaction = Some(Transaction::default());
        self.replies.simple("OK");
    }

    /// Queues the command that `input` consists of.
    pub(super) fn queue(&mut self, command: &'static Command, input: &[u8]) {
        let Some(transaction) = &mut self.transaction else { return };
        if transaction.is_broken {
            // EXEC will refuse the transaction, so its commands need no memory.
            transaction.commands.clear();
        } else if transaction.bytes > TRANSACTION_BYTES_MAX {
            let text = format!("ERR the transaction is longer than {TRANSACTION_BYTES_MAX} bytes");
            return self.reject(command.name.as_bytes(), text.as_bytes());
        } else {
            transaction.bytes += input.len() + size_of::<(&Command, Vec<u8>)>();
            transaction.commands.push((command, input.to_vec()));
        }
        self.replies.simple("QUEUED");
    }

    pub(super) fn discard(&mut self) {
        match self.transaction.take() {
            Some(_) => self.replies.simple("OK"),
            None => self.replies.error("ERR DISCARD without MULTI"),
        }
    }

    /// Runs the queued commands under both locks, so that no message or command of another client comes between them.
    pub(super) fn exec(&mut self) {
        let Some(transaction) = self.transaction.take() else {
            return self.replies.error("ERR EXEC without MULTI");
        };
        if transaction.is_broken {
            return self.replies.error("EXECABORT Transaction discarded because of previous errors.");
        }
        let state = Arc::clone(&self.state);
        let mut subscriptions = state.write_subscriptions();
        let mut keyspace = lock(&state.keyspace);
        self.replies.array(transaction.commands.len());
        let mut decoder = Decoder::default();
        for (command, input) in &transaction.commands {
            if self.replies.len() > 2 * REPLY_BYTES_MAX {
                self.is_closing = true;
                self.client.output.close(CloseReason::SlowConsumer { queued_bytes: self.replies.len() });
                break;
            }
            // The input is one complete command, which was decoded when it was queued.
            _ = decoder.decode(input);
            self.execute(command, decoder.args(input), Some((&mut subscriptions, &mut keyspace)));
        }
        keyspace.serve_blocked(state.clock.now_ms());
    }
}
