//! Where things stand in a drawing of columns, and how the lines between them run: a pure function of their sizes and connections.
//!
//! Convention: the layered drawing of Sugiyama, Tagawa and Toda (1981), with layers that are given: lines over several columns get a place in
//! each, a few sweeps by barycentres reduce crossings, and each column is then set as near to what it is connected with as its order allows,
//! by pooling adjacent violators. The same things give the same drawing, whatever they are doing.

/// Sweeps over the columns, forth or back; more change little.
const SWEEPS: usize = 8;

/// Room between two things of a column.
const APART: f64 = 12.0;

/// What a line takes in a column that it only passes.
const PASSING: f64 = 10.0;

/// Something to be placed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Body {
    pub(super) column: usize,
    pub(super) height: f64,
}

/// Where all of it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Places {
    /// The upper edge of each body.
    pub(super) tops: Vec<f64>,
    /// The heights in which each line passes the columns between its ends.
    pub(super) ways: Vec<Vec<f64>>,
    /// The lower edge of the lowest.
    pub(super) height: f64,
}

/// Bodies and the places of lines that pass, with what each is connected with.
struct Net {
    bodies: Vec<Body>,
    /// By body: those in the column before, and in the column behind.
    before: Vec<Vec<usize>>,
    behind: Vec<Vec<usize>>,
    /// By line: the bodies that stand for it where it passes.
    passing: Vec<Vec<usize>>,
}

/// The bodies of each column, from the top.
type Columns = Vec<Vec<usize>>;

/// Places bodies, which are in the order that they have where nothing else decides, and the lines between them. A line within a column does
/// not count.
pub(super) fn arrange(bodies: &[Body], lines: &[(usize, usize)]) -> Places {
    let net = Net::of(bodies, lines);
    let columns = net.ordered();
    let tops = net.tops(&columns);
    let bottoms = net.bodies.iter().zip(&tops).map(|(body, top)| top + body.height);
    let height = bottoms.fold(0.0, f64::max);
    let middle = |at: &usize| tops[*at] + net.bodies[*at].height / 2.0;
    let ways = net.passing.iter().map(|passing| passing.iter().map(middle).collect()).collect();
    Places { tops: tops[..bodies.len()].to_vec(), ways, height }
}

impl Net {
    fn of(bodies: &[Body], lines: &[(usize, usize)]) -> Self {
        let mut net = Self {
            bodies: bodies.to_vec(),
            before: vec![Vec::new(); bodies.len()],
            behind: vec![Vec::new(); bodies.len()],
            passing: Vec::with_capacity(lines.len()),
        };
        for &(from, to) in lines {
            let between = bodies[from].column + 1..bodies[to].column.max(bodies[from].column + 1);
            let mut last = from;
            let mut passing = Vec::new();
            for column in between {
                let at = net.add(Body { column, height: PASSING });
                net.connect(last, at);
                passing.push(at);
                last = at;
            }
            if bodies[from].column < bodies[to].column {
                net.connect(last, to);
            }
            net.passing.push(passing);
        }
        net
    }

    fn add(&mut self, body: Body) -> usize {
        self.bodies.push(body);
        self.before.push(Vec::new());
        self.behind.push(Vec::new());
        self.bodies.len() - 1
    }

    fn connect(&mut self, from: usize, to: usize) {
        self.behind[from].push(to);
        self.before[to].push(from);
    }

    /// The order in each column that has the fewest crossings of those that the sweeps come by; of equals the first.
    fn ordered(&self) -> Columns {
        let count = self.bodies.iter().map(|body| body.column + 1).max().unwrap_or(0);
        let mut columns: Columns = vec![Vec::new(); count];
        (0..self.bodies.len()).for_each(|at| columns[self.bodies[at].column].push(at));
        let mut best = (self.crossings(&columns), columns.clone());
        for sweep in 0..SWEEPS {
            if best.0 == 0 {
                break;
            }
            if sweep % 2 == 0 {
                (1..count).for_each(|column| self.sort(&mut columns, column, &self.before));
            } else {
                (0..count.saturating_sub(1)).rev().for_each(|column| self.sort(&mut columns, column, &self.behind));
            }
            let crossings = self.crossings(&columns);
            if crossings < best.0 {
                best = (crossings, columns.clone());
            }
        }
        best.1
    }

    /// Sorts a column by where what it is connected with stands. What is connected with nothing keeps its place.
    fn sort(&self, columns: &mut Columns, column: usize, near: &[Vec<usize>]) {
        let places = self.places(columns);
        let mut keyed: Vec<(f64, usize)> = columns[column]
            .iter()
            .map(|&at| (mean(near[at].iter().map(|near| places[*near])).unwrap_or(places[at]), at))
            .collect();
        keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
        columns[column] = keyed.into_iter().map(|(_, at)| at).collect();
    }

    /// Where in its column each body is: between 0 at the top and 1 at the bottom.
    fn places(&self, columns: &Columns) -> Vec<f64> {
        let mut places = vec![0.0; self.bodies.len()];
        for column in columns {
            for (place, at) in column.iter().enumerate() {
                places[*at] = (place as f64 + 0.5) / column.len() as f64;
            }
        }
        places
    }

    /// How often lines cross.
    fn crossings(&self, columns: &Columns) -> usize {
        let places = self.places(columns);
        let mut crossings = 0;
        for column in columns {
            // Lines from the top down: each crosses those before it that end below it.
            let mut ends: Vec<f64> = Vec::new();
            for at in column {
                let mut own: Vec<f64> = self.behind[*at].iter().map(|to| places[*to]).collect();
                own.sort_by(f64::total_cmp);
                crossings +=
                    own.iter().map(|end| ends.len() - ends.partition_point(|other| other <= end)).sum::<usize>();
                for end in own {
                    ends.insert(ends.partition_point(|other| *other <= end), end);
                }
            }
        }
        crossings
    }

    /// The upper edges: forth, back, and forth again, each column as near to what it is connected with as it can be.
    fn tops(&self, columns: &Columns) -> Vec<f64> {
        let mut tops = vec![0.0; self.bodies.len()];
        for column in columns {
            let mut top = 0.0;
            for at in column {
                tops[*at] = top;
                top += self.bodies[*at].height + APART;
            }
        }
        let both: Vec<Vec<usize>> =
            self.before.iter().zip(&self.behind).map(|(before, behind)| [&before[..], behind].concat()).collect();
        for near in [&self.before, &self.behind, &both, &both] {
            columns.iter().for_each(|column| self.settle(column, near, &mut tops));
        }
        let highest = tops.iter().copied().fold(f64::INFINITY, f64::min);
        tops.iter().map(|top| (top - highest).round()).collect()
    }

    /// Moves the bodies of a column towards what they are connected with, in their order and apart from each other.
    fn settle(&self, column: &[usize], near: &[Vec<usize>], tops: &mut [f64]) {
        let middle = |at: usize| tops[at] + self.bodies[at].height / 2.0;
        let mut above = 0.0;
        let mut wanted = Vec::with_capacity(column.len());
        for &at in column {
            let top =
                mean(near[at].iter().map(|near| middle(*near))).map(|middle| middle - self.bodies[at].height / 2.0);
            wanted.push((top.unwrap_or(tops[at]) - above, above));
            above += self.bodies[at].height + APART;
        }
        let fitted = rising(wanted.iter().map(|(wish, _)| *wish));
        for ((at, top), (_, above)) in column.iter().zip(fitted).zip(wanted) {
            tops[*at] = top + above;
        }
    }
}

/// The nearest numbers, by squares, of which none is less than the one before it.
fn rising(wanted: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for wish in wanted {
        let mut pool = (wish, 1);
        while let Some(&(sum, count)) = pools.last() {
            if sum / count as f64 <= pool.0 / pool.1 as f64 {
                break;
            }
            pool = (pool.0 + sum, pool.1 + count);
            pools.pop();
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count)).collect()
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0), |(sum, count), number| (sum + number, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bodies of one height, by their columns.
    fn bodies(columns: &[usize]) -> Vec<Body> {
        columns.iter().map(|column| Body { column: *column, height: 40.0 }).collect()
    }

    fn check(columns: &[usize], lines: &[(usize, usize)], expected: &[f64]) {
        assert_eq!(arrange(&bodies(columns), lines).tops, expected, "{columns:?} {lines:?}");
    }

    #[test]
    fn what_is_connected_stands_side_by_side() {
        check(&[], &[], &[]);
        check(&[0, 1], &[(0, 1)], &[0.0, 0.0]);
        // One that leads to two stands between them.
        check(&[0, 1, 1], &[(0, 1), (0, 2)], &[26.0, 0.0, 52.0]);
        // Lines that would cross do not.
        check(&[0, 0, 1, 1], &[(0, 3), (1, 2)], &[0.0, 52.0, 52.0, 0.0]);
    }

    #[test]
    fn a_line_over_several_columns_has_a_place_in_each() {
        let placed = arrange(&bodies(&[0, 1, 2]), &[(0, 1), (1, 2), (0, 2)]);
        let [way] = placed.ways[2].as_slice() else { panic!("{placed:?}") };
        assert!(*way < placed.tops[1] || *way > placed.tops[1] + 40.0, "it passes what stands in its way: {placed:?}");
    }

    #[test]
    fn numbers_that_fall_are_pooled() {
        assert_eq!(rising([1.0, 3.0, 2.0, 5.0].into_iter()), [1.0, 2.5, 2.5, 5.0]);
        assert_eq!(rising([3.0, 2.0, 1.0].into_iter()), [2.0, 2.0, 2.0]);
    }

    proptest! {
        #[test]
        fn nothing_covers_anything_else_and_nothing_moves_unless_it_has_to(
            columns in prop::collection::vec(0_usize..5, 1..40),
            ends in prop::collection::vec((0_usize..40, 0_usize..40), 0..80),
        ) {
            let bodies = bodies(&columns);
            let in_range = ends.into_iter().map(|(from, to)| (from % columns.len(), to % columns.len()));
            let lines: Vec<_> = in_range.filter(|(from, to)| columns[*from] <= columns[*to]).collect();
            let placed = arrange(&bodies, &lines);
            for (at, column) in columns.iter().enumerate() {
                for (other, its) in columns.iter().enumerate().skip(at + 1) {
                    let apart = (placed.tops[at] - placed.tops[other]).abs();
                    prop_assert!(column != its || apart >= 40.0 + APART - 1.0, "{apart}");
                }
                prop_assert!(placed.tops[at] >= 0.0 && placed.tops[at] + 40.0 <= placed.height);
            }
            prop_assert_eq!(arrange(&bodies, &lines), placed);
        }
    }
}
