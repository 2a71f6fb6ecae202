//! Why a batch or payout is not closed, approved or paid; each says what to do.

use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::money::Overflow;
use crate::statements::FreezeError;
use crate::store::StoreError;

/// Why a batch could not be closed, approved or paid; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    /// The month is not over.
    #[error("{month} is not over: in {zone} it ends at {end}. Close it after that")]
    NotOver {
        /// Which.
        month: Month,
        /// The workspace's zone.
        zone: chrono_tz::Tz,
        /// When it ends, local time.
        end: String,
    },
    /// A later month is closed already, with everything that was payable.
    #[error("{later} is closed already and has everything that was payable before: {month} cannot be closed any more")]
    OutOfOrder {
        /// Which.
        month: Month,
        /// The latest closed one.
        later: String,
    },
    /// There is no such batch.
    #[error("there is no batch {0:?}: `commission-bridge payouts list` shows them, by id or month")]
    NoBatch(String),
    /// The month before is still being closed.
    #[error(
        "{0} is still being closed: wait until it is a draft, or run `commission-bridge payouts close --month {0}`"
    )]
    StillClosing(String),
    /// Four eyes: whoever closed a batch may not approve it.
    #[error("{month} was closed by {author}: another person has to approve it (four_eyes is on)")]
    FourEyes {
        /// Which batch.
        month: String,
        /// Who closed it.
        author: String,
    },
    /// There is no such payout.
    #[error("there is no payout {0:?}: `commission-bridge payouts list MONTH --json` shows their ids")]
    UnknownPayout(String),
    /// What is asked does not go with what became of the payout.
    #[error("payout {payout} is {status}: {why}")]
    NotNow {
        /// Which.
        payout: String,
        /// What it is.
        status: String,
        /// What that means for what was asked.
        why: &'static str,
    },
    /// The payout stands in a file that somebody may have handed over.
    #[error(
        "payout {payout} stands in a payment file: make sure that the file is not handed over, or the partner is paid \
         twice; then cancel it once more with the confirmation that it was not paid out"
    )]
    InFile {
        /// Which.
        payout: String,
    },
    /// The batch must be approved first.
    #[error("the payouts of {0} are not approved yet: `commission-bridge payouts approve {0}`")]
    NotApproved(String),
    /// The batch has nothing to pay of what was named.
    #[error("the batch of {month} pays nothing to {whom}: `commission-bridge payouts list {month}` shows what it pays")]
    NoPayout {
        /// Which batch.
        month: String,
        /// Who, in what.
        whom: String,
    },
    /// One external id can name one payout only.
    #[error(
        "the batch of {0} has several such payouts: say which one the external id belongs to, by partner and currency"
    )]
    WhichPayout(String),
    /// The payout has another external id.
    #[error(
        "the payout of {partner} in {month} was marked as paid before, with external id {known}; nothing was changed"
    )]
    PaidAs {
        /// Which batch.
        month: String,
        /// Who.
        partner: String,
        /// What it was paid as.
        known: String,
    },
    /// Sums too large for minor units.
    #[error("partner {partner}, {currency}: {source}")]
    Overflow {
        /// Who.
        partner: String,
        /// In what.
        currency: Currency,
        /// What happened.
        source: Overflow,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<FreezeError> for PayoutError {
    fn from(error: FreezeError) -> Self {
        match error {
            FreezeError::Overflow { partner, currency, source } => Self::Overflow { partner, currency, source },
            FreezeError::Store(error) => Self::Store(error),
        }
    }
}
