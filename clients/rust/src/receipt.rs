//! What became of a durable message in the end, for targets that asked to be told.

use holdfast_protocol::backend::{Outcome, answer};

/// The end of a durable message whose [`Target`](crate::Target) asked for a receipt and whose
/// outcome was [`Outcome::Stored`].
///
/// It comes once, or not at all: a gateway sends it to the connection that pushed, or, when that is
/// gone, to another of a backend with the same name, and where there is none it is lost. So it is
/// no proof of delivery that a service may wait for without an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The product.
    pub product: String,
    /// The user.
    pub user: String,
    /// The sequence that the push's outcome gave.
    pub sequence: u64,
    /// [`Outcome::Acked`], [`Outcome::Expired`] or [`Outcome::Dropped`].
    pub outcome: Outcome,
}

impl Receipt {
    pub(crate) fn owned(receipt: &answer::Receipt<'_>) -> Self {
        Self {
            product: receipt.product.to_owned(),
            user: receipt.user.to_owned(),
            sequence: receipt.sequence,
            outcome: receipt.outcome,
        }
    }
}
