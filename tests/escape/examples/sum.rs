// expect: ok
// stdout: 42 rusting
use std::thread;

fn main() {
    let parts: Vec<_> = [40, 2].into_iter().map(|n| thread::spawn(move || n)).collect();
    let sum: i32 = parts.into_iter().map(|t| t.join().unwrap()).sum();
    println!("{} rusting", sum);
}
