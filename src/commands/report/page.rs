//! The page. All that comes from outside (labels, file names) goes through `maud`, which escapes it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::confusion::{self, Confusion};
use super::words::{self, percent};
use super::{Findings, Seen, label, plots};
use crate::eval::metrics::{self, Prediction};

/// Bars in the reliability diagram: each tenth is easier to read than the 15 bins of the calibration error.
const BARS: usize = 10;
const CONFUSIONS: usize = 10;
/// More colours than this can't be told apart.
const MOST_COLOURS: usize = 20;
/// Half the side of the map, and of what its points fill.
const MAP: f32 = 320.0;
const FILLED: f32 = 300.0;

/// Nothing is fetched from anywhere, whatever the page holds.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'";
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page.
pub(super) fn of(findings: &Findings<'_>) -> anyhow::Result<String> {
    let predictions: Vec<Prediction> = findings.seen.iter().map(|seen| seen.outcome.prediction()).collect();
    let bins = metrics::reliability(&predictions, BARS);
    let curve = metrics::coverage(&predictions);
    let marks = words::marks(findings, &predictions, metrics::threshold(&predictions, words::PRECISION));
    let worst = confusion::worst(&findings.seen, CONFUSIONS);
    let reliability = figure(&plots::reliability(&bins)?, "How often answers are right, by how sure the model was");
    let coverage = figure(&plots::coverage(&curve, &marks)?, "How many answers are right, by how many are given");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "How good is " (findings.model) "?" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "How good is " (findings.model) "?" }
                    (summary(findings))
                    section id="reliability" {
                        h2 { "Can its percentages be believed?" }
                        p { (words::reliability(&bins, findings.summary.ece)) }
                        (reliability)
                    }
                    section id="coverage" {
                        h2 { "What if it only answers when it is sure?" }
                        p { (words::coverage(&curve, &marks)) }
                        (coverage)
                    }
                    section id="confusion" {
                        h2 { "What does it mix up?" }
                        p { (words::confusion(findings, &worst)) }
                        @if !worst.is_empty() { (table(findings, &worst)) }
                    }
                    section id="map" {
                        h2 { "What looks alike to it?" }
                        p { (words::map(findings)) }
                        (map(findings))
                    }
                    footer { "Made by glanced " (env!("CARGO_PKG_VERSION")) ". The map is t-SNE of "
                        @if findings.has_features { "the features" } @else { "the square roots of the probabilities" }
                        "; the interval is Wilson's, at 95 %; ECE is of 15 bins." }
                }
                div id="preview" hidden { img alt="" src="data:,"; p {} }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(page.into_string())
}

fn summary(findings: &Findings<'_>) -> Markup {
    let summary = &findings.summary;
    html! {
        p {
            "It looked at " (summary.n) " pictures whose classes are known"
            @if let Some(degrade) = findings.degrade { ", made worse first (" (degrade) ")" }
            ". Its best answer was right for " (percent(summary.top1)) " of them, and for " (percent(summary.top3))
            " the right answer was among its best three. With other pictures of this kind that would be between "
            (percent(summary.top3_low)) " and " (percent(summary.top3_high)) "."
        }
        dl {
            (entry("Pictures", &summary.n.to_string()))
            (entry("Best answer right (top-1)", &format!("{:.1} %", 100.0 * summary.top1)))
            (entry("Among the best three (top-3)", &format!("{:.1} %", 100.0 * summary.top3)))
            (entry("95 % interval of top-3", &format!("{:.1} to {:.1} %", 100.0 * summary.top3_low, 100.0 * summary.top3_high)))
            (entry("Calibration error (ECE)", &format!("{:.3}", summary.ece)))
            (entry("Model", &findings.model))
            (entry("Views of each picture", &format!("{}, {:.2} in the mean", findings.views, summary.views)))
        }
    }
}

fn entry(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// A plot, whose text `plotters` has escaped.
fn figure(svg: &str, name: &str) -> Markup {
    // HTML needs no namespace.
    let inner = svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1);
    html! { figure role="img" aria-label=(name) { (PreEscaped(inner)) } }
}

fn table(findings: &Findings<'_>, worst: &[Confusion]) -> Markup {
    html! {
        table {
            thead { tr { th { "What it shows" } th { "Taken for" } th { "How often" } th { "Examples" } } }
            tbody {
                @for pair in worst {
                    tr {
                        td { (label(findings.labels, pair.class)) }
                        td { (label(findings.labels, pair.taken_for)) }
                        td { (pair.count) " of " (pair.of) }
                        td {
                            @for seen in pair.examples.iter().map(|&index| &findings.seen[index]) {
                                @let text = described(findings, seen);
                                img src=(format!("data:image/jpeg;base64,{}", seen.thumbnail.as_deref().unwrap_or_default()))
                                    alt=(text) title=(text);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a picture shows, what was said, and which file it is.
fn described(findings: &Findings<'_>, seen: &Seen) -> String {
    let outcome = &seen.outcome;
    let (class, best) = (label(findings.labels, outcome.class), label(findings.labels, outcome.best));
    let sure = percent(outcome.confidence.into());
    match outcome.ahead {
        0 => format!("{class}: right, {sure} sure ({})", seen.file),
        1..3 => format!("{class}: in the best three, but {best} was the best with {sure} ({})", seen.file),
        _ => format!("{class}: wrong, taken for {best} with {sure} ({})", seen.file),
    }
}

fn map(findings: &Findings<'_>) -> Markup {
    let mut classes: Vec<u32> = findings.map.iter().map(|(index, _)| findings.seen[*index].outcome.class).collect();
    classes.sort_unstable();
    classes.dedup();
    let few = classes.len() <= MOST_COLOURS;
    // Each hue as far as may be from the last ones, and the same for a class wherever it is.
    let colour = |class: u32| {
        let place = classes.binary_search(&class).unwrap_or_default();
        let hue = if few { place * 360 / classes.len() } else { place * 137 % 360 };
        format!("--class:hsl({hue} 65% {}%)", if place.is_multiple_of(2) { 45 } else { 60 })
    };
    let widest =
        findings.map.iter().flat_map(|(_, place)| place).fold(f32::MIN_POSITIVE, |most, at| most.max(at.abs()));
    let at = |value: f32| format!("{:.1}", value / widest * FILLED);
    html! {
        div class="map" {
            input type="radio" name="colour" id="by-answer" checked[!few];
            label for="by-answer" { "colour by answer" }
            input type="radio" name="colour" id="by-class" checked[few];
            label for="by-class" { "colour by class" }
            p class="legend answers" {
                span class="right" { "right" } span class="near" { "in the best three" } span class="wrong" { "wrong" }
            }
            p class="legend classes" {
                @if few {
                    @for &class in &classes { span style=(colour(class)) { (label(findings.labels, class)) } }
                } @else { (classes.len()) " classes: too many to name, and not all colours can be told apart" }
            }
            svg viewBox=(format!("{} {} {} {}", -MAP, -MAP, 2.0 * MAP, 2.0 * MAP)) {
                @for (seen, place) in findings.map.iter().map(|(index, place)| (&findings.seen[*index], place)) {
                    @let kind = match seen.outcome.ahead { 0 => "right", 1..3 => "near", _ => "wrong" };
                    circle class=(kind) style=(colour(seen.outcome.class)) cx=(at(place[0])) cy=(at(place[1])) r="5"
                        data-picture=[seen.thumbnail.as_deref()] { title { (described(findings, seen)) } }
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::eval::outcome::{Outcome, Summary};
    use crate::model::Labels;

    /// A picture of a class for which another was the best.
    pub(in super::super) fn seen(class: u32, best: u32, confidence: f32) -> Seen {
        let ahead = usize::from(class != best);
        let outcome =
            Outcome { class, best, confidence, ahead, log_loss: 0.1, brier: 0.1, views: 1, condition: None, ms: 1.0 };
        Seen { file: "a/<b>&\"c.jpg".to_owned(), outcome, features: Vec::new(), thumbnail: Some("/9j/".to_owned()) }
    }

    fn page(seen: Vec<Seen>) -> String {
        let labels = Labels::parse("class\tid\ten\tzh\n0\t\t<script>x</script>\t\n1\t\tA & B\t\n2\t\tred\t\n").unwrap();
        let outcomes: Vec<Outcome> = seen.iter().map(|seen| seen.outcome).collect();
        of(&Findings {
            model: "<model> 1".to_owned(),
            views: "center",
            degrade: None,
            summary: Summary::of(&outcomes).unwrap(),
            labels: &labels,
            map: (0..seen.len()).map(|index| (index, [index as f32, 1.0])).collect(),
            has_features: true,
            unknown_below: 0.5,
            seen,
        })
        .unwrap()
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let page = page(vec![seen(0, 1, 0.9), seen(0, 0, 0.8), seen(1, 0, 0.4), seen(2, 2, 1.0)]);
        for raw in ["<script>x", "<model>", "<b>", "A & B", "\"c.jpg"] {
            assert!(!page.contains(raw), "{raw}");
        }
        assert!(page.contains("&lt;script&gt;x") && page.contains("a/&lt;b&gt;&amp;&quot;c.jpg"), "{page}");
        assert_eq!(page.matches("<script>").count(), 1);
        assert_eq!(page.matches("<circle class").count(), 4);
        assert_eq!(page.matches("<title>").count(), 5);
    }

    #[test]
    fn nothing_is_loaded_from_anywhere() {
        let page = page(vec![seen(0, 1, 0.9)]);
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("), "{page}");
        for attribute in ["src=\"", "href=\""] {
            assert!(page.split(attribute).skip(1).all(|value| value.starts_with("data:")), "{page}");
        }
    }

    #[test]
    fn all_right_or_all_wrong_is_a_page_too() {
        assert!(page(vec![seen(2, 2, 1.0)]).contains("Every best answer was right."));
        assert!(page((0..12).map(|_| seen(2, 1, 0.3)).collect()).contains("12 of 12"));
    }
}
