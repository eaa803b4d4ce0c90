//! Who does not wait to the end, who is not answered, who is not read: what is left of it.

use std::{
    fs, io,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    thread,
};

use super::Server;
use crate::tool::{SYNOD, code, refused, stderr, stdout, until};

impl Server {
    fn started(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started")
    }

    fn waiting(&self) -> u64 {
        let lines = self.objects(&["view"]);
        lines.last().and_then(|last| last["waiting"].as_u64()).expect("the last line says it")
    }

    /// A way to the service that passes on what it says first, the greeting, and nothing after.
    fn mute(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (addr, to) = (listener.local_addr().expect("its address"), self.addr.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Refused: then the client is not greeted either.
                let Ok(service) = TcpStream::connect(&to) else { continue };
                let (mut said, mut heard) = (client.try_clone()?, service.try_clone()?);
                thread::spawn(move || io::copy(&mut said, &mut heard));
                let (mut service, mut client) = (service, client);
                thread::spawn(move || {
                    let mut greeting = [0; 1024];
                    let bytes = service.read(&mut greeting)?;
                    client.write_all(&greeting[..bytes])?;
                    io::copy(&mut service, &mut io::sink())
                });
            }
            io::Result::Ok(())
        });
        addr.to_string()
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill").args([name, &pid]).status();
    assert!(sent.expect("there is kill").success());
}

#[test]
fn what_was_sent_and_not_answered_is_unknown() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    let (one, _) = server.take(&["acquire", "printer"]);
    let mute = server.mute();
    for arguments in [
        &["renew", &one][..],
        &["acquire", "ink", "--session", &one],
        &["try", "ink", "--session", &one],
        &["release", "printer", "--session", &one],
        &["acquire", "ink"],
        &["with", "ink", "--", "true"],
    ] {
        let way = ["--locks", &mute, "--timeout", "300"];
        let (verb, rest) = arguments.split_first().expect("a verb");
        let output = server.ask(&[&[*verb], &way[..], rest].concat());
        refused(&output, 5, "it may or may not have happened");
    }
}

#[test]
fn a_session_that_is_no_more_is_missed_by_who_named_it_and_refused_to_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    server.take(&["acquire", "printer", "--lease", "5m"]);
    let (named, _) = server.take(&["acquire", "paper", "--lease", "2s"]);
    let wait = ["--wait", "1m"];
    for (arguments, expected) in [
        (&["acquire", "printer", "--session", &named][..], 3),
        (&["acquire", "printer", "--lease", "500ms"], 4),
        (&["with", "printer", "--lease", "500ms"], 4),
    ] {
        let command: &[&str] = if arguments[0] == "with" { &["--", "true"] } else { &[] };
        let child = server.started(&[arguments, &wait, command].concat());
        until("it waits", || server.waiting() == 1);
        // It sleeps past its lease.
        signal(&child, "-STOP");
        until("its lease is over", || server.waiting() == 0);
        signal(&child, "-CONT");
        let output = child.wait_with_output().expect("it ends");
        let said = stderr(&output);
        assert_eq!(code(&output), expected, "{said}");
        assert!(
            said.contains("synod: ") && said.contains("has no locks and can get none"),
            "{said}"
        );
    }
    refused(&server.ask(&["try", "ink", "--session", &named]), 3, "has no locks");
}

#[test]
fn who_is_told_to_stop_waits_no_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    let (one, _) = server.take(&["acquire", "printer"]);
    let (two, _) = server.take(&["acquire", "paper"]);
    let ran = dir.path().join("ran");
    let touch = ["touch", ran.to_str().expect("a name")];
    let with = [&["with", "printer", "--wait", "30s", "--"][..], &touch].concat();
    for (arguments, name, expected) in [
        (&["acquire", "printer", "--wait", "30s"][..], "-TERM", 143),
        (&["acquire", "printer", "--wait", "30s", "--session", &two], "-INT", 130),
        (&with, "-INT", 130),
    ] {
        let child = server.started(arguments);
        until("it waits", || server.waiting() == 1);
        signal(&child, name);
        let output = child.wait_with_output().expect("it ends");
        refused(&output, expected, "it waits no more");
        assert_eq!(server.waiting(), 0, "{arguments:?}");
    }
    assert!(!ran.exists());
    server.told(&["release", "printer", "--session", &one]);
    refused(&server.ask(&["holders", "printer"]), 3, "nobody holds");
    assert!(server.told(&["renew", &two]).starts_with("paper "), "it was only borrowed");
}

#[test]
fn a_lock_whose_session_nobody_reads_is_given_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    for verb in ["acquire", "try"] {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let mut command = server.command(&[verb, "printer"]);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("started");
        let output = child.wait_with_output().expect("it ends");
        refused(&output, 6, "the lock was given back");
        assert_eq!(code(&server.ask(&["holders", "printer"])), 3);
    }
}

#[test]
fn what_a_lease_held_stays_free_for_the_delay() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    let delayed = ["--lease", "200ms", "--delay", "1h"];
    let (one, _) = server.take(&[&["acquire", "printer"][..], &delayed].concat());
    server.told(&["release", "printer", "--session", &one]);
    server.take(&[&["try", "printer"][..], &delayed].concat());
    until("the lease is over", || code(&server.ask(&["holders", "printer"])) == 3);
    refused(&server.ask(&["try", "printer"]), 4, "is kept free for a while");
    assert!(server.told(&["view"]).contains("printer - quiet"));
    let with = [&["with", "ink"][..], &delayed, &["--", "true"]].concat();
    assert_eq!(code(&server.ask(&with)), 0);
    server.take(&["try", "ink"]);
    refused(&server.ask(&["try", "paper", "--delay", "2h"]), 4, "delay up to one hour");
}

/// More than one process at one session: each numbers its requests in a lane of its own.
#[test]
fn a_command_takes_more_for_the_session_it_runs_with() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::new(dir.path());
    let seen = dir.path().join("seen");
    let script = format!(
        "for name in b c d; do {SYNOD} lock try $name --session $SYNOD_LOCK_SESSION || exit 9; done; \
         {SYNOD} lock release c --session $SYNOD_LOCK_SESSION && \
         {SYNOD} lock renew $SYNOD_LOCK_SESSION > {}",
        seen.display()
    );
    let output =
        server.ask(&["with", "a", "--lease", "2s", "-o", "json", "--", "sh", "-c", &script]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    assert!(stdout(&output).contains("\"held_throughout\":true"), "{}", stdout(&output));
    let seen = fs::read_to_string(seen).expect("it ran");
    let held: Vec<&str> = seen.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(held, ["a", "b", "d"]);
    for name in held {
        assert_eq!(code(&server.ask(&["holders", name])), 3, "{name} is left behind");
    }
}
