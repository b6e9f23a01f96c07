//! Figures with their bars: a line of JSON each for machines, a line of a table for people.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use serde_json::{Value, json};

/// What a figure is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn text(self) -> String {
        match self {
            Bar::AtLeast(least) => format!(">= {least}"),
            Bar::AtMost(most) => format!("<= {most}"),
        }
    }

    fn holds(self, value: f64) -> bool {
        match self {
            Bar::AtLeast(least) => value >= least,
            Bar::AtMost(most) => value <= most,
        }
    }
}

/// One measured number.
#[derive(Debug, Clone, Copy)]
pub struct Figure<'a> {
    pub name: &'a str,
    pub value: f64,
    pub unit: &'a str,
    /// The same measured of what it is compared with; the bar is then one of the ratio of the two.
    pub against: Option<f64>,
    pub bar: Option<Bar>,
}

impl Figure<'_> {
    fn ratio(&self) -> Option<f64> {
        self.against.map(|against| self.value / against)
    }

    fn holds(&self) -> Option<bool> {
        self.bar.map(|bar| bar.holds(self.ratio().unwrap_or(self.value)))
    }

    fn json(&self, bench: &str) -> Value {
        json!({
            "bench": bench, "figure": self.name, "value": self.value, "unit": self.unit, "against": self.against,
            "ratio": self.ratio(), "bar": self.bar.map(Bar::text), "holds": self.holds(),
        })
    }

    fn row(&self, bench: &str) -> String {
        let against = self.against.map(|against| format!("against {against:.2}, ratio {:.2}", self.value / against));
        let verdict = match self.holds() {
            None => "",
            Some(true) => "holds",
            Some(false) => "DOES NOT HOLD",
        };
        let bar = self.bar.map(Bar::text).unwrap_or_default();
        let value = format!("{:.2} {}", self.value, self.unit);
        let row = format!(
            "{bench:<10} {:<36} {value:>16} {:<32} {bar:>10}  {verdict}",
            self.name,
            against.unwrap_or_default()
        );
        row.trim_end().to_owned()
    }
}

/// Takes the figures of one bench.
#[derive(Debug)]
pub struct Report {
    bench: &'static str,
    file: fs::File,
    holds: bool,
}

impl Report {
    /// Begins a bench: its earlier figures leave the file, those of other benches stay.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin(file: &Path, bench: &'static str) -> io::Result<Self> {
        let earlier = fs::read_to_string(file).unwrap_or_default();
        let is_others = |line: &&str| serde_json::from_str::<Value>(line).is_ok_and(|figure| figure["bench"] != bench);
        let mut file = fs::File::create(file)?;
        for line in earlier.lines().filter(is_others) {
            writeln!(file, "{line}")?;
        }
        Ok(Self { bench, file, holds: true })
    }

    /// Takes a figure.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn take(&mut self, figure: Figure<'_>) -> io::Result<()> {
        println!("{}", figure.row(self.bench));
        self.holds &= figure.holds() != Some(false);
        writeln!(self.file, "{}", figure.json(self.bench))
    }

    /// Whether every figure so far holds its bar.
    pub fn holds(&self) -> bool {
        self.holds
    }
}
