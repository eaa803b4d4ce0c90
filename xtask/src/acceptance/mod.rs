//! `docs/acceptance.md`: which scenario is covered by which test, and what that test did.
//!
//! The page is generated from the tests that exist and from what they left behind when they last
//! ran, so it cannot claim more than is there. Counts are rounded down, so that the page changes
//! when coverage does and not with every run.

mod list;

use std::{collections::BTreeMap, fmt::Write, fs};

use anyhow::{Context, Result};

use crate::{
    scenarios::{self, Did, Number},
    tests_built::{self, Kind},
    workspace::Workspace,
};

/// The page.
const PAGE: &str = "docs/acceptance.md";

/// Tests by the scenario they cover: each with its package and its name.
type Tests = BTreeMap<Number, Vec<(String, String)>>;

/// Writes the page.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let built = tests_built::build(workspace)?;
    let mut tests = Tests::new();
    for which in built.executables.iter().filter(|which| which.kind == Kind::Tests) {
        for test in built.list(workspace, which)? {
            if let Some(number) = Number::of_test(&test) {
                let name = test.rsplit("::").next().unwrap_or_default().to_owned();
                tests.entry(number).or_default().push((which.package.clone(), name));
            }
        }
    }
    for (number, tests) in tests.iter().filter(|(number, _)| title(**number).is_none()) {
        println!("no scenario has the number {number}: {}", tests[0].1);
    }
    let did = scenarios::read(&scenarios::folder(&workspace.target))?;
    let (page, covered, all) = render(&tests, &did, &workspace.packages());
    let path = workspace.root.join(PAGE);
    fs::create_dir_all(path.parent().context("the page lies in a folder")?)?;
    fs::write(&path, page).with_context(|| format!("cannot write {PAGE}"))?;
    println!("{PAGE}: {covered} of {all} scenarios are covered");
    Ok(tests.keys().all(|number| title(*number).is_some()))
}

/// What a scenario is about, if it is one.
fn title(number: Number) -> Option<&'static str> {
    let (_, _, _, titles) = list::CHAPTERS.iter().find(|chapter| chapter.0 == number.section)?;
    titles.get((number.item as usize).checked_sub(1)?).copied()
}

/// The page, how many scenarios it covers, and how many there are.
fn render(tests: &Tests, did: &BTreeMap<String, Did>, packages: &[&str]) -> (String, usize, usize) {
    let mut body = String::new();
    let (mut covered, mut all) = (0, 0);
    for (section, heading, package, titles) in list::CHAPTERS {
        let _ = writeln!(body, "\n## {heading}\n");
        let _ =
            writeln!(body, "| no. | scenario | test | seeds | events | acknowledged | figure |");
        let _ = writeln!(body, "|---|---|---|--:|--:|--:|---|");
        for (item, title) in (1..).zip(titles) {
            let number = Number { section, item };
            all += 1;
            let left_out = list::LEFT_OUT.iter().find(|out| (out.0, out.1) == (section, item));
            match (tests.get(&number), left_out) {
                (Some(tests), _) => {
                    covered += 1;
                    for (package, test) in tests {
                        let row = row(package, test, did.get(test));
                        let _ = writeln!(body, "| {number} | {title} | {row} |");
                    }
                }
                (None, Some((_, _, reason))) => {
                    let _ = writeln!(body, "| {number} | {title} | {reason} | | | | |");
                }
                (None, None) if !packages.contains(&package) => {
                    let _ =
                        writeln!(body, "| {number} | {title} | not yet: no such layer | | | | |");
                }
                (None, None) => {
                    let _ = writeln!(body, "| {number} | {title} | not yet | | | | |");
                }
            }
        }
    }
    let page = format!(
        "# Acceptance\n\n\
         Written by `cargo xtask acceptance` from the tests that exist and what they last did; do \
         not edit. Counts are rounded down.\n\n\
         {covered} of {all} scenarios are covered.\n{body}"
    );
    (page, covered, all)
}

/// The cells of one test.
fn row(package: &str, test: &str, did: Option<&Did>) -> String {
    let Some(did) = did else { return format!("`{package}` `{test}` | | | |") };
    let figure = did.figure.replace('|', "/").replace('\n', " ");
    format!(
        "`{package}` `{test}` | {} | {} | {} | {}",
        rounded(did.seeds),
        rounded(did.events),
        rounded(did.acknowledged),
        settled(&figure)
    )
}

/// A count with one digit that counts, rounded down; small ones exactly.
fn rounded(count: u64) -> String {
    if count < 10 {
        return if count == 0 { String::new() } else { count.to_string() };
    }
    let power = 10u64.pow(count.ilog10());
    format!("{}+", count / power * power)
}

/// A figure whose long numbers are rounded as well.
fn settled(figure: &str) -> String {
    let mut text = String::new();
    let mut digits = String::new();
    let flush = |digits: &mut String, text: &mut String| {
        match digits.parse::<u64>() {
            Ok(count) if digits.len() > 2 => text.push_str(&rounded(count)),
            _ => text.push_str(digits),
        }
        digits.clear();
    };
    for letter in figure.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
        } else {
            flush(&mut digits, &mut text);
            text.push(letter);
        }
    }
    flush(&mut digits, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Tests, list, render, rounded, settled, title};
    use crate::scenarios::{Did, Number};

    #[test]
    fn counts_do_not_churn() {
        let cases = [(0, ""), (7, "7"), (10, "10+"), (1_999, "1000+"), (61_234, "60000+")];
        for (count, text) in cases {
            assert_eq!(rounded(count), text);
        }
        assert_eq!(settled("worst wait 1834 ms in 12 rounds"), "worst wait 1000+ ms in 12 rounds");
    }

    #[test]
    fn a_page_claims_what_is_there() {
        let number = Number { section: 3, item: 16 };
        let name = "s8_3_16_partition_decides_nothing";
        let tests = Tests::from([(number, vec![("paxos".into(), name.into())])]);
        let did = Did { seeds: 100, events: 250_000, acknowledged: 0, figure: "a|b".into() };
        let did = BTreeMap::from([(name.to_owned(), did)]);
        let (page, covered, all) = render(&tests, &did, &["paxos", "wal"]);
        assert_eq!((covered, all), (1, 149));
        let row = format!("| `paxos` `{name}` | 100+ | 200000+ |  | a/b |");
        assert!(page.contains(&row), "{page}");
        assert!(
            page.contains(
                "| 8.3-17 | a majority decides, the rest learn after healing | not yet |"
            )
        );
        assert!(
            page.contains(
                "| 8.1-1 | before any ping there is no primary | not yet: no such layer |"
            )
        );
        assert!(page.contains("waits for member replacement"));
        assert!(
            page.lines().filter(|line| line.starts_with("| ")).all(|l| l.matches('|').count() == 8)
        );
    }

    #[test]
    fn every_reason_belongs_to_a_scenario() {
        for (section, item, _) in list::LEFT_OUT {
            assert!(title(Number { section, item }).is_some());
        }
        assert!(title(Number { section: 3, item: 31 }).is_none());
        assert!(title(Number { section: 3, item: 0 }).is_none());
    }
}
