//! Every verb and every flag keeps the rules of the command line.

use clap::{Command, CommandFactory};

use super::Cli;

/// Every command that does something, with the words that call it.
fn deeds(command: &Command, called: &str) -> Vec<(String, Command)> {
    let below: Vec<_> = command
        .get_subcommands()
        .filter(|below| below.get_name() != "help")
        .flat_map(|below| deeds(below, &format!("{called} {}", below.get_name())))
        .collect();
    // What has verbs below it may do something by itself as well, unless it asks for one of them.
    let asks = !below.is_empty() && command.is_subcommand_required_set();
    let own = (!asks).then(|| (called.to_owned(), command.clone()));
    own.into_iter().chain(below).collect()
}

fn tree() -> Vec<(String, Command)> {
    let mut root = Cli::command();
    root.build();
    let deeds = deeds(&root, "synod");
    assert!(deeds.len() > 10, "the walk has missed most of the tree");
    deeds
}

#[test]
fn the_tree_makes_sense_to_its_own_library() {
    Cli::command().debug_assert();
}

#[test]
fn every_flag_is_a_variable_of_the_same_name() {
    for (called, command) in tree() {
        for flag in command.get_arguments() {
            let Some(long) = flag.get_long() else { continue };
            // A restored cluster must not get the old one's number by accident.
            let restored = called.ends_with("snapshot restore") && long == "cluster";
            if ["help", "version"].contains(&long) || restored {
                continue;
            }
            let expected = format!("SYNOD_{}", long.to_uppercase().replace('-', "_"));
            let found = flag.get_env().and_then(|name| name.to_str());
            assert_eq!(found, Some(&expected[..]), "{called} --{long}");
            assert!(!flag.is_hide_env_set(), "{called} --{long} hides its variable");
        }
    }
}

#[test]
fn every_command_takes_a_format() {
    for (called, command) in tree() {
        let output = command.get_arguments().find(|flag| flag.get_short() == Some('o'));
        let output = output.unwrap_or_else(|| panic!("{called} has no -o"));
        let values = output.get_possible_values();
        let names: Vec<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
        assert_eq!(names, ["table", "json", "plain"], "{called}");
    }
}

#[test]
fn every_command_says_what_it_is_and_shows_how_it_is_called() {
    for (called, command) in tree() {
        assert!(command.get_about().is_some(), "{called} does not say what it does");
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("Example"), "{called} shows no example");
        assert!(help.contains(&format!("{called} ")), "{called} does not show itself");
        for flag in command.get_arguments() {
            assert!(flag.get_help().is_some(), "{called} does not explain {}", flag.get_id());
        }
    }
}
