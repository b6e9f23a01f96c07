//! The rules of the house, each a function from one file to its faults: sentences that name the fault and say what to do.

use std::path::Path;

use super::{
    house::{LINES_MAX, OUTSIDE_FLOORS, edge_of, place_of},
    source::{Mention, Start, code_lines, mentions},
};

/// One file of the crate.
pub struct File<'a> {
    /// Where it lies below `src`.
    pub path: &'a Path,
    /// What it says.
    pub text: &'a str,
}

impl File<'_> {
    /// `views/overview.rs` stands in the crate as `views::overview`.
    fn module(&self) -> Vec<String> {
        let names = self.path.with_extension("");
        names.iter().map(|name| name.to_string_lossy().into_owned()).collect()
    }

    fn top(&self) -> String {
        self.module().swap_remove(0)
    }

    fn mentions(&self) -> Vec<Mention> {
        let module = self.module();
        let module: Vec<&str> = module.iter().map(String::as_str).collect();
        mentions(&module, self.text)
    }
}

/// A module imports only from floors below, and not from the other tower.
pub fn imports(file: &File<'_>) -> Vec<String> {
    let top = file.top();
    let Some(place) = place_of(&top) else { return Vec::new() };
    let fault = |mention: &Mention| {
        let name = mention.names.first().map_or("crate", String::as_str);
        let line = mention.line;
        match (mention.start, place_of(name)) {
            (Start::Here | Start::Name, _) => None,
            (Start::Above, _) => Some(format!("line {line} leaves `{top}` by `super::`: name `{name}` from `crate::`")),
            (Start::Root, _) if name == top => None,
            (Start::Root, None) => Some(format!("line {line} imports `{name}` from the root: it stands on no floor")),
            (Start::Root, Some(other)) if !place.may_meet(other) => {
                Some(format!("line {line} imports `{name}` of another tower: move what both need below both"))
            }
            (Start::Root, Some(other)) if !other.is_below(place) => {
                Some(format!("line {line} imports `{name}`, which is not on a floor below `{top}`"))
            }
            (Start::Root, Some(_)) => None,
        }
    };
    file.mentions().iter().filter_map(fault).collect()
}

/// Outside crates are named only at their edge.
pub fn edges(file: &File<'_>) -> Vec<String> {
    let top = file.top();
    let fault = |mention: &Mention| {
        let krate = outside(mention)?;
        let allowed = edge_of(krate)?;
        let line = mention.line;
        (!allowed.contains(&top.as_str())).then(|| format!("line {line} names `{krate}`: go through {allowed:?}"))
    };
    file.mentions().iter().filter_map(fault).collect()
}

/// No second name for what only an edge may name: by it the others would name it after all.
pub fn second_names(file: &File<'_>) -> Vec<String> {
    let fault = |mention: &Mention| {
        let krate = outside(mention).filter(|_| mention.is_public)?;
        edge_of(krate)?;
        let line = mention.line;
        Some(format!("line {line} gives `{krate}` a public second name: wrap what others need in a type of ours"))
    };
    file.mentions().iter().filter_map(fault).collect()
}

fn outside(mention: &Mention) -> Option<&str> {
    (mention.start == Start::Name).then(|| mention.names.first().map(String::as_str))?
}

/// Every module has a place in the plan.
pub fn placed(file: &File<'_>) -> Vec<String> {
    let top = file.top();
    let known = OUTSIDE_FLOORS.contains(&top.as_str()) || place_of(&top).is_some();
    (!known)
        .then(|| format!("`{top}` stands on no floor: add it to FLOORS in tests/it/tidy/house.rs"))
        .into_iter()
        .collect()
}

/// A file opens by saying what it is for, is short, and is named after its module.
pub fn shape(file: &File<'_>) -> Vec<String> {
    let lines = code_lines(file.text);
    let faults = [
        (!file.text.starts_with("//!")).then(|| "does not open with `//!` and a sentence on what it is for".to_owned()),
        (lines > LINES_MAX).then(|| format!("has {lines} lines without its tests: split it along a noun")),
        file.path.ends_with("mod.rs").then(|| "should be `name.rs` beside `name/`".to_owned()),
    ];
    faults.into_iter().flatten().collect()
}
