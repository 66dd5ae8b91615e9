//! The rank test of Mann and Whitney, exact, also where values are equal.
//!
//! If two groups came from one population, every way to deal the ranks out would be equally likely.
//! The chance of ranks as high as those that were seen is counted over all of them. Equal values
//! share the mean of their ranks.

/// The chance that the first group's ranks would be as high as they are, or higher, if there were
/// no difference; 1 where a group is empty.
pub(super) fn higher(first: &[f64], second: &[f64]) -> f64 {
    if first.is_empty() || second.is_empty() {
        return 1.0;
    }
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    let ranks = doubled_ranks(&all);
    let seen: usize = ranks[..first.len()].iter().sum();
    let ways = ways(&ranks, first.len());
    let as_high: f64 = ways[seen..].iter().sum();
    as_high / ways.iter().sum::<f64>()
}

/// The least that [`higher`] can be for groups of this size: how sure it can be at best.
pub(super) fn least(first: usize, second: usize) -> f64 {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    // One over the number of ways to choose the first group from all.
    (1..=first).map(|place| count(place) / count(second + place)).product()
}

/// Twice the rank of each value, which is whole even where ranks are shared.
fn doubled_ranks(values: &[f64]) -> Vec<usize> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| other.total_cmp(value).is_eq()).count();
        2 * below + equal + 1
    };
    values.iter().map(rank).collect()
}

/// In how many ways `size` of the ranks have each sum.
fn ways(ranks: &[usize], size: usize) -> Vec<f64> {
    let most: usize = ranks.iter().sum();
    // By how many were chosen, then by their sum.
    let mut ways = vec![vec![0.0; most + 1]; size + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        for chosen in (1..=size).rev() {
            for sum in (*rank..=most).rev() {
                let with = ways[chosen - 1][sum - rank];
                ways[chosen][sum] += with;
            }
        }
    }
    ways.swap_remove(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn the_chances_are_those_of_the_published_tables() {
        close(higher(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]), 1.0 / 20.0);
        close(higher(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 1.0);
        // For U = 6 of 5 and 5 the table has 0.111, for U = 3 it has 0.028.
        let (low, high) = ([1.0, 2.0, 3.0, 7.0, 8.0], [4.0, 5.0, 6.0, 9.0, 10.0]);
        let u = high.iter().flat_map(|h| low.iter().map(move |l| u32::from(l > h))).sum::<u32>();
        assert_eq!(u, 6);
        close(higher(&high, &low), 28.0 / 252.0);
        close(higher(&[3.0, 6.0, 7.0, 8.0, 9.0], &[1.0, 2.0, 4.0, 5.0, 5.5]), 7.0 / 252.0);
    }

    #[test]
    fn the_chance_is_that_of_dealing_all_ranks_out_by_hand() {
        let (first, second) = ([2.0, 3.0, 3.0], [1.0, 3.0, 5.0, 2.0]);
        let all: Vec<f64> = first.iter().chain(&second).copied().collect();
        let ranks = doubled_ranks(&all);
        let seen: usize = ranks[..3].iter().sum();
        let (mut as_high, mut deals) = (0.0, 0.0);
        for deal in 0_u32..1 << 7 {
            if deal.count_ones() == 3 {
                let sum: usize = (0..7).filter(|at| deal >> at & 1 == 1).map(|at| ranks[at]).sum();
                deals += 1.0;
                as_high += f64::from(u8::from(sum >= seen));
            }
        }
        close(higher(&first, &second), as_high / deals);
    }

    #[test]
    fn equal_values_say_nothing() {
        close(higher(&[5.0; 4], &[5.0; 4]), 1.0);
    }

    #[test]
    fn the_least_chance_is_that_of_groups_that_do_not_mix() {
        for (first, second) in [(1, 1), (3, 3), (2, 5), (6, 4)] {
            let high: Vec<f64> = (0..first).map(|n| 100.0 + f64::from(n)).collect();
            let low: Vec<f64> = (0..second).map(f64::from).collect();
            let (first, second) = (high.len(), low.len());
            close(least(first, second), higher(&high, &low));
        }
    }
}
