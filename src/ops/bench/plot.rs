//! Plots as SVG, readable on light and dark ground: bars with their names and numbers. It decides nothing about what they show.

use std::fmt::Write as _;

/// Height of a bar with the room around it, and width of what is beside the names and of the whole.
const BAR: usize = 26;
const NAMES: f64 = 430.0;
const LONGEST: f64 = 380.0;

/// A bar for each of these; the longest fills the plot.
pub fn bars(title: &str, unit: &str, bars: &[(String, f64)]) -> String {
    let most = bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let height = BAR * bars.len() + 50;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 {height}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"13\" role=\"img\">\n<title>{0}</title>\n<style>text {{ fill: #1a1a1a }} rect {{ fill: #2f6fb3 }} \
         .ours {{ fill: #c2571a }} @media (prefers-color-scheme: dark) {{ text {{ fill: #eee }} }}</style>\n\
         <text x=\"10\" y=\"24\" font-size=\"16\">{0} ({unit})</text>\n",
        escaped(title)
    );
    for (at, (name, value)) in bars.iter().enumerate() {
        let (top, width) = (at * BAR + 40, (value / most * LONGEST).max(0.0));
        let class = if name.contains("Bulkhead") { " class=\"ours\"" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<text x=\"{NAMES}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\"{class}/>\
             <text x=\"{:.1}\" y=\"{}\">{value:.2}</text>",
            top + 14,
            escaped(name),
            NAMES + 8.0,
            top + 2,
            BAR - 8,
            NAMES + 14.0 + width,
            top + 14,
        );
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_longest_bar_fills_the_plot_and_names_are_text() {
        let svg = super::bars("x < y", "ms", &[("Bulkhead & co".to_owned(), 2.0), ("b".to_owned(), 4.0)]);
        assert!(
            svg.contains("width=\"380.0\"") && svg.contains("width=\"190.0\" height=\"18\" class=\"ours\"")
        );
        assert!(svg.contains("x &lt; y") && svg.contains("Bulkhead &amp; co"));
    }
}
