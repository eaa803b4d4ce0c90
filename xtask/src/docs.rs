//! Documentation that points at nothing, or shows nothing.

use anyhow::Result;

use crate::workspace::Workspace;

/// What marks a pasted session: the fenced block after it was produced by running something.
const SESSION_MARK: &str = "<!-- session: ";

/// Checks the documentation; whether all is well.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let files = workspace.files()?;
    let exists = |path: &str| workspace.root.join(path).exists();
    let mut well = true;
    let pages = files.iter().filter(|(path, _)| is_page(path));
    for (path, text) in pages {
        for (line, sentence) in empty_sessions(text).chain(broken_links(path, text, &exists)) {
            println!("{path}:{line}: {sentence}");
            well = false;
        }
    }
    Ok(well)
}

fn is_page(path: &str) -> bool {
    path == "README.md" || path.starts_with("docs/") && path.ends_with(".md")
}

/// Marked sessions without a block, or with an empty one.
fn empty_sessions(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    let lines: Vec<&str> = text.lines().collect();
    (0..lines.len()).filter_map(move |at| {
        let name = lines[at].trim().strip_prefix(SESSION_MARK)?.trim_end_matches("-->").trim();
        let rest = &lines[at + 1..];
        let fence = rest.iter().position(|line| !line.trim().is_empty())?;
        let block = rest[fence..].split_first().filter(|(first, _)| first.starts_with("```"));
        let filled = block.is_some_and(|(_, body)| {
            let inside = body.iter().take_while(|line| !line.starts_with("```"));
            inside.filter(|line| !line.trim().is_empty()).count() > 0
        });
        (!filled).then(|| (at + 1, format!("the session \"{name}\" shows nothing")))
    })
}

/// Relative links to files that do not exist.
fn broken_links<'a>(
    path: &'a str,
    text: &'a str,
    exists: &'a impl Fn(&str) -> bool,
) -> impl Iterator<Item = (usize, String)> + 'a {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut fenced = false;
    (1..).zip(text.lines()).flat_map(move |(number, line)| {
        fenced ^= line.trim_start().starts_with("```");
        let parts = if fenced { Vec::new() } else { line.split("](").skip(1).collect() };
        parts.into_iter().filter_map(move |part: &str| {
            let link = part.split([')', ' ', '#']).next()?;
            let elsewhere = link.contains("://") || link.starts_with("mailto:");
            let broken = !link.is_empty() && !elsewhere && !exists(&resolve(folder, link));
            broken.then(|| (number, format!("the link to {link} leads nowhere")))
        })
    })
}

/// A link as seen from the top folder.
fn resolve(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{broken_links, empty_sessions};

    const NONE: [usize; 0] = [];

    #[test]
    fn a_session_shows_something() {
        let lines = |text: &str| empty_sessions(text).map(|(line, _)| line).collect::<Vec<_>>();
        assert_eq!(lines("<!-- session: put -->\n\n```console\n$ synod put a b\n```\n"), NONE);
        assert_eq!(lines("x\n<!-- session: put -->\n```console\n\n```\n"), [2]);
        assert_eq!(lines("<!-- session: put -->\nLater.\n```\nx\n```\n"), [1]);
    }

    #[test]
    fn a_link_leads_somewhere() {
        let exists = |path: &str| ["README.md", "docs/tour.md"].contains(&path);
        let broken = |path: &str, text: &str| {
            broken_links(path, text, &exists).map(|(line, _)| line).collect::<Vec<_>>()
        };
        assert_eq!(broken("README.md", "[a](docs/tour.md) [b](docs/tour.md#x) [c](#here)"), NONE);
        assert_eq!(broken("docs/tour.md", "[up](../README.md) [me](./tour.md)"), NONE);
        assert_eq!(broken("docs/tour.md", "[web](https://example.org/x)"), NONE);
        assert_eq!(broken("docs/tour.md", "\n[gone](README.md) [also](no.md)"), [2, 2]);
        assert_eq!(broken("docs/tour.md", "```\n[code](no.md)\n```\n"), NONE);
    }
}
