//! What a process needs from the servers before it begins: a block of sequences of its own, and the
//! broadcasts that are live. Mailboxes are opened when they are asked for.

use crate::Recovered;
use crate::redis::caller::Caller;
use crate::redis::desk::{Desk, worst};
use crate::redis::reply::Fault;
use crate::redis::write::BLOCK;

/// Begins; one [`Recovered`] for each shard. A write is tried first, so that servers that cannot
/// keep what the options promise are refused here.
pub(super) async fn begin(desk: &Desk, caller: &mut Caller) -> Result<Vec<Recovered>, String> {
    let looks = desk.probe(caller, true).await.map_err(why)?;
    worst(looks.into_iter().map(|look| look.found)).map_err(why)?;
    // The first look at the servers took a block.
    let sequence = desk.reserved.get().saturating_sub(BLOCK);
    let mut broadcasts = Vec::new();
    for product in 0..desk.homes.products().len() {
        let product = u16::try_from(product).map_err(|_| "more than 65,535 products")?;
        broadcasts.extend(desk.news_of(caller, product).await.map_err(why)?.new);
        desk.forget(caller, product).await.map_err(why)?;
    }
    let shards = 0..desk.homes.shards();
    let recovered = shards.map(|_| Recovered {
        broadcasts: broadcasts.clone(),
        sequence,
        ..Recovered::default()
    });
    Ok(recovered.collect())
}

fn why(fault: Fault) -> String {
    match fault {
        Fault::Full(why) | Fault::Down(why) | Fault::Away(why) | Fault::Refused(why) => why,
    }
}
