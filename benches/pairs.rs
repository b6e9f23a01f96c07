//! Comparing two ways of doing the same on a machine that does other things as well.

/// Pairs of runs. The middle one of nine has four on either side of it to be disturbed.
const PAIRS: usize = 9;

/// Runs both sides in turn, each of them first every other time, and returns the pair that is in the middle by its ratio: what disturbs
/// the machine for longer than a run disturbs both sides of a pair.
///
/// # Errors
/// The first error of either side.
pub fn middle_pair<E>(
    mut ours: impl FnMut() -> Result<f64, E>,
    mut theirs: impl FnMut() -> Result<f64, E>,
) -> Result<(f64, f64), E> {
    let mut pairs = Vec::with_capacity(PAIRS);
    for place in 0..PAIRS {
        pairs.push(if place.is_multiple_of(2) {
            let first = ours()?;
            (first, theirs()?)
        } else {
            let first = theirs()?;
            (ours()?, first)
        });
    }
    pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    Ok(pairs[PAIRS / 2])
}
