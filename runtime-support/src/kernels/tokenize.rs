//! Texts cut into tokens: by regular expressions that match tokens or what is between them, or into characters.

use super::regex::Matcher;
use super::walk::promise;
use crate::error::Fault;
use crate::value::{Tensor, Value};
use alloc::string::String;
use alloc::vec::Vec;

/// What the expressions are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Of the tokens; there is one expression.
    Tokens,
    /// Of what separates them: one after the other cuts what the former left.
    Separators,
    /// Of nothing: each character is a token.
    Characters,
}

/// What ONNX Runtime's `Tokenizer` marks the start of a text with.
const START: &str = "\u{2}";
/// And the end.
const END: &str = "\u{3}";

/// The scratch for expressions of `n` instructions at most.
pub const fn scratch_len(n: usize) -> usize {
    6 * n
}

type Span = (usize, usize);

/// The tokens of `text[whole]` by one expression.
fn cut(matcher: &mut Matcher<'_>, lists: &mut [i64], text: &str, whole: Span, how: Cut, out: &mut Vec<Span>) -> Result<(), Fault> {
    let text = text.get(whole.0..whole.1).unwrap_or_default();
    let (mut from, mut token) = (0, 0);
    while let Some((start, end)) = matcher.longest(lists, text, from)? {
        if end > start {
            out.push(if how == Cut::Tokens { (whole.0 + start, whole.0 + end) } else { (whole.0 + token, whole.0 + start) });
            (from, token) = (end, end);
        } else {
            // Nothing was matched: on with the next character.
            let Some(c) = text.get(end..).and_then(|t| t.chars().next()) else { break };
            from = end + c.len_utf8();
        }
    }
    if how == Cut::Separators {
        out.push((whole.0 + token, whole.1));
    }
    Ok(())
}

/// Finds the tokens of each text: to `bind[0]` the greatest number of them in one (and two more for the marks; 0 if no text has any), to `spans`, a tensor of i64, for
/// each text the number and then start and end in bytes of each token.
///
/// `code` and `ranges` are those of the expressions (see [`regex`](super::regex)) one after the other; `parts` has for each where its
/// instructions and its ranges end. Tokens of fewer than `least` characters are dropped. `scratch` has [`scratch_len`].
pub fn find(
    bind: &mut [i64],
    spans: &mut Value,
    scratch: &mut [i64],
    x: &[String],
    code: &[i64],
    ranges: &[i64],
    parts: &[usize],
    how: Cut,
    least: usize,
    mark: bool,
) -> Result<(), Fault> {
    promise(bind.len() == 1, "tokenize: one result")?;
    let n = scratch.len() / 6;
    let (lists, rest) = scratch.split_at_mut(4 * n);
    let (reached, stack) = rest.split_at_mut(n);
    let (mut flat, mut tokens, mut former): (Vec<i64>, Vec<Span>, Vec<Span>) = Default::default();
    let mut most = 0;
    for text in x {
        tokens.clear();
        if how == Cut::Characters {
            tokens.extend(text.char_indices().map(|(i, c)| (i, i + c.len_utf8())));
        } else {
            tokens.push((0, text.len()));
        }
        let (mut instruction, mut range) = (0, 0);
        for part in parts.chunks_exact(2) {
            core::mem::swap(&mut tokens, &mut former);
            tokens.clear();
            let missing = Fault::Internal { what: "tokenize: an expression is missing" };
            let (code, ranges) = (code.get(instruction * 3..part[0] * 3), ranges.get(range * 2..part[1] * 2));
            let mut matcher = Matcher::new(code.ok_or(missing)?, ranges.ok_or(missing)?, reached, stack);
            for &whole in &former {
                cut(&mut matcher, lists, text, whole, how, &mut tokens)?;
            }
            (instruction, range) = (part[0], part[1]);
        }
        tokens.retain(|&(start, end)| text.get(start..end).is_some_and(|t| t.chars().take(least.max(1)).count() >= least.max(1)));
        most = most.max(tokens.len());
        flat.push(tokens.len() as i64);
        flat.extend(tokens.iter().flat_map(|&(start, end)| [start as i64, end as i64]));
    }
    bind[0] = if mark && most > 0 { most + 2 } else { most } as i64;
    *spans = Value::Tensor(Tensor::from_slice(&[flat.len()], &flat)?);
    Ok(())
}

/// One row for each text: its tokens as [`find`] found them, between marks if asked for, filled up with `pad`.
pub fn fill(out: &mut [String], spans: &Value, x: &[String], pad: &str, mark: bool) -> Result<(), Fault> {
    let width = out.len().checked_div(x.len()).unwrap_or(0);
    if width == 0 {
        return Ok(());
    }
    let mut spans = spans.tensor()?.elements::<i64>()?.iter().map(|&v| v as usize);
    let missing = Fault::Internal { what: "tokenize: a token is missing" };
    for (row, text) in out.chunks_exact_mut(width).zip(x) {
        let mut places = row.iter_mut();
        let mut put = |token: &str| -> Result<(), Fault> {
            let place = places.next().ok_or(missing)?;
            place.clear();
            place.push_str(token);
            Ok(())
        };
        if mark {
            put(START)?;
        }
        for _ in 0..spans.next().ok_or(missing)? {
            let (start, end) = (spans.next().ok_or(missing)?, spans.next().ok_or(missing)?);
            put(text.get(start..end).ok_or(missing)?)?;
        }
        if mark {
            put(END)?;
        }
        while put(pad).is_ok() {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::regex::{CLASS, JUMP, MATCH, SPLIT};
    use alloc::string::ToString;
    use alloc::vec;

    fn tokens(how: Cut, code: &[i64], least: usize, mark: bool, texts: &[&str]) -> Vec<String> {
        let x: Vec<String> = texts.iter().map(ToString::to_string).collect();
        let (mut bind, mut spans) = ([0], Value::default());
        let mut scratch = vec![0; scratch_len(code.len() / 3)];
        let parts = if code.is_empty() { vec![] } else { vec![code.len() / 3, 1] };
        find(&mut bind, &mut spans, &mut scratch, &x, code, &[97, 122], &parts, how, least, mark).unwrap();
        let mut out = vec!["?".to_string(); bind[0] as usize * x.len()];
        fill(&mut out, &spans, &x, "#", mark).unwrap();
        out
    }

    /// `[a-z]+`.
    const WORD: [i64; 12] = [CLASS, 0, 1, SPLIT, 0, 2, MATCH, 0, 0, JUMP, 2, 0];

    #[test]
    fn words_and_what_is_between() {
        assert_eq!(tokens(Cut::Tokens, &WORD, 1, false, &["ab,c", "-", "x"]), ["ab", "c", "#", "#", "x", "#"]);
        assert_eq!(tokens(Cut::Tokens, &WORD, 2, true, &["ab,c"]), ["\u{2}", "ab", "\u{3}"]);
        assert_eq!(tokens(Cut::Separators, &WORD, 1, false, &["1a22bc3"]), ["1", "22", "3"]);
        assert_eq!(tokens(Cut::Characters, &[], 1, false, &["hé"]), ["h", "é"]);
        assert!(tokens(Cut::Tokens, &WORD, 1, true, &["", "12"]).is_empty());
    }
}
