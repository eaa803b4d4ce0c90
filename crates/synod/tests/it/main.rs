//! The program as its users meet it: processes, sockets, files, exit codes.

mod alone;

mod demo;

mod everyday;

mod harness;

mod killed;

mod load;

mod locks;

mod processes;

mod pair;

mod pty;

mod readme;

mod refusals;

mod shell;

mod survival;

mod tool;

mod tools;

mod verdict;
