//! Flags about ticks that should not be taken at their word.

use crate::analysis::OutlierLimit;

/// See the module.
#[derive(Debug, Clone, clap::Args)]
pub struct CleaningArgs {
    /// Flag ticks whose price lies further than this from the median of the 15 before, such as 5%: they are kept and
    /// marked, and no line, bar or alert is made of them [default: no filter]
    #[arg(long, value_name = "PERCENT")]
    pub outliers: Option<OutlierLimit>,
}
