//! Rules from the command line.

use thiserror::Error;

use crate::analysis::{Rule, RuleError, Scope};
use crate::model::Symbol;

/// Most rules: each costs a step a tick of its symbol, and a bound keeps what fires readable.
const RULES_MAX: usize = 256;

/// Why rules make no sense.
#[derive(Debug, Error)]
pub enum AlertError {
    /// One of them.
    #[error("--alert {text:?}: {cause}")]
    Rule {
        /// As it was written.
        text: String,
        /// What is wrong with it.
        cause: RuleError,
    },
    /// One is there twice.
    #[error("--alert: {0} stands there twice")]
    Twice(Rule),
    /// The symbol is not among those that are kept.
    #[error("--alert {rule}: {symbol} is not among --symbols, so that it would never be seen; add it there")]
    Symbol {
        /// The rule.
        rule: Rule,
        /// Its symbol.
        symbol: Symbol,
    },
    /// Too many.
    #[error("--alert: there are {0} rules, and {RULES_MAX} is the most")]
    Max(usize),
}

/// Reads rules about any of `symbols`; about any at all where none is listed.
pub(in crate::consumer) fn parse_rules(texts: &[String], symbols: &[Symbol]) -> Result<Vec<Rule>, AlertError> {
    if texts.len() > RULES_MAX {
        return Err(AlertError::Max(texts.len()));
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(texts.len());
    for text in texts {
        let rule: Rule = text.parse().map_err(|cause| AlertError::Rule { text: text.clone(), cause })?;
        if rules.contains(&rule) {
            return Err(AlertError::Twice(rule));
        }
        if let Scope::Symbol(symbol) = rule.scope()
            && !symbols.is_empty()
            && !symbols.contains(symbol)
        {
            let symbol = symbol.clone();
            return Err(AlertError::Symbol { rule, symbol });
        }
        rules.push(rule);
    }
    Ok(rules)
}
