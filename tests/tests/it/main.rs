//! The tower's one integration binary: the volume of days, the acceptance scenarios, and one test
//! over every way to stack it.
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod volume;

mod combinations;

mod rsm;

mod rsm_faults;

mod kv;

mod kv_faults;

mod kv_weather;

mod bounds;

mod kv_versions;

mod durable;

mod log_limits;

mod pb;

mod pb_requests;

mod pb_faults;

mod pb_weather;

mod pb_crashes;

mod pb_volume;

mod regressions;

mod locks;

mod checker;

mod faults;

mod harness;

mod pb_scripts;
