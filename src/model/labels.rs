//! `labels.tsv`: what each class is called.

use std::collections::HashMap;

/// The names of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// WordNet synset such as `n02391049`, where the class has one.
    pub id: Option<String>,
    /// English name.
    pub en: String,
    /// Chinese name, where there is one.
    pub zh: Option<String>,
}

/// The names of all classes of a model, in the order of its scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    classes: Vec<Label>,
    /// Folded names, for finding.
    folded: HashMap<String, u32>,
}

/// What is wrong with a `labels.tsv`. Lines count from 1.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LabelsError {
    /// The first line is not the header.
    #[error("labels.tsv: the first line must be \"class<TAB>id<TAB>en<TAB>zh\", not {found:?}")]
    Header {
        /// The line there is, shortened.
        found: String,
    },
    /// A line with another number of columns than four.
    #[error("labels.tsv, line {line}: four columns are needed (class, id, en, zh), there are {found}")]
    Columns {
        /// Line number.
        line: usize,
        /// Columns in that line.
        found: usize,
    },
    /// The class numbers do not run 0, 1, 2, …
    #[error("labels.tsv, line {line}: class {found:?} where {expected} comes next")]
    Order {
        /// Line number.
        line: usize,
        /// The class that should stand here.
        expected: usize,
        /// What stands here.
        found: String,
    },
    /// A class without an English name.
    #[error("labels.tsv, line {line}: class {class} has no English name")]
    Unnamed {
        /// Line number.
        line: usize,
        /// The class.
        class: usize,
    },
    /// Two classes that a person could not tell apart.
    #[error(
        "labels.tsv, line {line}: {label:?} names an earlier class too, but for case, spaces, hyphens or underscores"
    )]
    Duplicate {
        /// Line number.
        line: usize,
        /// The English name.
        label: String,
    },
    /// No classes at all.
    #[error("labels.tsv: no classes")]
    Empty,
}

const HEADER: &str = "class\tid\ten\tzh";

impl Labels {
    /// Reads the text of a `labels.tsv`: a header, then one class a line.
    ///
    /// # Errors
    /// [`LabelsError`], with the line, if it is not such a table.
    pub fn parse(text: &str) -> Result<Self, LabelsError> {
        let mut lines = text.lines().map(|line| line.trim_end_matches('\r'));
        let header = lines.next().unwrap_or_default();
        if header != HEADER {
            return Err(LabelsError::Header { found: header.chars().take(40).collect() });
        }
        let mut labels = Vec::new();
        let mut folded = HashMap::new();
        for (index, text) in lines.enumerate() {
            let line = index + 2;
            let columns: Vec<&str> = text.split('\t').collect();
            let [class, id, en, zh] = columns[..] else {
                return Err(LabelsError::Columns { line, found: columns.len() });
            };
            if class.parse() != Ok(labels.len()) {
                return Err(LabelsError::Order {
                    line,
                    expected: labels.len(),
                    found: class.chars().take(40).collect(),
                });
            }
            if en.trim().is_empty() {
                return Err(LabelsError::Unnamed { line, class: labels.len() });
            }
            let number = u32::try_from(labels.len()).unwrap_or(u32::MAX);
            if folded.insert(fold(en), number).is_some() {
                return Err(LabelsError::Duplicate { line, label: en.to_owned() });
            }
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            labels.push(Label { id: some(id), en: en.to_owned(), zh: some(zh) });
        }
        if labels.is_empty() { Err(LabelsError::Empty) } else { Ok(Self { classes: labels, folded }) }
    }

    /// Classes of these names, without synsets and Chinese names.
    ///
    /// # Errors
    /// [`LabelsError`] if there is none, or two of them can't be told apart.
    pub fn new(names: &[String]) -> Result<Self, LabelsError> {
        let mut labels = Self { classes: Vec::new(), folded: HashMap::new() };
        for name in names {
            labels = labels.with(name).ok_or_else(|| LabelsError::Duplicate { line: 0, label: name.clone() })?;
        }
        if labels.classes.is_empty() { Err(LabelsError::Empty) } else { Ok(labels) }
    }

    /// These and one more class; `None` if the name is none, or names one of these.
    #[must_use]
    pub fn with(mut self, name: &str) -> Option<Self> {
        let name = name.trim();
        if fold(name).is_empty() || name.contains(char::is_control) || self.find(name).is_some() {
            return None;
        }
        self.folded.insert(fold(name), u32::try_from(self.classes.len()).ok()?);
        self.classes.push(Label { id: None, en: name.to_owned(), zh: None });
        Some(self)
    }

    /// The text of a `labels.tsv`.
    #[must_use]
    pub fn to_tsv(&self) -> String {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let line = |(class, Label { id, en, zh }): (usize, &Label)| {
            format!("{class}\t{}\t{en}\t{}\n", or_empty(id), or_empty(zh))
        };
        let lines: String = self.classes.iter().enumerate().map(line).collect();
        format!("{HEADER}\n{lines}")
    }

    /// The number of classes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty: parse refuses that")]
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// The English names of all classes, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.iter().map(|class| class.en.as_str())
    }

    /// The names of a class, if there is such a class.
    #[must_use]
    pub fn get(&self, class: u32) -> Option<&Label> {
        self.classes.get(usize::try_from(class).ok()?)
    }

    /// The class that a person means by `label`: its English name but for case, spaces, hyphens and underscores, else its
    /// synset.
    #[must_use]
    pub fn find(&self, label: &str) -> Option<u32> {
        let by_synset = || self.classes.iter().position(|known| known.id.as_deref() == Some(label));
        let by_name = self.folded.get(&fold(label)).copied();
        by_name.or_else(|| u32::try_from(by_synset()?).ok())
    }

    /// The class that a folder of pictures is named after: as for [`Labels::find`], else its synset in any case, else its
    /// Chinese name, unless several classes have that one.
    #[must_use]
    pub fn find_folder(&self, name: &str) -> Option<u32> {
        let folded = fold(name);
        let is_synset = |class: &Label| class.id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(name));
        let is_chinese = |class: &Label| class.zh.as_deref().is_some_and(|zh| fold(zh) == folded);
        let only_one = || {
            let mut classes = self.classes.iter().enumerate().filter(|(_, class)| is_chinese(class));
            let (class, _) = classes.next()?;
            classes.next().is_none().then_some(class)
        };
        let other = || u32::try_from(self.classes.iter().position(is_synset).or_else(only_one)?).ok();
        self.find(name).or_else(other)
    }

    /// The English or Chinese name or the synset that is spelt most like `name`, if one is a few letters away.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let name = fold(name);
        let names = self.classes.iter().flat_map(|class| {
            [Some(class.en.as_str()), class.zh.as_deref(), class.id.as_deref()].into_iter().flatten()
        });
        let farthest = (name.chars().count() / 3).max(1);
        names
            .map(|known| (strsim::osa_distance(&name, &fold(known)), known))
            .min_by_key(|(distance, _)| *distance)
            // A name that shares no letter is no guess.
            .filter(|(distance, known)| *distance <= farthest && *distance < fold(known).chars().count())
            .map(|(_, known)| known)
    }
}

/// A name without case, spaces, hyphens and underscores: people write `Egyptian cat`, `egyptian_cat` and `Egyptian-cat`.
fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_in_order_and_empty_cells_are_none() {
        let labels = Labels::parse("class\tid\ten\tzh\n0\tn01\tzebra\t斑马\n1\t\tred\t\n").unwrap();
        assert_eq!(labels.len(), 2);
        assert_eq!(
            labels.get(0).unwrap(),
            &Label { id: Some("n01".into()), en: "zebra".into(), zh: Some("斑马".into()) }
        );
        assert_eq!(labels.get(1).unwrap(), &Label { id: None, en: "red".into(), zh: None });
        assert_eq!(labels.get(2), None);
        assert_eq!((labels.find("Ze-bra"), labels.find("zebras")), (Some(0), None));
    }

    #[test]
    fn more_classes_are_written_as_they_are_read() {
        let text = "class\tid\ten\tzh\n0\tn01\tzebra\t斑马\n1\t\tred\t\n";
        let labels = Labels::parse(text).unwrap();
        assert_eq!(labels.to_tsv(), text);
        let more = labels.clone().with(" band aid ").unwrap();
        assert_eq!((more.len(), more.find("Band_Aid")), (3, Some(2)));
        assert_eq!(Labels::parse(&more.to_tsv()).unwrap(), more);
        for taken in ["ZEBRA", "n01", "", " - ", "a\tb"] {
            assert_eq!(labels.clone().with(taken), None, "{taken:?}");
        }
        let names = |names: &[&str]| Labels::new(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["open", "closed"]).unwrap().find("closed"), Some(1));
        assert_eq!(names(&[]), Err(LabelsError::Empty));
        assert!(matches!(names(&["open", "Open"]), Err(LabelsError::Duplicate { .. })));
    }

    #[test]
    fn a_class_is_found_by_its_name_as_people_write_it_or_its_synset() {
        let labels = Labels::parse("class\tid\ten\tzh\n0\tn01\tzebra\t\n1\tn02\tEgyptian cat\t\n").unwrap();
        for (label, class) in [
            ("zebra", Some(0)),
            ("Egyptian cat", Some(1)),
            ("egyptian_cat", Some(1)),
            ("Egyptian-Cat", Some(1)),
            ("n02", Some(1)),
            ("cat", None),
            ("", None),
        ] {
            assert_eq!(labels.find(label), class, "{label:?}");
        }
    }

    #[test]
    fn a_folder_is_named_after_a_class_in_either_language_or_by_its_synset() {
        let table = "class\tid\ten\tzh\n0\tn01\tzebra\t斑马\n1\tn02\tEgyptian cat\t埃及 猫\n2\tn03\tcrane\t鹤\n\
                     3\tn04\tsandhill crane\t鹤\n4\t\tn01\t\n";
        let labels = Labels::parse(table).unwrap();
        for (name, class) in [
            ("Zebra", Some(0)),
            ("N02", Some(1)),
            ("egyptian_cat", Some(1)),
            ("斑马", Some(0)),
            ("埃及_猫", Some(1)),
            ("埃及猫", Some(1)),
            // Two classes have it.
            ("鹤", None),
            // A name goes before a synset.
            ("n01", Some(4)),
            ("", None),
            ("cat", None),
        ] {
            assert_eq!(labels.find_folder(name), class, "{name:?}");
        }
    }

    #[test]
    fn the_nearest_name_is_a_few_letters_away_or_none() {
        let labels = Labels::parse("class\tid\ten\tzh\n0\tn01440764\tzebra\t斑马\n1\tn02\tEgyptian cat\t猫\n").unwrap();
        for (name, nearest) in [
            ("Zebar", Some("zebra")),
            ("egyptian_cats", Some("Egyptian cat")),
            ("n01440746", Some("n01440764")),
            ("班马", Some("斑马")),
            ("dog", None),
            ("狗", None),
            ("", None),
        ] {
            assert_eq!(labels.nearest(name), nearest, "{name:?}");
        }
    }

    #[test]
    fn each_fault_is_named_with_its_line() {
        let table = [
            ("", "the first line must be"),
            ("class\tid\ten\n", "the first line must be"),
            ("class\tid\ten\tzh\n", "no classes"),
            ("class\tid\ten\tzh\n0\tzebra\n", "line 2: four columns are needed (class, id, en, zh), there are 2"),
            ("class\tid\ten\tzh\n0\t\ta\t\n2\t\tb\t\n", "line 3: class \"2\" where 1 comes next"),
            ("class\tid\ten\tzh\n0\t\t \t\n", "line 2: class 0 has no English name"),
            (
                "class\tid\ten\tzh\n0\t\tEgyptian cat\t\n1\t\tegyptian_cat\t\n",
                "line 3: \"egyptian_cat\" names an earlier class too",
            ),
        ];
        for (text, wanted) in table {
            let error = Labels::parse(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text:?} gave {error:?}, without {wanted:?}");
        }
    }
}
