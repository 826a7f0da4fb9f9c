//! Regular expressions in RE2's syntax, compiled to the instructions of the runtime's matcher (`kernels::regex`).
//!
//! Only whether a text matches as a whole is asked, so groups need no numbers and greediness means nothing. Not supported, and said so: `\p{…}`
//! (Unicode properties) and `\C` (single bytes).

use crate::ops::OpError;
use onnxc_runtime::kernels::regex::{ASSERT, CLASS, JUMP, MATCH, SPLIT};

/// A range of code points, both ends included.
type Range = (u32, u32);

const LAST: u32 = 0x10_FFFF;
/// RE2's limit for counted repetitions.
const MOST_TIMES: u32 = 1000;
/// More instructions than this are refused: nested repetitions multiply.
const MOST_INSTRUCTIONS: usize = 1 << 16;
const DEEPEST: usize = 200;

/// A compiled expression: instructions of three numbers, and the ranges that they refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Kind and two operands of each instruction.
    pub code: Vec<i64>,
    /// First and last code point of each range.
    pub ranges: Vec<i64>,
}

/// Compiles a pattern.
pub fn compile(pattern: &str) -> Result<Program, OpError> {
    let mut parser = Parser { rest: pattern.chars().collect(), at: 0, flags: Flags::default(), depth: 0 };
    let tree = parser.alternatives()?;
    if parser.at < parser.rest.len() {
        return Err(parser.error("a `)` too many"));
    }
    let mut program = Program::default();
    program.tree(&tree)?;
    program.push(MATCH, 0, 0)?;
    Ok(program)
}

/// A parsed expression.
enum Tree {
    Class(Vec<Range>),
    /// The assertions are numbered as in the runtime.
    Assert(i64),
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Repeat(Box<Tree>, u32, Option<u32>),
}

impl Program {
    fn push(&mut self, kind: i64, a: i64, b: i64) -> Result<usize, OpError> {
        if self.next() > MOST_INSTRUCTIONS {
            return Err(OpError::unsupported("a pattern of this size"));
        }
        self.code.extend([kind, a, b]);
        Ok(self.next() - 1)
    }

    /// The number of the next instruction.
    fn next(&self) -> usize {
        self.code.len() / 3
    }

    /// Sets operand `operand` of an instruction to the next one.
    fn land(&mut self, instruction: usize, operand: usize) {
        self.code[instruction * 3 + operand] = self.next() as i64;
    }

    fn tree(&mut self, tree: &Tree) -> Result<(), OpError> {
        match tree {
            Tree::Class(ranges) => {
                let first = self.ranges.len() as i64 / 2;
                self.ranges.extend(ranges.iter().flat_map(|r| [i64::from(r.0), i64::from(r.1)]));
                self.push(CLASS, first, ranges.len() as i64).map(drop)
            }
            Tree::Assert(kind) => self.push(ASSERT, *kind, 0).map(drop),
            Tree::All(parts) => parts.iter().try_for_each(|p| self.tree(p)),
            Tree::Any(parts) => {
                let mut ends = Vec::new();
                for (i, part) in parts.iter().enumerate() {
                    if i + 1 == parts.len() {
                        self.tree(part)?;
                    } else {
                        let split = self.push(SPLIT, self.next() as i64 + 1, 0)?;
                        self.tree(part)?;
                        ends.push(self.push(JUMP, 0, 0)?);
                        self.land(split, 2);
                    }
                }
                ends.into_iter().for_each(|end| self.land(end, 1));
                Ok(())
            }
            Tree::Repeat(part, least, most) => self.repeat(part, *least, *most),
        }
    }

    fn repeat(&mut self, part: &Tree, least: u32, most: Option<u32>) -> Result<(), OpError> {
        for _ in 0..least {
            self.tree(part)?;
        }
        let Some(most) = most else {
            let split = self.push(SPLIT, self.next() as i64 + 1, 0)?;
            self.tree(part)?;
            self.push(JUMP, split as i64, 0)?;
            self.land(split, 2);
            return Ok(());
        };
        let mut splits = Vec::new();
        for _ in least..most {
            splits.push(self.push(SPLIT, self.next() as i64 + 1, 0)?);
            self.tree(part)?;
        }
        splits.into_iter().for_each(|split| self.land(split, 2));
        Ok(())
    }
}

/// `(?i)`, `(?m)`, `(?s)`.
#[derive(Clone, Copy, Default)]
struct Flags {
    fold: bool,
    lines: bool,
    dot_all: bool,
}

struct Parser {
    rest: Vec<char>,
    at: usize,
    flags: Flags,
    depth: usize,
}

/// What follows a backslash.
enum Escape {
    Char(u32),
    Class(Vec<Range>),
    Assert(i64),
}

impl Parser {
    fn error(&self, what: &str) -> OpError {
        OpError::invalid(format!("the pattern is not valid at character {}: {what}", self.at))
    }

    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// Takes that text if it comes next.
    fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.rest.get(self.at + i) == Some(&c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn alternatives(&mut self) -> Result<Tree, OpError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.error("groups are nested too deep"));
        }
        let mut parts = vec![self.sequence()?];
        while self.eat("|") {
            parts.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(Tree::Any(parts))
    }

    fn sequence(&mut self) -> Result<Tree, OpError> {
        let mut parts = Vec::new();
        while let Some(c) = self.peek().filter(|c| !matches!(c, '|' | ')')) {
            if self.eat("\\Q") {
                while self.at < self.rest.len() && !self.eat("\\E") {
                    parts.extend(self.take().map(|c| self.literal(c as u32)));
                }
                continue;
            }
            if matches!(c, '*' | '+' | '?') {
                return Err(self.error("nothing to repeat"));
            }
            let atom = self.atom()?;
            parts.push(self.repeated(atom)?);
        }
        Ok(Tree::All(parts))
    }

    fn repeated(&mut self, atom: Tree) -> Result<Tree, OpError> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts() {
                Some(counts) => counts,
                None => return Ok(atom),
            },
            _ => return Ok(atom),
        };
        self.at += 1;
        if most.is_some_and(|m| m < least || m > MOST_TIMES) || least > MOST_TIMES {
            return Err(self.error("a repetition out of range"));
        }
        self.eat("?");
        let after = self.at;
        if matches!(self.peek(), Some('*' | '+' | '?')) || (self.peek() == Some('{') && self.counts().is_some()) {
            self.at = after;
            return Err(self.error("a repetition of a repetition"));
        }
        Ok(Tree::Repeat(Box::new(atom), least, most))
    }

    /// `{2}`, `{2,}`, `{2,5}`; moves to the closing brace. What is no such thing is literal.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let length = self.rest[self.at..].iter().position(|&c| c == '}')?;
        let text: String = self.rest[self.at + 1..self.at + length].iter().collect();
        let number = |t: &str| t.parse::<u32>().ok().filter(|_| t.bytes().all(|b| b.is_ascii_digit()));
        let counts = match text.split_once(',') {
            None => number(&text).map(|n| (n, Some(n)))?,
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        self.at += length;
        Some(counts)
    }

    fn literal(&self, c: u32) -> Tree {
        Tree::Class(self.folded(vec![(c, c)]))
    }

    fn atom(&mut self) -> Result<Tree, OpError> {
        let Some(c) = self.take() else { return Err(self.error("it ends too early")) };
        Ok(match c {
            '.' if self.flags.dot_all => Tree::Class(vec![(0, LAST)]),
            '.' => Tree::Class(negated(vec![(10, 10)])),
            '^' => Tree::Assert(if self.flags.lines { 2 } else { 0 }),
            '$' => Tree::Assert(if self.flags.lines { 3 } else { 1 }),
            '(' => self.group()?,
            '[' => Tree::Class(self.class()?),
            '\\' => match self.escape(false)? {
                Escape::Char(c) => self.literal(c),
                Escape::Class(ranges) => Tree::Class(ranges),
                Escape::Assert(kind) => Tree::Assert(kind),
            },
            other => self.literal(other as u32),
        })
    }

    fn group(&mut self) -> Result<Tree, OpError> {
        let outer = self.flags;
        if self.eat("?P<") || self.eat("?<") {
            let start = self.at;
            while self.peek().is_some_and(|c| c == '_' || c.is_alphanumeric()) {
                self.at += 1;
            }
            if self.at == start || !self.eat(">") {
                return Err(self.error("a group without a name"));
            }
        } else if self.eat("?") {
            self.read_flags()?;
            match self.take() {
                // Until the end of the group around it.
                Some(')') => return Ok(Tree::All(Vec::new())),
                Some(':') => {}
                _ => return Err(self.error("a group of no known kind")),
            }
        }
        let tree = self.alternatives()?;
        self.flags = outer;
        if self.eat(")") { Ok(tree) } else { Err(self.error("a `)` is missing")) }
    }

    fn read_flags(&mut self) -> Result<(), OpError> {
        let mut on = true;
        loop {
            match self.peek() {
                Some('i') => self.flags.fold = on,
                Some('m') => self.flags.lines = on,
                Some('s') => self.flags.dot_all = on,
                // Greediness.
                Some('U') => {}
                Some('-') if on => on = false,
                Some(')' | ':') => return Ok(()),
                _ => return Err(self.error("a flag that is not known")),
            }
            self.at += 1;
        }
    }

    fn escape(&mut self, in_class: bool) -> Result<Escape, OpError> {
        let Some(c) = self.take() else { return Err(self.error("a `\\` at its end")) };
        Ok(match c {
            'd' | 's' | 'w' => Escape::Class(self.folded(perl(c))),
            'D' | 'S' | 'W' => Escape::Class(negated(self.folded(perl(c.to_ascii_lowercase())))),
            'A' if !in_class => Escape::Assert(0),
            'z' if !in_class => Escape::Assert(1),
            'b' if !in_class => Escape::Assert(4),
            'B' if !in_class => Escape::Assert(5),
            'a' => Escape::Char(7),
            'f' => Escape::Char(12),
            'n' => Escape::Char(10),
            'r' => Escape::Char(13),
            't' => Escape::Char(9),
            'v' => Escape::Char(11),
            'x' => Escape::Char(self.hexadecimal()?),
            '0'..='7' => {
                if c != '0' && !self.peek().is_some_and(|d| d.is_digit(8)) {
                    return Err(self.error("references to groups are no regular expressions"));
                }
                let mut value = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|d| d.to_digit(8)) else { break };
                    value = value * 8 + digit;
                    self.at += 1;
                }
                Escape::Char(value)
            }
            'p' | 'P' => return Err(OpError::unsupported("Unicode properties (`\\p`) in a pattern")),
            'C' => return Err(OpError::unsupported("single bytes (`\\C`) in a pattern")),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Escape::Char(c as u32),
            _ => return Err(self.error("an escape that is not known")),
        })
    }

    /// `7F` or `{10FFFF}`.
    fn hexadecimal(&mut self) -> Result<u32, OpError> {
        let (long, start) = (self.eat("{"), self.at);
        let most = if long { 8 } else { 2 };
        while self.at - start < most && self.peek().is_some_and(|c| c.is_ascii_hexdigit()) {
            self.at += 1;
        }
        let digits: String = self.rest[start..self.at].iter().collect();
        let complete = if long { self.eat("}") } else { digits.len() == 2 };
        let value = u32::from_str_radix(&digits, 16).ok().filter(|&v| v <= LAST && complete);
        value.ok_or_else(|| self.error("a code point is expected after `\\x`"))
    }

    /// What is between brackets, the first of which is taken.
    fn class(&mut self) -> Result<Vec<Range>, OpError> {
        let negative = self.eat("^");
        let mut ranges = Vec::new();
        let mut first = true;
        loop {
            if !first && self.eat("]") {
                break;
            }
            first = false;
            if let Some(named) = self.posix()? {
                ranges.extend(named);
                continue;
            }
            let low = match self.class_item()? {
                Escape::Char(c) => c,
                Escape::Class(more) => {
                    ranges.extend(more);
                    continue;
                }
                Escape::Assert(_) => return Err(self.error("an assertion between brackets")),
            };
            let range = self.peek() == Some('-') && self.rest.get(self.at + 1).is_some_and(|&c| c != ']');
            let high = if range {
                self.at += 1;
                match self.class_item()? {
                    Escape::Char(c) if c >= low => c,
                    _ => return Err(self.error("a range that is none")),
                }
            } else {
                low
            };
            ranges.push((low, high));
        }
        let ranges = self.folded(ranges);
        Ok(if negative { negated(ranges) } else { ranges })
    }

    fn class_item(&mut self) -> Result<Escape, OpError> {
        match self.take() {
            Some('\\') => self.escape(true),
            Some(c) => Ok(Escape::Char(c as u32)),
            None => Err(self.error("a `]` is missing")),
        }
    }

    /// `[:alpha:]` and its kin.
    fn posix(&mut self) -> Result<Option<Vec<Range>>, OpError> {
        let Some(length) = self.rest[self.at..].windows(2).position(|w| w == [':', ']']).filter(|&l| l > 1 && self.eat("[:")) else {
            return Ok(None);
        };
        let end = self.at - 2 + length;
        let negative = self.eat("^");
        let name: String = self.rest.get(self.at..end).unwrap_or_default().iter().collect();
        let ranges = posix(&name).ok_or_else(|| self.error("a class that is not known"))?;
        self.at = end + 2;
        Ok(Some(if negative { negated(ranges) } else { ranges }))
    }

    /// With the flag `i`, all letters that differ only in case.
    fn folded(&self, ranges: Vec<Range>) -> Vec<Range> {
        let ranges = merged(ranges);
        if !self.flags.fold {
            return ranges;
        }
        // The last letters with case are those of Adlam.
        let letters = || (0..0x1_E950).filter_map(char::from_u32);
        let wanted: std::collections::HashSet<char> = letters().filter(|&c| contains(&ranges, c as u32)).map(fold).collect();
        merged(letters().filter(|&c| wanted.contains(&fold(c))).map(|c| (c as u32, c as u32)).chain(ranges.iter().copied()).collect())
    }
}

/// The same for all letters that differ only in case.
fn fold(c: char) -> char {
    let single = |mut all: Box<dyn Iterator<Item = char>>| all.next().filter(|_| all.next().is_none());
    let upper = single(Box::new(c.to_uppercase())).unwrap_or(c);
    single(Box::new(upper.to_lowercase())).unwrap_or(upper)
}

fn contains(ranges: &[Range], c: u32) -> bool {
    ranges.iter().any(|r| r.0 <= c && c <= r.1)
}

/// Sorted, with ranges that touch made one.
fn merged(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut out: Vec<Range> = Vec::new();
    for (low, high) in ranges {
        match out.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => out.push((low, high)),
        }
    }
    out
}

/// Every other code point.
fn negated(ranges: Vec<Range>) -> Vec<Range> {
    let (mut out, mut next) = (Vec::new(), 0);
    for (low, high) in merged(ranges) {
        if low > next {
            out.push((next, low - 1));
        }
        next = high + 1;
    }
    if next <= LAST {
        out.push((next, LAST));
    }
    out
}

fn of(text: &str) -> Vec<Range> {
    let c: Vec<char> = text.chars().collect();
    c.chunks_exact(2).map(|p| (p[0] as u32, p[1] as u32)).collect()
}

/// `\d`, `\s` and `\w`: of ASCII only, as in RE2.
fn perl(name: char) -> Vec<Range> {
    match name {
        'd' => of("09"),
        's' => vec![(9, 10), (12, 13), (32, 32)],
        _ => of("09AZ__az"),
    }
}

fn posix(name: &str) -> Option<Vec<Range>> {
    Some(match name {
        "alnum" => of("09AZaz"),
        "alpha" => of("AZaz"),
        "ascii" => vec![(0, 127)],
        "blank" => vec![(9, 9), (32, 32)],
        "cntrl" => vec![(0, 31), (127, 127)],
        "digit" => of("09"),
        "graph" => of("!~"),
        "lower" => of("az"),
        "print" => of(" ~"),
        "punct" => of("!/:@[`{~"),
        "space" => vec![(9, 13), (32, 32)],
        "upper" => of("AZ"),
        "word" => of("09AZ__az"),
        "xdigit" => of("09AFaf"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use onnxc_runtime::element::Bool;
    use onnxc_runtime::kernels::regex::{full_match, scratch_len};

    fn matches(pattern: &str, text: &str) -> bool {
        let program = compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {}", e.message));
        let mut scratch = vec![0i64; scratch_len(program.code.len() / 3)];
        let mut out = [Bool::from(false)];
        full_match(&mut out, &mut scratch, &[text.to_owned()], &program.code, &program.ranges).unwrap();
        out[0] == Bool::from(true)
    }

    #[test]
    fn whole_texts() {
        for (pattern, yes, no) in [
            ("", &[""][..], &["a"][..]),
            ("abc", &["abc"], &["ab", "abcd", "xabc"]),
            ("a|bc|", &["a", "bc", ""], &["b", "abc"]),
            ("a*b+c?", &["b", "aabbc"], &["ac", "bcc"]),
            ("(?:ab){2,3}", &["abab", "ababab"], &["ab", "abababab"]),
            ("a{2}b{0,}", &["aa", "aabbb"], &["a", "aaa"]),
            ("a{,3}", &["a{,3}"], &["aa"]),
            ("(a*)*b", &["b", "aaab"], &["a"]),
            (".", &["x", "ß", "😀"], &["\n", "", "ab"]),
            ("(?s).+", &["a\nb"], &[""]),
            ("[^a-c]", &["d", "\n", "é"], &["b"]),
            ("[]a-]+", &["]-a"], &["b"]),
            (r"[\w.\-]{0,3}", &["a.-", ""], &["a b", "abcd"]),
            ("[[:alpha:][:^ascii:]]+", &["aé"], &["1"]),
            (r"\d\D\s\S\w\W", &["1a b_-"], &["1a bä-", "٣a b_-"]),
            (r"\x41\x{1F600}\101\.", &["A😀A."], &["A😀Ax"]),
            (r"\Qa.b\Ec", &["a.bc"], &["axbc"]),
            (r"^a$", &["a"], &["a\n"]),
            (r"(?m)^a$\n^b", &["a\nb"], &["a b"]),
            (r"a\b.b", &["a b", "a-b"], &["axb"]),
            (r"a\Bb", &["ab"], &[]),
            (r"(?i)straße[ks]", &["STRAßEK", "straßeſ", "straße\u{212A}"], &["strassek"]),
            (r"(?i:a)b", &["Ab"], &["AB"]),
            (r"a(?i)b|c", &["aB", "C"], &["AB"]),
            ("(?P<x>a)(?<y>b)", &["ab"], &["a"]),
        ] {
            yes.iter().for_each(|t| assert!(matches(pattern, t), "{pattern} matches {t:?}"));
            no.iter().for_each(|t| assert!(!matches(pattern, t), "{pattern} does not match {t:?}"));
        }
    }

    #[test]
    fn time_does_not_explode() {
        let text = "a".repeat(2000);
        assert!(matches("(a?){30}(a*)*", &text));
        assert!(!matches("(a|aa|a*)*b", &text));
    }

    #[test]
    fn what_is_no_pattern() {
        for bad in
            ["(", ")", "a**", "*a", "[a", "[b-a]", "a{2}{3}", r"\", r"\1", r"\Z", r"\xG", "(?z)", "a{1001}", "[[:no:]]", "(?P<>a)", r"\pL"]
        {
            assert!(compile(bad).is_err(), "{bad}");
        }
        assert!(compile(&"(".repeat(10_000)).is_err());
        assert!(compile("((a{1000}){1000}){1000}").is_err());
    }
}
