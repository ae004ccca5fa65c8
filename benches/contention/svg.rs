//! A chart as plain SVG: panels below each other, readable on light and dark pages.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const PANEL: f64 = 250.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 740.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 200.0;

const STYLE: &str = "text{font:13px sans-serif;fill:#222}.title{font-weight:bold}.end{text-anchor:end}.mid{text-anchor:middle}\
.grid{stroke:#8888;stroke-width:.5}.s0{stroke:#2563eb}.s1{stroke:#d97706}.f0{fill:#2563eb}.f1{fill:#d97706}\
polyline{fill:none;stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#ddd}}";

pub struct Panel {
    pub title: String,
    /// Below the axis, one for each place.
    pub labels: Vec<String>,
    /// One or two, each with a figure for each place.
    pub series: Vec<(&'static str, Vec<f64>)>,
    pub bars: bool,
}

pub fn chart(panels: &[Panel]) -> String {
    let height = PANEL * panels.len() as f64;
    let mut svg =
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><style>{STYLE}</style>\n");
    for (number, panel) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate(0 {})\">", PANEL * number as f64);
        draw(&mut svg, panel);
        svg += "</g>\n";
    }
    svg + "</svg>\n"
}

/// Where a figure lies, and the lines across.
struct Scale {
    bottom: f64,
    top: f64,
    logarithmic: bool,
    lines: Vec<f64>,
}

/// Figures of more than so many times the least one need a logarithmic scale.
const WIDE: f64 = 50.0;

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Scale {
        let (least, most) = (values.clone().fold(f64::MAX, f64::min), values.fold(0.0, f64::max));
        if least > 0.0 && most / least > WIDE {
            let (bottom, top) = (least.log10().floor(), most.log10().ceil());
            let lines = (0..=(top - bottom) as i32).map(|power| 10_f64.powi(bottom as i32 + power)).collect();
            return Scale { bottom, top, logarithmic: true, lines };
        }
        let step = round_step(most / 4.0);
        let steps = (most / step).ceil().max(1.0);
        Scale { bottom: 0.0, top: steps * step, logarithmic: false, lines: (0..=steps as i32).map(|n| f64::from(n) * step).collect() }
    }

    fn y(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.log10() } else { value };
        BOTTOM - (BOTTOM - TOP) * (value - self.bottom) / (self.top - self.bottom)
    }
}

fn draw(svg: &mut String, panel: &Panel) {
    let scale = Scale::of(panel.series.iter().flat_map(|(_, values)| values.iter().copied()));
    let y = |value: f64| scale.y(value);
    let width = (RIGHT - LEFT) / panel.labels.len() as f64;
    let x = |place: usize| LEFT + width * (place as f64 + 0.5);
    let _ = writeln!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"20\">{}</text>", panel.title);
    for line in &scale.lines {
        let at = y(*line);
        let _ = writeln!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
        let _ = writeln!(svg, "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>", LEFT - 8.0, at + 4.0, (line * 1000.0).round() / 1000.0);
    }
    for (place, label) in panel.labels.iter().enumerate().filter(|(_, label)| !label.is_empty()) {
        let _ = writeln!(svg, "<text class=\"mid\" x=\"{:.1}\" y=\"{}\">{label}</text>", x(place), BOTTOM + 18.0);
    }
    for (number, (name, values)) in panel.series.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text class=\"end\" style=\"fill:{}\" x=\"{}\" y=\"20\">{name}</text>",
            colour(number),
            RIGHT - 90.0 * number as f64
        );
        if panel.bars {
            let each = width * 0.8 / panel.series.len() as f64;
            for (place, value) in values.iter().enumerate() {
                let (left, high) = (x(place) - width * 0.4 + each * number as f64, BOTTOM - y(*value));
                let _ = writeln!(
                    svg,
                    "<rect class=\"f{number}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{each:.1}\" height=\"{high:.1}\"/>",
                    y(*value)
                );
            }
        } else {
            let points: Vec<_> = values.iter().enumerate().map(|(place, value)| format!("{:.1},{:.1}", x(place), y(*value))).collect();
            let _ = writeln!(svg, "<polyline class=\"s{number}\" points=\"{}\"/>", points.join(" "));
        }
    }
}

fn colour(series: usize) -> &'static str {
    ["#2563eb", "#d97706"][series % 2]
}

/// The next of 1, 2, 5, 10, 20, ...
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least).unwrap_or(power * 10.0)
}
