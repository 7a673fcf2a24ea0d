//! Classes and scores as lines for a terminal.

use unicode_width::UnicodeWidthStr;

use crate::frame::glance::Glance;
use crate::model::Bundle;

/// Cells of a full bar.
const BAR: usize = 24;
/// Cells for the names of a class.
const NAMES: usize = 38;

/// One line for each of the best classes: names, a bar from zero, per cent.
pub(super) fn lines(glance: &Glance, bundle: &Bundle) -> Vec<String> {
    let top = glance.top().iter();
    top.map(|ranked| {
        let label = bundle.labels.get(ranked.class);
        let names = label.map_or(String::new(), |label| match &label.zh {
            Some(zh) => format!("{} {zh}", label.en),
            None => label.en.clone(),
        });
        line(&names, f64::from(ranked.score))
    })
    .collect()
}

/// Names, bar and per cent in one line.
pub(super) fn line(names: &str, score: f64) -> String {
    format!("{} {} {:5.1} %", fit(names, NAMES), bar(score), score * 100.0)
}

/// A bar of [`BAR`] cells, exact to an eighth of a cell.
fn bar(score: f64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (score.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    let drawn = format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8]);
    fit(&drawn, BAR)
}

/// Text cut or filled up to so many terminal cells; a Chinese character takes two.
fn fit(text: &str, cells: usize) -> String {
    let mut fitted = String::new();
    let mut used = 0;
    for character in text.chars() {
        let width = UnicodeWidthStr::width(character.encode_utf8(&mut [0; 4]) as &str);
        if used + width > cells {
            break;
        }
        used += width;
        fitted.push(character);
    }
    fitted.extend(std::iter::repeat_n(' ', cells - used));
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_start_from_zero_and_are_exact_to_an_eighth() {
        assert_eq!(bar(0.0).trim_end(), "");
        assert_eq!(bar(1.0), "█".repeat(BAR));
        assert_eq!(bar(0.5).trim_end(), "█".repeat(BAR / 2));
        assert_eq!(bar(1.0 / (BAR * 8) as f64).trim_end(), "▏");
    }

    #[test]
    fn names_fill_their_column_whatever_the_script() {
        for names in ["zebra 斑马", "a name that is far too long for the column it has been given 斑马"] {
            assert_eq!(UnicodeWidthStr::width(fit(names, NAMES).as_str()), NAMES);
        }
    }
}
