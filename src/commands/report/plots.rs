//! The plots, as SVG. What is black here is the text's colour in the page, whichever that is: see its style sheet.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::eval::metrics::{Bin, CoveragePoint};

const SIZE: (u32, u32) = (640, 420);
/// `fill="#0072B2"` and the like in the SVG; the page has them by these names too.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(230, 159, 0);

/// A point to be marked on the curve of coverage against accuracy.
pub(super) struct Mark {
    pub(super) coverage: f64,
    pub(super) accuracy: f64,
    pub(super) text: String,
}

fn percent(share: &f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// Bars of how many were right, by how sure the model was, with the numbers of answers on them, and the line they should
/// reach.
pub(super) fn reliability(bins: &[Bin]) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = axes(&root, 0.0..1.08, "how sure the model was", "how often it was right")?;
        let full = || bins.iter().filter(|bin| bin.count > 0);
        let bar = |bin: &Bin| {
            Rectangle::new([(bin.low + 0.006, 0.0), (bin.high - 0.006, bin.accuracy)], BLUE.mix(0.75).filled())
        };
        chart.draw_series(full().map(bar)).map_err(failed)?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], BLACK.mix(0.6))).map_err(failed)?;
        let centred = plotters::style::text_anchor::Pos::new(
            plotters::style::text_anchor::HPos::Center,
            plotters::style::text_anchor::VPos::Bottom,
        );
        let style = TextStyle::from(("sans-serif", 13).into_font()).pos(centred);
        let count = |bin: &Bin| {
            Text::new(bin.count.to_string(), ((bin.low + bin.high) / 2.0, bin.accuracy + 0.012), style.clone())
        };
        chart.draw_series(full().map(count)).map_err(failed)?;
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

/// The curve of how many of the answers are right, if only the surest are given.
pub(super) fn coverage(points: &[CoveragePoint], marks: &[Mark]) -> anyhow::Result<String> {
    let lowest = points.iter().map(|point| point.accuracy).fold(1.0, f64::min);
    let bottom = ((lowest * 10.0).floor() / 10.0 - 0.1).max(0.0);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = axes(&root, bottom..1.02, "answers that are given", "how many of them are right")?;
        let curve = points.iter().map(|point| (point.coverage, point.accuracy));
        chart.draw_series(LineSeries::new(curve, BLUE.stroke_width(2))).map_err(failed)?;
        for mark in marks {
            let at = (mark.coverage, mark.accuracy);
            chart.draw_series([Circle::new(at, 6, ORANGE.filled())]).map_err(failed)?;
            // Towards the middle, where there is room.
            let right = mark.coverage > 0.5;
            let horizontal = if right {
                plotters::style::text_anchor::HPos::Right
            } else {
                plotters::style::text_anchor::HPos::Left
            };
            let place = plotters::style::text_anchor::Pos::new(horizontal, plotters::style::text_anchor::VPos::Top);
            let style = TextStyle::from(("sans-serif", 14).into_font()).pos(place);
            let beside = (mark.coverage + if right { -0.015 } else { 0.015 }, mark.accuracy - 0.03 * (1.02 - bottom));
            chart.draw_series([Text::new(mark.text.clone(), beside, style)]).map_err(failed)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Axes of shares: all of them from left to right, and `height` from bottom to top.
fn axes<'a, 'b>(
    root: &'a DrawingArea<SVGBackend<'b>, Shift>,
    height: Range<f64>,
    across: &str,
    up: &str,
) -> anyhow::Result<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(root)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..1.0, height)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.15))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .x_desc(across)
        .y_desc(up)
        .y_labels(6)
        .x_label_formatter(&percent)
        .y_label_formatter(&percent)
        .draw()
        .map_err(failed)?;
    Ok(chart)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("a plot can't be drawn: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metrics::{self, Prediction};

    fn predictions(count: u16) -> Vec<Prediction> {
        let of = |n: u16| Prediction { confidence: f32::from(n) / f32::from(count), correct: !n.is_multiple_of(3) };
        (0..count).map(of).collect()
    }

    #[test]
    fn each_bar_has_its_count() {
        let bins = metrics::reliability(&predictions(37), 10);
        let svg = reliability(&bins).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
        let bars = svg.matches("fill=\"#0072B2\"").count();
        assert_eq!(bars, bins.iter().filter(|bin| bin.count > 0).count());
        let texts: Vec<_> = svg.lines().collect();
        assert!(bins.iter().all(|bin| bin.count == 0 || texts.contains(&bin.count.to_string().as_str())), "{svg}");
    }

    #[test]
    fn a_mark_is_named_and_none_is_needed() {
        for count in [0, 1, 50] {
            let points = metrics::coverage(&predictions(count));
            coverage(&points, &[]).unwrap();
            let text = "below <0.4>".to_owned();
            let svg = coverage(&points, &[Mark { coverage: 0.7, accuracy: 0.9, text }]).unwrap();
            assert!(svg.contains("below &lt;0.4&gt;"), "{svg}");
        }
    }
}
