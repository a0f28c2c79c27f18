//! Charts as SVG, written by hand: bars with the range of their rounds, and lines.
//!
//! They bring their own light background, so that they can be read wherever they are shown.

mod scale;

use std::fmt::Write;

use super::statistics::{Summary, number};
use scale::Scale;

const WIDTH: f64 = 760.0;
const MARGIN: f64 = 16.0;
/// Space for the names of bars.
const NAMES: f64 = 150.0;
/// Space for the figure behind a bar.
const FIGURES: f64 = 70.0;
const BAR: f64 = 20.0;
const BAR_STEP: f64 = 30.0;
const TITLE: f64 = 44.0;
const AXIS: f64 = 46.0;
const PLOT_HEIGHT: f64 = 250.0;
const COLOURS: [&str; 4] = ["#1f6feb", "#c2410c", "#15803d", "#7e22ce"];
/// Bars of others than inboxd.
const OTHER: &str = "#8c959f";

/// One bar.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: Summary,
    /// Whether it is in the colour of inboxd.
    pub(crate) is_own: bool,
}

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Horizontal bars, each with its median and the range of its rounds. `None` if there is nothing to show.
pub(crate) fn bars(title: &str, unit: &str, bars: &[Bar]) -> Option<String> {
    let height = TITLE + BAR_STEP * bars.len() as f64 + AXIS;
    let values = bars.iter().flat_map(|bar| [bar.value.min, bar.value.max]);
    let scale = Scale::for_bars(values, NAMES + MARGIN, WIDTH - MARGIN - FIGURES)?;
    let mut svg = Svg::new(title, WIDTH, height);
    let bottom = TITLE + BAR_STEP * bars.len() as f64;
    for tick in scale.ticks() {
        let x = scale.place(tick);
        svg.line((x, TITLE - 6.0), (x, bottom), "#d8dee4", 1.0);
        svg.text((x, bottom + 16.0), "middle", 11.0, &short(tick));
    }
    let note = if scale.is_logarithmic() {
        format!("{unit} (logarithmic)")
    } else {
        unit.to_owned()
    };
    svg.text(((NAMES + WIDTH) / 2.0, bottom + 36.0), "middle", 12.0, &note);
    for (at, bar) in bars.iter().enumerate() {
        let top = TITLE + BAR_STEP * at as f64;
        let (begin, end) = (scale.begin(), scale.place(bar.value.median));
        let colour = if bar.is_own {
            COLOURS.first().copied().unwrap_or(OTHER)
        } else {
            OTHER
        };
        let middle = top + BAR / 2.0;
        svg.rectangle((begin, top), (end - begin).max(1.0), BAR, colour);
        let (low, high) = (scale.place(bar.value.min), scale.place(bar.value.max));
        svg.line((low, middle), (high, middle), "#1f2328", 1.5);
        svg.text((NAMES + MARGIN - 8.0, middle + 4.0), "end", 12.0, &bar.name);
        svg.text(
            (end.max(high) + 6.0, middle + 4.0),
            "start",
            12.0,
            &number(bar.value.median),
        );
    }
    Some(svg.end())
}

/// Lines over a quantity that grows, which is on a logarithmic axis if it grows a lot. `None` if there is nothing to show.
pub(crate) fn lines(title: &str, x_unit: &str, y_unit: &str, lines: &[Line]) -> Option<String> {
    let all = || lines.iter().flat_map(|line| line.points.iter().copied());
    let (left, right) = (NAMES / 2.0 + MARGIN, WIDTH - MARGIN - 20.0);
    let (top, bottom) = (TITLE + 18.0, TITLE + 18.0 + PLOT_HEIGHT);
    let x_scale = Scale::for_growth(all().map(|point| point.0), left, right)?;
    let y_scale = Scale::for_bars(all().map(|point| point.1), bottom, top)?;
    let mut svg = Svg::new(title, WIDTH, bottom + AXIS);
    for tick in y_scale.ticks() {
        let y = y_scale.place(tick);
        svg.line((left, y), (right, y), "#d8dee4", 1.0);
        svg.text((left - 8.0, y + 4.0), "end", 11.0, &short(tick));
    }
    for tick in x_scale.ticks() {
        let x = x_scale.place(tick);
        svg.line((x, bottom), (x, bottom + 5.0), "#57606a", 1.0);
        svg.text((x, bottom + 18.0), "middle", 11.0, &short(tick));
    }
    svg.line((left, bottom), (right, bottom), "#57606a", 1.0);
    let log = |scale: &Scale| if scale.is_logarithmic() { " (logarithmic)" } else { "" };
    let x_note = format!("{x_unit}{}", log(&x_scale));
    svg.text(((left + right) / 2.0, bottom + 38.0), "middle", 12.0, &x_note);
    svg.text(
        (MARGIN, TITLE + 4.0),
        "start",
        12.0,
        &format!("{y_unit}{}", log(&y_scale)),
    );
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let places = line.points.iter().map(|&(x, y)| (x_scale.place(x), y_scale.place(y)));
        svg.curve(&places.collect::<Vec<_>>(), colour);
    }
    svg.legend(lines, right);
    Some(svg.end())
}

/// A number on an axis.
fn short(value: f64) -> String {
    let scaled = |value: f64, unit: &str| format!("{}{unit}", (value * 100.0).round() / 100.0);
    match value.abs() {
        size if size >= 1e6 => scaled(value / 1e6, "M"),
        size if size >= 1e4 => scaled(value / 1e3, "k"),
        size if size >= 0.01 || size == 0.0 => scaled(value, ""),
        _ => format!("{value}"),
    }
}

struct Svg(String);

impl Svg {
    fn new(title: &str, width: f64, height: f64) -> Self {
        let mut svg = Svg(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"-apple-system, Segoe UI, Helvetica, Arial, sans-serif\" role=\"img\">\n<title>{}</title>\n",
            escape(title)
        ));
        svg.add(format_args!(
            "<rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"#ffffff\" stroke=\"#d0d7de\"/>",
            width - 1.0,
            height - 1.0
        ));
        svg.add(format_args!(
            "<text x=\"{MARGIN}\" y=\"24\" font-size=\"14\" font-weight=\"600\" fill=\"#1f2328\">{}</text>",
            escape(title)
        ));
        svg
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        writeln!(self.0, "{element}").unwrap_or_default();
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, size: f64, text: &str) {
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"#1f2328\">{}</text>",
            escape(text)
        ));
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        self.add(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    fn rectangle(&mut self, (x, y): (f64, f64), width: f64, height: f64, colour: &str) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\"/>"
        ));
    }

    fn curve(&mut self, places: &[(f64, f64)], colour: &str) {
        let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        ));
        for (x, y) in places {
            self.add(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
            ));
        }
    }

    /// The names of the lines, from the right; none is needed for one line.
    fn legend(&mut self, lines: &[Line], right: f64) {
        if lines.len() < 2 {
            return;
        }
        let mut x = right;
        let coloured: Vec<_> = lines.iter().zip(COLOURS.iter().cycle()).collect();
        for (line, colour) in coloured.into_iter().rev() {
            x -= 7.0 * line.name.chars().count() as f64 + 28.0;
            self.rectangle((x, TITLE - 6.0), 12.0, 12.0, colour);
            self.text((x + 17.0, TITLE + 4.0), "start", 12.0, &line.name);
        }
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: f64) -> Bar {
        Bar {
            name: name.to_owned(),
            value: Summary::of([value]).unwrap(),
            is_own: name == "inboxd",
        }
    }

    /// An attribute of an element.
    fn number(element: &str, attribute: &str) -> f64 {
        let (_, rest) = element.split_once(&format!("{attribute}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    }

    /// Goal: longer bars for larger values, the unit and every name on the chart, and text that cannot break the file.
    #[test]
    fn bars_have_the_length_of_their_values() {
        let svg = bars("a < b", "messages/s", &[bar("inboxd", 200.0), bar("x&y", 100.0)]).unwrap();
        let widths: Vec<f64> = svg
            .lines()
            .filter(|line| line.starts_with("<rect") && line.contains("height=\"20\""))
            .map(|line| number(line, "width"))
            .collect();
        assert!((widths[0] / widths[1] - 2.0).abs() < 0.01, "{widths:?}");
        for text in ["a &lt; b", "x&amp;y", "messages/s", "inboxd"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(bars("nothing", "s", &[]).is_none());
    }

    /// Goal: every point of every line is drawn, larger values are higher, and two lines have a legend.
    #[test]
    fn lines_go_through_their_points() {
        let line = |name: &str, points: &[(f64, f64)]| Line {
            name: name.to_owned(),
            points: points.to_vec(),
        };
        let svg = lines(
            "t",
            "clients",
            "KiB",
            &[line("one", &[(1.0, 5.0), (1000.0, 10.0)]), line("two", &[(1.0, 1.0)])],
        );
        let svg = svg.unwrap();
        let heights: Vec<f64> = svg
            .lines()
            .filter(|line| line.starts_with("<circle"))
            .map(|line| number(line, "cy"))
            .collect();
        assert_eq!(heights.len(), 3);
        assert!(heights[1] < heights[0] && heights[0] < heights[2], "{heights:?}");
        assert!(svg.contains(">two<") && svg.contains("clients (logarithmic)"));
        assert!(lines("t", "x", "y", &[line("none", &[])]).is_none());
    }
}
