//! Where a value stands on an axis, and which values are written at it.

/// The scale of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Evenly, between two values; ticks fall on multiples of this unit and its decimal parts.
    Linear(f64, f64, f64),
    /// Each factor takes the same room; both ends are above zero.
    Log(f64, f64),
    /// Seconds, evenly.
    Seconds(f64, f64),
    /// Shares of a distribution: each nine takes the same room, up to so many nines.
    Nines(f64),
}

/// Steps between ticks of a time axis, seconds.
const TIME_STEPS: [f64; 17] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0,
    14_400.0, 43_200.0, 86_400.0,
];

impl Scale {
    /// From zero to a round value that is at least `most`.
    pub(super) fn from_zero(most: f64, unit: f64) -> Self {
        let most = if most > 0.0 { most } else { unit };
        let step = round_step(most / 4.0 / unit) * unit;
        Self::Linear(0.0, (most / step).ceil() * step, unit)
    }

    /// Around values that are all above zero.
    pub(super) fn log_around(least: f64, most: f64) -> Self {
        let low = 10_f64.powf(least.max(1e-9).log10().floor());
        let high = 10_f64.powf(most.max(low * 1.01).log10().ceil());
        // The upper part of the last decade is left out where nothing lies in it.
        let high = [0.2, 0.5, 1.0].into_iter().map(|part| part * high).find(|high| *high >= most);
        let low = [5.0, 2.0, 1.0].into_iter().map(|part| part * low).find(|low| *low <= least);
        let (low, high) = (low.unwrap_or(least), high.unwrap_or(most));
        Self::Log(low, high.max(low * 2.0))
    }

    /// Where the value stands, from 0 to 1; what lies outside stands at the end.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear(from, to, _) | Self::Seconds(from, to) => (value - from) / (to - from),
            Self::Log(from, to) => (value.max(from) / from).ln() / (to / from).ln(),
            Self::Nines(most) => nines(value).min(most) / most,
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The values at which something is written, about `wanted` of them.
    pub(super) fn ticks(self, wanted: u32) -> Vec<f64> {
        match self {
            Self::Linear(from, to, unit) => {
                let step = round_step((to - from) / f64::from(wanted) / unit) * unit;
                steps(from, to, step)
            }
            Self::Seconds(from, to) => {
                let least = (to - from) / f64::from(wanted);
                let step = TIME_STEPS.into_iter().find(|step| *step >= least);
                steps(from, to, step.unwrap_or(86_400.0))
            }
            Self::Log(from, to) => {
                let decades = (to / from).log10();
                let parts: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let first = from.log10().floor();
                let decade = |by: u32| 10_f64.powf(first + f64::from(by));
                let all = (0..16).flat_map(|by| parts.iter().map(move |part| part * decade(by)));
                all.filter(|tick| (from * 0.999..=to * 1.001).contains(tick)).collect()
            }
            Self::Nines(most) => {
                let nines = (0..=9).map(f64::from).filter(|nines| *nines <= most);
                let mut ticks: Vec<f64> = nines.map(|nines| 1.0 - 0.1_f64.powf(nines)).collect();
                ticks.insert(1, 0.5);
                ticks
            }
        }
    }
}

/// How many nines a share has: 0.9 has one, 0.99 two.
pub(super) fn nines(share: f64) -> f64 {
    -(1.0 - share.clamp(0.0, 1.0)).log10()
}

/// The least of 1, 2, 2.5 and 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|step| step * power);
    steps.into_iter().find(|step| *step >= least * 0.999).unwrap_or(power * 10.0)
}

fn steps(from: f64, to: f64, step: f64) -> Vec<f64> {
    let first = (from / step).ceil();
    let ticks = (0..100).map(|by| (first + f64::from(by)) * step);
    ticks.take_while(|tick| *tick <= to + step * 1e-6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scale_keeps_order_and_ends() {
        for (scale, values) in [
            (Scale::from_zero(130.0, 1.0), [0.0, 65.0, 130.0]),
            (Scale::log_around(3.0, 70_000.0), [3.0, 300.0, 70_000.0]),
            (Scale::Seconds(0.0, 90.0), [0.0, 45.0, 90.0]),
            (Scale::Nines(4.0), [0.0, 0.99, 0.9999]),
        ] {
            let places = values.map(|value| scale.place(value));
            assert!(places[0] < places[1] && places[1] < places[2], "{scale:?} {places:?}");
            assert!(places[0] >= 0.0 && places[2] <= 1.0, "{scale:?} {places:?}");
            let ticks = scale.ticks(5);
            assert!((3..=12).contains(&ticks.len()), "{scale:?} {ticks:?}");
            let places: Vec<f64> = ticks.iter().map(|tick| scale.place(*tick)).collect();
            assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{scale:?} {places:?}");
        }
    }

    #[test]
    fn a_nine_more_is_a_step_more() {
        let scale = Scale::Nines(5.0);
        let [one, two, three] = [0.9, 0.99, 0.999].map(|share| scale.place(share));
        assert!((two - one - 0.2).abs() < 1e-9 && (three - two - 0.2).abs() < 1e-9);
        assert!((scale.place(1.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_axis_without_values_still_has_ends() {
        assert!(Scale::from_zero(0.0, 1.0).place(0.0) <= 0.0);
        assert!(Scale::Seconds(3.0, 3.0).place(3.0) <= 0.0);
        assert!(Scale::log_around(5.0, 5.0).ticks(4).len() >= 2);
    }
}
