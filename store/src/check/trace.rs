//! What can be told of records that are lost, and of those beside them.

use crate::log::scan::Found;
use crate::record::{Kind, Record, unproven};

/// So many are named of one stretch, at most.
const NAMED: usize = 16;

/// What a record is about, as far as it says that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What it is: `message`, `trim`, `mark`, ...
    pub kind: &'static str,
    /// The product that it belongs to, where it says one.
    pub product: Option<String>,
    /// The user, where it is one user's.
    pub user: Option<String>,
    /// A message's sequence, the sequence that a trim reaches to, or a broadcast's number.
    pub number: Option<u64>,
}

impl Trace {
    fn of(record: &Record<'_>) -> Self {
        let kind = Kind::of_record(record).name();
        let (product, user, number) = match *record {
            Record::Message(it) => (Some(it.product), Some(it.user), Some(it.sequence)),
            Record::Trim { product, user, upto } => (Some(product), Some(user), Some(upto)),
            Record::Broadcast(it) => (Some(it.product), None, Some(it.number)),
            Record::Steer { product, number, .. } | Record::Seen { product, number, .. } => {
                (Some(product), None, Some(number))
            }
            Record::Header(_) | Record::Keys(_) | Record::Mark(_) | Record::Reserve(_) => {
                (None, None, None)
            }
        };
        let (product, user) = (product.map(str::to_owned), user.map(str::to_owned));
        Self { kind, product, user, number }
    }

    /// What whole records from this offset on say first of a product.
    pub(super) fn behind(found: &Found, mut offset: u32) -> Option<Self> {
        while let Some(lying) = found.record(offset) {
            let trace = Self::of(&lying.record);
            if trace.product.is_some() {
                return Some(trace);
            }
            offset = offset.saturating_add(u32::try_from(lying.length).unwrap_or(u32::MAX));
        }
        None
    }

    /// What the bytes of a stretch read as, although no sum says that they are what was written:
    /// the first so many, up to the first that make no sense.
    pub(super) fn within(found: &Found, from: u32, to: u32) -> Vec<Self> {
        let stretch = (to.saturating_sub(from)) as usize;
        let bytes = found.from(from);
        let mut bytes = bytes.get(..stretch).unwrap_or(bytes);
        let mut traces = Vec::new();
        while let Some((record, length)) = unproven(bytes).filter(|_| traces.len() < NAMED) {
            traces.push(Self::of(&record));
            bytes = bytes.get(length..).unwrap_or_default();
        }
        traces
    }
}
