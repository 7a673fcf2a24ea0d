//! `prior.tsv`: which classes are like which, so that a doubtful look at one can lift the others.

use std::collections::HashSet;

/// The most neighbours of one class: more would not be a few that are like it, and would cost time with each frame.
pub const MOST_NEIGHBOURS: usize = 64;

/// A sparse table of classes and their neighbours. [`crate::classify::prior::apply`] is what uses it.
///
/// Compressed rows: those of class `c` are `starts[c]..starts[c + 1]`, in the order of the neighbours.
#[derive(Clone, Debug, PartialEq)]
pub struct Prior {
    starts: Vec<u32>,
    neighbours: Vec<u32>,
    weights: Vec<f32>,
}

/// A class, a neighbour that it lifts, and how strongly, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The class.
    pub class: u32,
    /// Another one.
    pub neighbour: u32,
    /// From 0, nothing to do with each other, to 1, the same.
    pub weight: f32,
}

/// What is wrong with a `prior.tsv`. Lines count from 1.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PriorError {
    /// The first line is not the header.
    #[error("prior.tsv: the first line must be \"class<TAB>neighbour<TAB>weight\", not {found:?}")]
    Header {
        /// The line there is, shortened.
        found: String,
    },
    /// A line with another number of columns than three.
    #[error("prior.tsv, line {line}: three columns are needed (class, neighbour, weight), there are {found}")]
    Columns {
        /// Line number.
        line: usize,
        /// Columns in that line.
        found: usize,
    },
    /// Something else where a number belongs.
    #[error("prior.tsv, line {line}: {column} {found:?} is not a number that can stand here")]
    Number {
        /// Line number.
        line: usize,
        /// The column's name.
        column: &'static str,
        /// What stands there, shortened.
        found: String,
    },
    /// A pair that can't be.
    #[error("prior.tsv, line {line}: {error}")]
    Pair {
        /// Line number.
        line: usize,
        /// What is wrong with it.
        error: PairError,
    },
}

/// What is wrong with one pair.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq)]
pub enum PairError {
    /// The model has no such class.
    #[error("there is no class {class}: the model has {classes}, and they count from 0")]
    Range {
        /// The class or neighbour.
        class: u32,
        /// The number of classes.
        classes: usize,
    },
    /// A weight that is less than 0, more than 1, or not a number.
    #[error("the weight must be from 0 to 1, not {weight}")]
    Weight {
        /// The weight.
        weight: f32,
    },
    /// A class that would lift itself.
    #[error("class {class} can't be its own neighbour")]
    Itself {
        /// The class.
        class: u32,
    },
    /// A pair that came before.
    #[error("class {class} has neighbour {neighbour} already")]
    Twice {
        /// The class.
        class: u32,
        /// Its neighbour.
        neighbour: u32,
    },
    /// More than [`MOST_NEIGHBOURS`] of one class.
    #[error("class {class} has more than {MOST_NEIGHBOURS} neighbours")]
    TooMany {
        /// The class.
        class: u32,
    },
}

const HEADER: &str = "class\tneighbour\tweight";

impl Prior {
    /// Reads the text of a `prior.tsv` for a model of so many classes: a header, then one pair a line, in any order.
    ///
    /// # Errors
    /// [`PriorError`], with the first line that is wrong.
    pub fn parse(text: &str, classes: usize) -> Result<Self, PriorError> {
        let mut lines = text.lines().map(|line| line.trim_end_matches('\r'));
        let header = lines.next().unwrap_or_default();
        if header != HEADER {
            return Err(PriorError::Header { found: shortened(header) });
        }
        let mut pairs = Pairs::new(classes);
        for (index, text) in lines.enumerate() {
            let line = index + 2;
            let columns: Vec<&str> = text.split('\t').collect();
            let [class, neighbour, weight] = columns[..] else {
                return Err(PriorError::Columns { line, found: columns.len() });
            };
            let wrong = |column, found| PriorError::Number { line, column, found: shortened(found) };
            let pair = Pair {
                class: class.parse().map_err(|_| wrong("class", class))?,
                neighbour: neighbour.parse().map_err(|_| wrong("neighbour", neighbour))?,
                weight: weight.parse().map_err(|_| wrong("weight", weight))?,
            };
            pairs.add(pair).map_err(|error| PriorError::Pair { line, error })?;
        }
        Ok(pairs.into_prior())
    }

    /// Of pairs in any order, for a model of so many classes.
    ///
    /// # Errors
    /// [`PairError`], of the first pair that can't be.
    pub fn new(classes: usize, pairs: impl IntoIterator<Item = Pair>) -> Result<Self, PairError> {
        let mut checked = Pairs::new(classes);
        pairs.into_iter().try_for_each(|pair| checked.add(pair))?;
        Ok(checked.into_prior())
    }

    /// The text of a `prior.tsv`, in the order of classes and neighbours. Weights are rounded to thousandths.
    #[must_use]
    pub fn to_tsv(&self) -> String {
        let line = |pair: Pair| format!("{}\t{}\t{:.3}\n", pair.class, pair.neighbour, pair.weight);
        std::iter::once(format!("{HEADER}\n")).chain(self.pairs().map(line)).collect()
    }

    /// The number of classes it was made for.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether no class has a neighbour: such a table changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.neighbours.is_empty()
    }

    /// The neighbours of a class with their weights, in order. None if there is no such class.
    pub fn neighbours(&self, class: u32) -> impl Iterator<Item = (u32, f32)> {
        let bound = |at: usize| self.starts.get(at).and_then(|start| usize::try_from(*start).ok());
        let row = usize::try_from(class).ok().and_then(|at| Some(bound(at)?..bound(at + 1)?)).unwrap_or(0..0);
        self.neighbours[row.clone()].iter().copied().zip(self.weights[row].iter().copied())
    }

    /// All pairs, in the order of classes and neighbours.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> {
        let row = |class| self.neighbours(class).map(move |(neighbour, weight)| Pair { class, neighbour, weight });
        (0..).take(self.classes()).flat_map(row)
    }
}

/// Pairs that were checked. No more memory than the classes can have neighbours, however long the text.
struct Pairs {
    counts: Vec<usize>,
    seen: HashSet<(u32, u32)>,
    pairs: Vec<Pair>,
}

impl Pairs {
    fn new(classes: usize) -> Self {
        Self { counts: vec![0; classes], seen: HashSet::new(), pairs: Vec::new() }
    }

    fn add(&mut self, pair: Pair) -> Result<(), PairError> {
        let Pair { class, neighbour, weight } = pair;
        let classes = self.counts.len();
        let place = |class| {
            let place = usize::try_from(class).ok().filter(|place| *place < classes);
            place.ok_or(PairError::Range { class, classes })
        };
        let at = place(class)?;
        place(neighbour)?;
        if !(0.0..=1.0).contains(&weight) {
            return Err(PairError::Weight { weight });
        }
        if class == neighbour {
            return Err(PairError::Itself { class });
        }
        if self.seen.contains(&(class, neighbour)) {
            return Err(PairError::Twice { class, neighbour });
        }
        if self.counts[at] == MOST_NEIGHBOURS {
            return Err(PairError::TooMany { class });
        }
        self.counts[at] += 1;
        self.seen.insert((class, neighbour));
        self.pairs.push(pair);
        Ok(())
    }

    fn into_prior(mut self) -> Prior {
        self.pairs.sort_unstable_by_key(|pair| (pair.class, pair.neighbour));
        let mut end = 0;
        let ends = self.counts.iter().map(|count| {
            end += *count;
            u32::try_from(end).unwrap_or(u32::MAX)
        });
        Prior {
            starts: std::iter::once(0).chain(ends).collect(),
            neighbours: self.pairs.iter().map(|pair| pair.neighbour).collect(),
            weights: self.pairs.iter().map(|pair| pair.weight).collect(),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(prior: &Prior, class: u32) -> Vec<(u32, f32)> {
        prior.neighbours(class).collect()
    }

    #[test]
    fn a_table_is_read_in_any_order_and_written_in_one() {
        let prior = Prior::parse("class\tneighbour\tweight\r\n2\t0\t0.25\r\n0\t2\t1\r\n0\t1\t.5\r\n", 4).unwrap();
        assert_eq!(row(&prior, 0), [(1, 0.5), (2, 1.0)]);
        assert_eq!(row(&prior, 2), [(0, 0.25)]);
        for class in [1, 3, 4, u32::MAX] {
            assert_eq!(row(&prior, class), []);
        }
        assert_eq!(prior.to_tsv(), "class\tneighbour\tweight\n0\t1\t0.500\n0\t2\t1.000\n2\t0\t0.250\n");
        assert_eq!((prior.classes(), prior.is_empty()), (4, false));
    }

    #[test]
    fn a_table_without_pairs_is_one() {
        let prior = Prior::parse("class\tneighbour\tweight\n", 2).unwrap();
        assert_eq!((prior.classes(), prior.is_empty(), row(&prior, 1)), (2, true, vec![]));
        assert_eq!(prior.to_tsv(), "class\tneighbour\tweight\n");
        assert!(Prior::new(0, []).unwrap().is_empty());
    }

    #[test]
    fn each_fault_is_named_with_its_line() {
        for (rows, wanted) in [
            ("0\t1\n", "line 2: three columns are needed (class, neighbour, weight), there are 2"),
            ("0\t1\t0.5\n\n", "line 3: three columns are needed (class, neighbour, weight), there are 1"),
            ("zebra\t1\t0.5\n", "line 2: class \"zebra\" is not a number that can stand here"),
            ("-1\t1\t0.5\n", "line 2: class \"-1\" is not"),
            ("0\t1.0\t0.5\n", "line 2: neighbour \"1.0\" is not"),
            ("0\t1\thalf\n", "line 2: weight \"half\" is not"),
            ("9\t1\t0.5\n", "line 2: there is no class 9: the model has 9, and they count from 0"),
            ("0\t1\t0.5\n0\t10\t0.5\n", "line 3: there is no class 10: the model has 9"),
            ("0\t1\t1.01\n", "line 2: the weight must be from 0 to 1, not 1.01"),
            ("0\t1\t-0.5\n", "line 2: the weight must be from 0 to 1, not -0.5"),
            ("0\t1\tNaN\n", "line 2: the weight must be from 0 to 1, not NaN"),
            ("3\t3\t0.5\n", "line 2: class 3 can't be its own neighbour"),
            ("0\t1\t0.5\n1\t0\t0.5\n0\t1\t0.6\n", "line 4: class 0 has neighbour 1 already"),
        ] {
            let error = Prior::parse(&format!("class\tneighbour\tweight\n{rows}"), 9).unwrap_err().to_string();
            assert!(error.contains(wanted), "{rows:?} gave {error:?}, without {wanted:?}");
        }
        for header in ["", "class\tneighbour\n", "0\t1\t0.5\n"] {
            assert!(matches!(Prior::parse(header, 9), Err(PriorError::Header { .. })), "{header:?}");
        }
    }

    #[test]
    fn a_class_has_at_most_so_many_neighbours() {
        let pairs = |count| (1..=count).map(|neighbour| Pair { class: 0, neighbour, weight: 0.5 });
        assert_eq!(row(&Prior::new(100, pairs(64)).unwrap(), 0).len(), MOST_NEIGHBOURS);
        assert_eq!(Prior::new(100, pairs(65)), Err(PairError::TooMany { class: 0 }));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            chosen in proptest::collection::btree_map((0_u32..20, 0_u32..20), 0_u16..=1000, 0..100),
        ) {
            let pairs: Vec<Pair> = chosen
                .into_iter()
                .filter(|((class, neighbour), _)| class != neighbour)
                .map(|((class, neighbour), w)| Pair { class, neighbour, weight: f32::from(w) / 1000.0 })
                .collect();
            let prior = Prior::new(20, pairs.iter().rev().copied()).unwrap();
            prop_assert_eq!(prior.pairs().collect::<Vec<_>>(), pairs);
            prop_assert_eq!(Prior::parse(&prior.to_tsv(), 20), Ok(prior));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(class\tneighbour\tweight\n)?([0-9]{1,2}\t[0-9]{1,2}\t[0-9.e-]{1,4}\n|\\PC)*") {
            if let Ok(prior) = Prior::parse(&text, 50) {
                prop_assert!(prior.pairs().all(|pair| (0.0..=1.0).contains(&pair.weight)));
            }
        }
    }
}
