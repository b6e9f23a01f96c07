//! Comparing two ways of doing the same on a machine that does other things as well.

/// Runs of each side. The middle one of five has two on either side of it to be disturbed.
const PAIRS: usize = 5;

/// Runs both sides in turn, so that what disturbs the machine disturbs both, and returns the median of each.
///
/// # Errors
/// The first error of either side.
pub fn medians<E>(
    mut ours: impl FnMut() -> Result<f64, E>,
    mut theirs: impl FnMut() -> Result<f64, E>,
) -> Result<(f64, f64), E> {
    let mut sides = (Vec::with_capacity(PAIRS), Vec::with_capacity(PAIRS));
    for _ in 0..PAIRS {
        sides.0.push(ours()?);
        sides.1.push(theirs()?);
    }
    Ok((median(sides.0), median(sides.1)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
