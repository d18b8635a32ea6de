//! Alert rules of the command line.

use thiserror::Error;

use crate::analysis::{Rule, RuleError, Scope};
use crate::model::Symbol;

/// Most rules: each costs a step for every tick of its symbol.
const RULES_MAX: usize = 256;

/// Error in `--alert`.
#[derive(Debug, Error)]
pub enum AlertError {
    /// Malformed rule.
    #[error("--alert {text:?}: {cause}")]
    Rule {
        /// Rule as written.
        text: String,
        /// Reason.
        cause: RuleError,
    },
    /// Repeated rule.
    #[error("--alert: {0} is given twice")]
    Twice(Rule),
    /// Rule about a symbol that `--symbols` excludes.
    #[error("--alert {rule}: {symbol} is not among --symbols, so it would never fire; add the symbol there")]
    Symbol {
        /// Rule.
        rule: Rule,
        /// Its symbol.
        symbol: Symbol,
    },
    /// Too many rules.
    #[error("--alert: there are {0} rules, and at most {RULES_MAX} are supported")]
    Max(usize),
}

/// Parses rules about `symbols`, or about any symbol if that list is empty.
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
