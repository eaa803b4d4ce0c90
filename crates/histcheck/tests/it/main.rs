//! Histories of an honest store are legal, broken ones are not, and the checker knows both.

mod brute;
mod defects;
mod differential;
mod format;
mod speed;
mod store;
mod verdicts;
