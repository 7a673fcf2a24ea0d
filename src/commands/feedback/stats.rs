//! `glanced feedback stats`

use std::fmt::Write;

use super::Failure;
use crate::cli::FeedbackStats;
use crate::config::Config;
use crate::feedback::view::Stats;

pub(super) fn stats(args: &FeedbackStats, config: &Config) -> Result<(), Failure> {
    let stats = super::view(&config.store)?.stats().map_err(super::failure)?;
    if args.json {
        return super::super::print_json(&stats);
    }
    super::super::print(&table(&stats, &config.store.resolved_dir().display().to_string()))
}

fn table(stats: &Stats, dir: &str) -> String {
    let mut text = format!("{dir}\n");
    let mut row = |name: &str, value: String| {
        let _to_memory = writeln!(text, "{name:<24} {value:>12}");
    };
    row("labelled frames", stats.labelled.to_string());
    row("  of these, exported", stats.exported.to_string());
    row("unlabelled frames", stats.unlabelled.to_string());
    for (reason, count) in &stats.by_reason {
        row(&format!("  for {}", super::shown(reason)), count.to_string());
    }
    row("statements", stats.feedback.to_string());
    row("journal entries", stats.journal_entries.to_string());
    row("on disk", mib(stats.bytes));
    row("  pictures", mib(stats.blob_bytes));
    row("  journal", mib(stats.journal_bytes));
    row("  index", mib(stats.index_bytes));
    if stats.aside_bytes > 0 {
        row("  damaged, kept aside", mib(stats.aside_bytes));
    }
    let mut labels: Vec<_> = stats.by_label.iter().collect();
    labels.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    if !labels.is_empty() {
        text.push_str("\nlabel\n");
    }
    for (label, count) in labels {
        let _to_memory = writeln!(text, "  {count:>8}  {}", super::shown(label));
    }
    text
}

fn mib(bytes: u64) -> String {
    // Tenths, without going through floating point.
    let tenths = (u128::from(bytes) * 10 + (1 << 19)) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
