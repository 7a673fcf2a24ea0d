//! The report for people.

use std::fmt::Write;

use super::{Report, Row};

pub(super) fn of(report: &Report) -> String {
    let mut text = format!(
        "{}, {} pictures. Each row has what the rows above it have; in brackets are 95 % intervals.\n\n\
         {:12} {:12} {:>6} {:>7} {:>22} {:>26} {:>6} {:>6} {:>7}\n",
        report.model,
        report.n,
        "pictures",
        "step",
        "n",
        "top-1",
        "top-3",
        "against the first row",
        "ECE",
        "views",
        "ms"
    );
    let mut last = None;
    for row in &report.rows {
        let new = last != Some(&row.degrade);
        last = Some(&row.degrade);
        // Writing to a String can't fail.
        let _ = writeln!(text, "{}", line(row, new));
    }
    text.push('\n');
    if report.rows.iter().any(|row| row.step == "temporal") {
        text.push_str("temporal: the mean over the frames of each sequence, after the last; the rows above it are that frame alone.\n");
    }
    text.push_str(
        "ECE: how far the stated probability is from the share of right answers, in the mean (0 is perfect, 15 bins).\n",
    );
    text
}

fn line(row: &Row, new: bool) -> String {
    let s = &row.summary;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let top3 = format!("{} [{:.1}, {:.1}]", percent(s.top3), 100.0 * s.top3_low, 100.0 * s.top3_high);
    let against = row.against_first.map_or(String::new(), |a| {
        format!("{:+.1} [{:+.1}, {:+.1}] p {:.3}", a.points, a.interval.low, a.interval.high, a.p)
    });
    format!(
        "{:12} {:12} {:>6} {:>7} {top3:>22} {against:>26} {:>6.3} {:>6.2} {:>7.1}",
        if new { &row.degrade } else { "" },
        row.step,
        s.n,
        percent(s.top1),
        s.ece,
        s.views,
        s.ms
    )
}
