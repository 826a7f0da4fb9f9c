//! Whether texts match a regular expression as a whole. The compiler compiles the expression; here all its ways are followed at once, so that the
//! time is linear in the text whatever the expression is.

use super::walk::promise;
use crate::element::Bool;
use crate::error::Fault;
use alloc::string::String;

/// A character of some ranges (operands: the first range, how many); then the next instruction.
pub const CLASS: i64 = 0;
/// On at both operands.
pub const SPLIT: i64 = 1;
/// On at the first operand.
pub const JUMP: i64 = 2;
/// On at the next instruction if the place is (first operand): 0 the start or 1 the end of the text, 2 the start or 3 the end of a line, 4 a
/// boundary of an ASCII word, 5 none.
pub const ASSERT: i64 = 3;
/// The text matches if this is reached at its end.
pub const MATCH: i64 = 4;

/// The scratch that a program of `n` instructions needs.
pub const fn scratch_len(n: usize) -> usize {
    4 * n
}

/// The characters before and after a place in a text.
#[derive(Clone, Copy)]
struct Place {
    before: Option<char>,
    after: Option<char>,
}

impl Place {
    fn is(self, kind: i64) -> bool {
        let word = |c: Option<char>| c.is_some_and(|c| c == '_' || c.is_ascii_alphanumeric());
        let boundary = word(self.before) != word(self.after);
        match kind {
            0 => self.before.is_none(),
            1 => self.after.is_none(),
            2 => self.before.is_none_or(|c| c == '\n'),
            3 => self.after.is_none_or(|c| c == '\n'),
            4 => boundary,
            _ => !boundary,
        }
    }
}

/// A program and the memory to run it. `reached` and `stack` have an element for each instruction.
pub(crate) struct Matcher<'a> {
    code: &'a [i64],
    ranges: &'a [i64],
    /// Where each instruction was last reached: positions count from 1.
    reached: &'a mut [i64],
    stack: &'a mut [i64],
    /// The last position that [`longest`](Matcher::longest) counted, so that `reached` need not be cleared for each search.
    clock: i64,
}

impl<'a> Matcher<'a> {
    pub(crate) fn new(code: &'a [i64], ranges: &'a [i64], reached: &'a mut [i64], stack: &'a mut [i64]) -> Self {
        reached.fill(0);
        Self { code, ranges, reached, stack, clock: 0 }
    }
    fn instruction(&self, i: i64) -> Result<[i64; 3], Fault> {
        let at = usize::try_from(i).ok().and_then(|i| self.code.get(i * 3..i * 3 + 3));
        at.and_then(|c| c.try_into().ok()).ok_or(Fault::Internal { what: "regex: an instruction is missing" })
    }

    /// Adds what can be reached from an instruction without a character to `list`, of which `len` are filled.
    fn follow(&mut self, list: &mut [i64], mut len: usize, start: i64, position: i64, place: Place) -> Result<usize, Fault> {
        let mut top = 0;
        self.visit(start, position, &mut top)?;
        while let Some(rest) = top.checked_sub(1) {
            top = rest;
            let i = self.stack[top];
            let [kind, a, b] = self.instruction(i)?;
            match kind {
                SPLIT => {
                    self.visit(a, position, &mut top)?;
                    self.visit(b, position, &mut top)?;
                }
                JUMP => self.visit(a, position, &mut top)?,
                ASSERT if place.is(a) => self.visit(i + 1, position, &mut top)?,
                ASSERT => {}
                _ => {
                    *list.get_mut(len).ok_or(Fault::Internal { what: "regex: scratch" })? = i;
                    len += 1;
                }
            }
        }
        Ok(len)
    }

    /// Puts an instruction on the stack, once a position.
    fn visit(&mut self, i: i64, position: i64, top: &mut usize) -> Result<(), Fault> {
        let missing = Fault::Internal { what: "regex: an instruction is missing" };
        let reached = usize::try_from(i).ok().and_then(|i| self.reached.get_mut(i)).ok_or(missing)?;
        if *reached != position {
            *reached = position;
            *self.stack.get_mut(*top).ok_or(missing)? = i;
            *top += 1;
        }
        Ok(())
    }

    fn takes(&self, instruction: [i64; 3], c: char) -> bool {
        let [CLASS, first, count] = instruction else { return false };
        let ranges = self.ranges.get(first as usize * 2..(first + count) as usize * 2).unwrap_or_default();
        ranges.chunks_exact(2).any(|r| (r[0]..=r[1]).contains(&(c as i64)))
    }

    fn matches<'s>(&mut self, text: &str, mut now: &'s mut [i64], mut later: &'s mut [i64]) -> Result<bool, Fault> {
        self.reached.fill(0);
        let mut characters = text.chars().peekable();
        let mut position = 1;
        let mut len = self.follow(now, 0, 0, position, Place { before: None, after: characters.peek().copied() })?;
        while let Some(c) = characters.next() {
            position += 1;
            let place = Place { before: Some(c), after: characters.peek().copied() };
            let mut next = 0;
            for &i in now.iter().take(len) {
                if self.takes(self.instruction(i)?, c) {
                    next = self.follow(later, next, i + 1, position, place)?;
                }
            }
            (now, later, len) = (later, now, next);
        }
        for &i in now.iter().take(len) {
            if self.instruction(i)?[0] == MATCH {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Start and end of the match that starts first at or after `from`, the longest of those; `lists` is scratch of four elements an instruction.
    ///
    /// Each way through the program carries where it started. Ways are kept in the order of their starts, so that the first to reach an
    /// instruction is the one that counts.
    pub(crate) fn longest(&mut self, lists: &mut [i64], text: &str, from: usize) -> Result<Option<(usize, usize)>, Fault> {
        let n = self.code.len() / 3;
        let (now, later) = lists.split_at_mut(lists.len() / 2);
        let (mut now, mut later) = (now.split_at_mut(now.len() / 2), later.split_at_mut(later.len() / 2));
        promise(now.1.len() >= n && later.1.len() >= n, "regex: scratch")?;
        let mut before = text.get(..from).and_then(|t| t.chars().next_back());
        let mut characters = text.get(from..).unwrap_or_default().chars();
        let (mut at, mut len) = (from, 0);
        let mut best: Option<(usize, usize)> = None;
        self.clock += 1;
        loop {
            let after = characters.clone().next();
            if best.is_none() {
                let end = self.follow(now.0, len, 0, self.clock, Place { before, after })?;
                now.1[len..end].fill(at as i64);
                len = end;
            }
            for (&i, &start) in now.0.iter().zip(&*now.1).take(len) {
                let start = start as usize;
                if self.instruction(i)?[0] == MATCH && best.is_none_or(|(first, _)| start <= first) {
                    best = Some((start, at));
                }
            }
            let Some(c) = characters.next().filter(|_| best.is_none() || len > 0) else { return Ok(best) };
            self.clock += 1;
            let place = Place { before: Some(c), after: characters.clone().next() };
            let mut next = 0;
            for k in 0..len {
                let (i, start) = (now.0[k], now.1[k]);
                if best.is_none_or(|(first, _)| start as usize <= first) && self.takes(self.instruction(i)?, c) {
                    let end = self.follow(later.0, next, i + 1, self.clock, place)?;
                    later.1[next..end].fill(start);
                    next = end;
                }
            }
            core::mem::swap(&mut now, &mut later);
            (len, before, at) = (next, Some(c), at + c.len_utf8());
        }
    }
}

/// `out[i]` is whether the whole of `x[i]` matches. `code` has three numbers an instruction, `ranges` two a range; `scratch` has [`scratch_len`].
pub fn full_match(out: &mut [Bool], scratch: &mut [i64], x: &[String], code: &[i64], ranges: &[i64]) -> Result<(), Fault> {
    let n = code.len() / 3;
    promise(out.len() == x.len() && scratch.len() == scratch_len(n), "regex: lengths")?;
    let (lists, rest) = scratch.split_at_mut(2 * n);
    let (now, later) = lists.split_at_mut(n);
    let (reached, stack) = rest.split_at_mut(n);
    let mut matcher = Matcher::new(code, ranges, reached, stack);
    for (y, text) in out.iter_mut().zip(x) {
        *y = matcher.matches(text, now, later)?.into();
    }
    Ok(())
}
