//! After the load: everybody comes back and acknowledges, and nothing may be left.

use crate::client::Client;
use crate::ledger::Identity;
use crate::phases;
use crate::plan::SECOND;
use crate::run::{Run, in_seconds};
use crate::seat::Seat;
use crate::storage::Storage;

/// How often every user is visited at most before what waits must be gone.
const ROUNDS: usize = 20;
/// How long a visit lasts, in microseconds.
const VISIT: u64 = 2 * SECOND;
/// Segments that may be left when nothing is needed.
const SEGMENTS: u64 = 2;
/// How long the store may take to find out that nothing is needed, in seconds.
const CLEANED: u64 = 120;

/// Has every user log in and acknowledge until the mailboxes are empty, and checks that what was
/// promised was kept.
pub(crate) fn everybody_takes_what_waits(run: &mut Run) -> Result<(), String> {
    if run.storage.is_none() {
        return Ok(());
    }
    let mut rounds = 0;
    while kept(run) > 0 || !run.scene.ledger.durables.open(run.scene.now).is_empty() {
        if rounds == ROUNDS {
            let open = run.scene.ledger.durables.open(run.scene.now);
            return Err(format!("{} messages stay; {:?}", kept(run), open.first()));
        }
        rounds += 1;
        visit_all(run)?;
    }
    run.clients.iter_mut().for_each(Client::end_errand);
    let settled = in_seconds(run, CLEANED);
    run.go_on(settled, phases::is_settled)?;
    let cleaned = in_seconds(run, CLEANED);
    let few = |run: &mut Run| segments(run) <= SEGMENTS;
    if !run.go_on(cleaned, few)? {
        return Err(format!("{} segments are left of nothing", segments(run)));
    }
    run.verdict()
}

fn visit_all(run: &mut Run) -> Result<(), String> {
    let users = run.scene.ledger.durables.users();
    // Connections spread by chance, so a shard may get more than its share.
    let plan = &run.scene.plan;
    let fits = plan.clients.min((plan.connections_max / 2).max(1));
    for some in users.chunks(fits) {
        run.clients.iter_mut().for_each(|client| client.hang_up(&mut run.scene));
        for (client, (product, user)) in run.clients.iter_mut().zip(some) {
            let identity = Identity { product: *product, user: user.clone(), tags: Vec::new() };
            client.run_errand(identity, &mut run.scene);
        }
        run.stir();
        let until = run.scene.now + VISIT;
        run.go_on(until, |_| false)?;
    }
    Ok(())
}

fn kept(run: &Run) -> u64 {
    run.seats.iter().map(Seat::kept).sum()
}

fn segments(run: &Run) -> u64 {
    run.storage.as_ref().map_or(0, Storage::segments)
}
