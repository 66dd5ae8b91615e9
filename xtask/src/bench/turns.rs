//! Subjects in turns.
//!
//! What a machine does besides changes from second to second, so what is compared is never measured
//! one after the other: all subjects are alive at once, each does a short phase in turn, and what
//! counts is the middle one of the ratios of neighbours.

use serde_json::{Value, json};

use super::driver::{Answer, Driver};
use super::report::spread;
use crate::shell::Result;

/// How often each subject has its turn.
pub(super) const ROUNDS: usize = 9;

/// Gives each driver its phase, one after the other, in each round; the answers by driver.
pub(super) fn in_turns(phases: &mut [(&mut Driver, &str)]) -> Result<Vec<Vec<Answer>>> {
    let mut answers = vec![Vec::new(); phases.len()];
    for _ in 0..ROUNDS {
        for ((driver, phase), answers) in phases.iter_mut().zip(&mut answers) {
            answers.push(driver.phase(phase)?);
        }
    }
    Ok(answers)
}

/// The middle one of the ratios of each round, of a number of the answers.
pub(super) fn ratio(of: &[Answer], to: &[Answer], number: &str) -> Result<f64> {
    let pairs = of.iter().zip(to);
    let ratios: Result<Vec<f64>> =
        pairs.map(|(of, to)| Ok(of.number(number)? / to.number(number)?)).collect();
    Ok(middle(ratios?))
}

/// The middle one of a number of the answers.
pub(super) fn median(answers: &[Answer], number: &str) -> Result<f64> {
    let numbers: Result<Vec<f64>> = answers.iter().map(|answer| answer.number(number)).collect();
    Ok(middle(numbers?))
}

/// All answers as JSON.
pub(super) fn raw(answers: &[Answer]) -> Value {
    json!(answers.iter().map(|answer| &answer.0).collect::<Vec<_>>())
}

/// The middle one.
pub(super) fn middle(numbers: Vec<f64>) -> f64 {
    spread(numbers).map_or(f64::NAN, |[_, middle, _]| middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(numbers: &[f64]) -> Vec<Answer> {
        numbers.iter().map(|us| Answer(json!({ "us": us }))).collect()
    }

    #[test]
    fn one_bad_round_changes_nothing() {
        let (of, to) = (answers(&[2.0, 90.0, 4.0]), answers(&[1.0, 1.0, 2.0]));
        assert_eq!(ratio(&of, &to, "us"), Ok(2.0));
        assert_eq!(median(&of, "us"), Ok(4.0));
        assert!(ratio(&of, &to, "other").is_err());
    }
}
