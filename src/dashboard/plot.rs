//! Plots of the last days, drawn as SVG that needs no script: bars, one a day.
//!
//! It never says anything by colour alone: beside each plot stands the table that it draws.

/// A plot of days.
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// In a sentence, for those who do not see it.
    pub sum: String,
    /// The names of what is stacked in each bar, from below.
    pub series: Vec<&'static str>,
    /// The days: their name, what the table says of each series, and the bar's parts.
    pub days: Vec<Day>,
    /// What the tallest bar stands for.
    pub most: String,
}

/// One day of a plot.
pub struct Day {
    /// Its date.
    pub name: String,
    /// What the table says.
    pub texts: Vec<String>,
    /// The parts of its bar, from below.
    pub parts: Vec<Part>,
}

/// A part of a bar, in the plot's own units: the plot is 600 wide and 120 high.
pub struct Part {
    /// From the left.
    pub x: u64,
    /// From the top.
    pub y: u64,
    /// How wide.
    pub width: u64,
    /// How high.
    pub height: u64,
    /// Which series it is of, from 0.
    pub series: usize,
}

const WIDTH: u64 = 600;
const HEIGHT: u64 = 120;

impl Plot {
    /// A plot of these days, oldest first; `write` says a value as people do.
    #[must_use]
    pub fn new(
        title: &str,
        series: Vec<&'static str>,
        days: Vec<(String, Vec<u64>)>,
        write: impl Fn(u64) -> String,
    ) -> Self {
        let total = |values: &[u64]| values.iter().fold(0_u64, |sum, value| sum.saturating_add(*value));
        let most = days.iter().map(|(_, values)| total(values)).max().unwrap_or(0);
        let all = days.iter().fold(0_u64, |sum, (_, values)| sum.saturating_add(total(values)));
        let step = WIDTH / (days.len() as u64).max(1);
        let sum = format!("{} in {} days, at most {} a day", write(all), days.len(), write(most));
        let days = (0_u64..).zip(days).map(|(at, (name, values))| {
            let mut top = HEIGHT;
            let parts = values.iter().enumerate().filter(|(_, value)| **value > 0).map(|(series, value)| {
                // A value that is there is seen.
                let height = (u128::from(*value) * u128::from(HEIGHT) / u128::from(most.max(1))) as u64;
                let height = height.clamp(2, HEIGHT);
                top = top.saturating_sub(height);
                Part { x: at * step + 1, y: top, width: step.saturating_sub(2).max(1), height, series }
            });
            let parts = parts.collect();
            Day { name, texts: values.iter().map(|value| write(*value)).collect(), parts }
        });
        Self { title: title.to_owned(), sum, series, days: days.collect(), most: write(most) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_day_and_stay_inside() {
        let days =
            vec![("1".to_owned(), vec![50, 50]), ("2".to_owned(), vec![0, 1]), ("3".to_owned(), vec![0, 0])];
        let plot = Plot::new("t", vec!["a", "b"], days, |value| value.to_string());
        assert_eq!(plot.sum, "101 in 3 days, at most 100 a day");
        let heights: Vec<Vec<u64>> =
            plot.days.iter().map(|day| day.parts.iter().map(|part| part.height).collect()).collect();
        assert_eq!(heights, [vec![60, 60], vec![2], vec![]]);
        let parts = plot.days.iter().flat_map(|day| &day.parts);
        assert!(parts.into_iter().all(|p| p.x + p.width <= WIDTH && p.y + p.height <= HEIGHT));
        assert_eq!(Plot::new("t", vec![], vec![], |v| v.to_string()).sum, "0 in 0 days, at most 0 a day");
        let huge = vec![("1".to_owned(), vec![u64::MAX, u64::MAX])];
        let huge = Plot::new("t", vec!["a", "b"], huge, |value| value.to_string());
        assert!(huge.days[0].parts.iter().all(|p| p.y + p.height <= HEIGHT));
    }
}
