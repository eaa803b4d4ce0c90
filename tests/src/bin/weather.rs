//! Days from seeds.
fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let m: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let t = std::time::Instant::now();
    let mut ev = vec![]; let mut ac = vec![]; let mut rare = synod_tests::rare::Rare::default();
    let mut fails=0;
    for s in n..m { let t0=std::time::Instant::now(); match synod_tests::day::run(s) { Ok(d) => { if std::env::var("V").is_ok() { println!("{s} ev {} msg {} ack {} passed {:?} {:?} took {:?}", d.events, d.messages, d.acknowledged, d.passed, synod_tests::shape::Shape::of_seed(s).timeout, t0.elapsed()); } if std::env::var("V").is_ok() { println!("{s} ev {} msg {} ack {} passed {:?} {:?}", d.events, d.messages, d.acknowledged, d.passed, synod_tests::shape::Shape::of_seed(s).timeout); } ev.push(d.events); ac.push(d.acknowledged); rare.merge(&d.rare); } Err(e) => { println!("seed {s}: {} {}", e.at, e.what); fails+=1; if fails>20 {break} } } }
    ev.sort(); ac.sort();
    let dt = t.elapsed().as_secs_f64();
    println!("{} ok in {dt:.1} s; {:.0} seeds/s {:.0} ev/s; median {} ev {} ack, max {}\n{rare}", ev.len(), ev.len() as f64/dt, ev.iter().sum::<u64>() as f64/dt, ev[ev.len()/2], ac[ac.len()/2], ev[ev.len()-1]);
}
