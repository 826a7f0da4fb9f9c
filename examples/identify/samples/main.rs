use std::collections::HashMap;

fn main() {
    let mut count: HashMap<char, usize> = HashMap::new();
    for c in "mississippi".chars() {
        *count.entry(c).or_default() += 1;
    }
    println!("{count:?}");
}
