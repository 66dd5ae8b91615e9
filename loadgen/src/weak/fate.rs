//! What ends a connection over a weak network, and when: drawn when it begins, from the seed alone.

use super::Weak;
use crate::clock::SECOND;
use crate::schedule::chance;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is reset, for both ends.
    Cut,
    /// Nothing comes through any more, and neither end is told.
    Silent,
}

/// What comes first to the connection with this seed, and how many nanoseconds after its
/// beginning; `None` if nothing ever does.
pub(super) fn drawn(weak: &Weak, connection: u64) -> Option<(u64, Fate)> {
    let after = |share: f64, way: u64, fate| {
        let wait = wait(share, chance::hash(connection ^ 0xfa7e, way))?;
        Some((wait, fate))
    };
    let cut = after(weak.cut, 0, Fate::Cut);
    let silent = after(weak.silent, 1, Fate::Silent);
    cut.into_iter().chain(silent).min_by_key(|(wait, _)| *wait)
}

/// How long something takes to come that comes to `share` of all each second, in nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a conversion saturates, and a microsecond more or less does no harm"
)]
fn wait(share: f64, draw: u64) -> Option<u64> {
    // Never 0, whose logarithm is not finite.
    let drawn = ((draw >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
    (share > 0.0).then(|| (-drawn.ln() / share * SECOND as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn so_many_are_cut_in_a_second_as_the_share_says() {
        let weak = Weak { cut: 0.05, silent: 0.0, ..sample() };
        let within = |seconds: u64| {
            let early = |seed: &u64| drawn(&weak, *seed).unwrap().0 < seconds * SECOND;
            (0..20_000).filter(early).count()
        };
        // Of what is left each second, one in twenty: 1 - e^-0.05, and 1 - e^-1.
        assert!((900..1_060).contains(&within(1)), "{}", within(1));
        assert!((12_400..12_900).contains(&within(20)), "{}", within(20));
    }

    #[test]
    fn what_comes_first_counts_and_what_never_comes_does_not() {
        let calm = Weak { cut: 0.0, silent: 0.0, ..sample() };
        assert_eq!(drawn(&calm, 3), None);
        let both = Weak { cut: 0.5, silent: 0.5, ..sample() };
        let fates = (0..1_000).filter(|seed| drawn(&both, *seed).unwrap().1 == Fate::Cut).count();
        assert!((400..600).contains(&fates), "{fates}");
    }
}
