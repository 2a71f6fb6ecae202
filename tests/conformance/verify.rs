//! Proof that the ledger is what the events say.
