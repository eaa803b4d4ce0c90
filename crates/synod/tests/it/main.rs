//! The program as its users meet it: processes, sockets, files, exit codes.

mod alone;

mod demo;

mod harness;

mod processes;

mod readme;

mod refusals;

mod tool;

mod tools;
