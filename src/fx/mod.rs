//! Exchange rates, as the European Central Bank publishes them: reading its files, fetching them, and doing so once a day.

pub mod daily;
pub mod ecb;
pub mod fetch;

/// Who published a rate that was read from the European Central Bank's files.
pub const ECB: &str = "ecb";
/// Where it publishes the last working day's.
pub const DAILY: &str = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml";
