//! What somebody may have meant who mistyped a name.

/// Names that are less alike are different names.
const ALIKE: f64 = 0.8;

/// The one of `known` that `typed` is most like, if it is like any.
pub(super) fn meant<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|one| (strsim::jaro_winkler(one, typed), one));
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0));
    best.filter(|(score, _)| *score >= ALIKE).map(|(_, one)| one)
}
