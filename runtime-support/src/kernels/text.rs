//! Strings: joining, splitting, filtering, counting n-grams.

use super::arith::Order;
use super::walk::{count, promise};
use crate::error::Fault;
use alloc::string::String;
use core::cmp::Ordering;

/// `out = a + b`, elementwise over `shape`; strides in elements, 0 where broadcast.
pub fn concat(
    out: &mut [String],
    a: &[String],
    b: &[String],
    shape: &[usize],
    a_strides: &[usize],
    b_strides: &[usize],
) -> Result<(), Fault> {
    promise(out.len() == count(shape)? && a_strides.len() == shape.len() && b_strides.len() == shape.len(), "text concat: sizes differ")?;
    for (flat, to) in out.iter_mut().enumerate() {
        let (mut rest, mut i, mut j) = (flat, 0, 0);
        for axis in (0..shape.len()).rev() {
            let at = rest % shape[axis];
            rest /= shape[axis];
            i += at * a_strides[axis];
            j += at * b_strides[axis];
        }
        let (Some(x), Some(y)) = (a.get(i), b.get(j)) else { return Err(Fault::Internal { what: "text concat: a stride is wrong" }) };
        to.clear();
        to.push_str(x);
        to.push_str(y);
    }
    Ok(())
}

/// The parts of a text, as Python's `split` gives them: an empty delimiter means runs of white space; no more than `most` cuts if that is not
/// negative.
struct Parts<'a> {
    rest: Option<&'a str>,
    delimiter: &'a str,
    cuts: i64,
}

impl<'a> Parts<'a> {
    fn new(text: &'a str, delimiter: &'a str, most: i64) -> Self {
        Self { rest: Some(text), delimiter, cuts: if most < 0 { i64::MAX } else { most } }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let mut text = self.rest.take()?;
        let cut = if self.delimiter.is_empty() {
            text = text.trim_start();
            if text.is_empty() {
                return None;
            }
            text.char_indices().find(|(_, c)| c.is_whitespace()).map(|(i, c)| (i, i + c.len_utf8()))
        } else {
            text.find(self.delimiter).map(|i| (i, i + self.delimiter.len()))
        };
        match cut.filter(|_| self.cuts > 0) {
            Some((end, next)) => {
                self.cuts -= 1;
                self.rest = Some(&text[next..]);
                Some(&text[..end])
            }
            None => Some(text),
        }
    }
}

/// The greatest number of parts of any string, to `bind[0]`, and the number of parts of each to `counts`.
pub fn split_count(bind: &mut [i64], counts: &mut [i64], x: &[String], delimiter: &str, most: i64) -> Result<(), Fault> {
    promise(bind.len() == 1 && counts.len() == x.len(), "text split: sizes differ")?;
    bind[0] = 0;
    for (n, text) in counts.iter_mut().zip(x) {
        *n = Parts::new(text, delimiter, most).count() as i64;
        bind[0] = bind[0].max(*n);
    }
    Ok(())
}

/// The parts of each string, one row a string, filled up with empty strings.
pub fn split(out: &mut [String], x: &[String], delimiter: &str, most: i64) -> Result<(), Fault> {
    let width = out.len().checked_div(x.len()).unwrap_or(0);
    promise(out.len() == width * x.len(), "text split: sizes differ")?;
    if width == 0 {
        return Ok(());
    }
    for (row, text) in out.chunks_exact_mut(width).zip(x) {
        let mut parts = Parts::new(text, delimiter, most);
        for to in row {
            to.clear();
            to.push_str(parts.next().unwrap_or(""));
        }
    }
    Ok(())
}

/// What `StringNormalizer` does with letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Nothing.
    None,
    /// To lower case.
    Lower,
    /// To upper case.
    Upper,
}

fn stops(word: &str, stopwords: &[&str], sensitive: bool) -> bool {
    if sensitive {
        return stopwords.contains(&word);
    }
    let lower = word.to_lowercase();
    stopwords.iter().any(|s| s.to_lowercase() == lower)
}

/// How many strings are no stop words (at least 1: of nothing remains one empty string), to `bind[0]`.
pub fn normalize_count(bind: &mut [i64], x: &[String], stopwords: &[&str], sensitive: bool) -> Result<(), Fault> {
    promise(bind.len() == 1, "normalize: one result")?;
    bind[0] = x.iter().filter(|w| !stops(w, stopwords, sensitive)).count().max(1) as i64;
    Ok(())
}

/// The strings that are no stop words, with their letters changed.
pub fn normalize(out: &mut [String], x: &[String], stopwords: &[&str], sensitive: bool, case: Case) -> Result<(), Fault> {
    let mut kept = x.iter().filter(|w| !stops(w, stopwords, sensitive));
    for to in &mut *out {
        *to = match (kept.next(), case) {
            (None, _) => String::new(),
            (Some(w), Case::None) => w.clone(),
            (Some(w), Case::Lower) => w.to_lowercase(),
            (Some(w), Case::Upper) => w.to_uppercase(),
        };
    }
    promise(kept.next().is_none(), "normalize: too little room")
}

/// What `TfIdfVectorizer` writes for a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighting {
    /// The count.
    Tf,
    /// The weight, if the count is not zero.
    Idf,
    /// The weight times the count.
    TfIdf,
}

/// Counts n-grams of each row of `x` (`row` long; `out` has as many rows, each as long as the greatest of `indexes` says).
///
/// `pool` holds all 1-grams, 2-grams … one after the other, `starts[n - 1]` is where n-grams start; `order` sorts the n-grams of each length (numbers
/// within the length); n-gram `k` of all counts at `indexes[k]`. N-grams of `least..=most` items that lie up to `skips + 1` apart are looked for.
/// `weights` may be empty: all ones.
pub fn tf_idf<T: Order>(
    out: &mut [f32],
    x: &[T],
    pool: &[T],
    order: &[i64],
    indexes: &[i64],
    weights: &[f32],
    row: usize,
    starts: &[usize],
    least: usize,
    most: usize,
    skips: usize,
    weighting: Weighting,
) -> Result<(), Fault> {
    out.fill(0.0);
    let rows = x.len().checked_div(row).unwrap_or(0);
    if rows == 0 || out.is_empty() {
        return Ok(());
    }
    let width = out.len() / rows;
    let grams = Grams { pool, order, starts };
    for (to, words) in out.chunks_exact_mut(width).zip(x.chunks_exact(row)) {
        let mut count = |n: usize, start: usize, step: usize| -> Result<(), Fault> {
            if let Some(k) = grams.find(n, |i| &words[start + i * step]) {
                let index = indexes.get(k).copied().unwrap_or(-1);
                let at = usize::try_from(index).ok().filter(|&i| i < width).ok_or(Fault::Index { index, len: width })?;
                to[at] += 1.0;
            }
            Ok(())
        };
        for step in 1..=skips + 1 {
            // Single items do not depend on the step.
            let first = if step == 1 { least.max(1) } else { least.max(2) };
            for start in 0..row {
                for n in (first..=most).take_while(|n| start + step * (n - 1) < row) {
                    count(n, start, step)?;
                }
            }
        }
        for (i, v) in to.iter_mut().enumerate() {
            let weight = weights.get(i).copied().unwrap_or(1.0);
            *v = match weighting {
                Weighting::Tf => *v,
                Weighting::Idf => {
                    if *v > 0.0 {
                        weight
                    } else {
                        0.0
                    }
                }
                Weighting::TfIdf => *v * weight,
            };
        }
    }
    Ok(())
}

struct Grams<'a, T> {
    pool: &'a [T],
    order: &'a [i64],
    starts: &'a [usize],
}

impl<T: Order> Grams<'_, T> {
    /// The number of the n-gram among all, if the pool has it (the last one, if it does more than once).
    fn find<'b>(&self, n: usize, item: impl Fn(usize) -> &'b T) -> Option<usize>
    where
        T: 'b,
    {
        let mut before = 0;
        for (size, &start) in self.starts.iter().enumerate().take(n) {
            let end = self.starts.get(size + 1).copied().unwrap_or(self.pool.len());
            let len = end.checked_sub(start)? / (size + 1);
            if size + 1 < n {
                before += len;
                continue;
            }
            let pool = self.pool.get(start..end)?;
            let order = self.order.get(before..before + len)?;
            let compare = |k: i64| {
                let gram = pool.get(k as usize * n..).unwrap_or_default();
                gram.iter().take(n).enumerate().map(|(i, g)| g.order(item(i))).find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
            };
            let after = order.partition_point(|&k| compare(k) != Ordering::Greater);
            let last = *order.get(after.checked_sub(1)?)?;
            return (compare(last) == Ordering::Equal).then_some(before + last as usize);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn parts<'a>(text: &'a str, delimiter: &'a str, most: i64) -> Vec<&'a str> {
        Parts::new(text, delimiter, most).collect()
    }

    #[test]
    fn parts_as_python_gives_them() {
        assert_eq!(parts(" a  b c ", "", -1), ["a", "b", "c"]);
        assert_eq!(parts(" a  b c ", "", 1), ["a", "b c "]);
        assert_eq!(parts("", "", -1), [""; 0]);
        assert_eq!(parts("", ",", -1), [""]);
        assert_eq!(parts("a,,b", ",", -1), ["a", "", "b"]);
        assert_eq!(parts("a,b,c", ",", 1), ["a", "b,c"]);
    }

    #[test]
    fn n_grams() {
        // 1-grams 2 3; 2-grams (5 6) (1 2).
        let pool = [2i64, 3, 5, 6, 1, 2];
        let order = [0, 1, 1, 0];
        let mut out = [0.0; 4];
        let x = [1i64, 2, 5, 1, 6];
        tf_idf(&mut out, &x, &pool, &order, &[0, 1, 2, 3], &[], 5, &[0, 2], 1, 2, 0, Weighting::Tf).unwrap();
        assert_eq!(out, [1.0, 0.0, 0.0, 1.0]);
        tf_idf(&mut out, &x, &pool, &order, &[0, 1, 2, 3], &[2.0, 2.0, 3.0, 4.0], 5, &[0, 2], 2, 2, 1, Weighting::TfIdf).unwrap();
        assert_eq!(out, [0.0, 0.0, 3.0, 4.0]);
    }
}
