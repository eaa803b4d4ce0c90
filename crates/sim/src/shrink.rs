//! From a bad day to the few events that made it bad.

use crate::Plan;

/// The smallest plan found that still fails: faults are left out in ever smaller runs as long as
/// `fails` says the same trouble remains. At most `tries` runs.
pub fn shrink(mut plan: Plan, mut tries: usize, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut run = plan.faults.len().div_ceil(2);
    while run > 0 && tries > 0 {
        let mut at = 0;
        let mut smaller = false;
        while at < plan.faults.len() && tries > 0 {
            let mut without = plan.clone();
            let end = (at + run).min(without.faults.len());
            without.faults.drain(at..end);
            tries -= 1;
            if fails(&without) {
                plan = without;
                smaller = true;
            } else {
                at += run;
            }
        }
        if !smaller {
            run /= 2;
        }
    }
    plan
}
