//! Symbolic integers: the dims of shapes, and the elements of small integer tensors that are made of dims.
//!
//! An expression is a polynomial over atoms (symbols, floor divisions, minima, maxima, broadcasts) with integer coefficients, kept in one
//! canonical form and interned, so that "equal" is `==` on a four-byte id. Symbols are dims of inputs (`batch`), known at the entry of a run,
//! or are bound by a step while the model runs (how many elements NonZero found).

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// A symbolic integer. Two are equal exactly if they are the same canonical expression.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Dim(u32);

/// A symbol that dims are made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Symbol(u32);

impl Symbol {
    /// The position in the table of symbols.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a symbol gets its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// From the shape of an input, at the entry.
    Entry,
    /// From a step, while the model runs.
    Step,
}

/// What is known of a symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SymbolInfo {
    /// The name: the model's `dim_param`, or one of ours (`u3`).
    pub name: String,
    /// Where the value comes from.
    pub source: Source,
    /// The least value; dims are never negative, elements of integer tensors may be.
    pub min: i64,
    /// The greatest value, if one is known.
    pub max: i64,
}

/// The parts of a polynomial that are not sums or products.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Atom {
    /// A symbol.
    Symbol(Symbol),
    /// `floor(a / b)`; rounds towards minus infinity.
    FloorDiv(Dim, Dim),
    /// `min(a, b)`.
    Min(Dim, Dim),
    /// `max(a, b)`.
    Max(Dim, Dim),
    /// The broadcast of `a` and `b`: `b` where `a` is 1, else `a`. That the other is then equal or 1 is a requirement.
    Broadcast(Dim, Dim),
}

/// A product of atoms (sorted, with repetition) and its coefficient.
pub type Term = (Vec<Atom>, i64);

/// The canonical form: terms sorted by their atoms, no zero coefficient, the constant apart.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Expr {
    /// The terms that have atoms.
    pub terms: Vec<Term>,
    /// The constant.
    pub constant: i64,
}

#[derive(Default)]
struct Table {
    exprs: Vec<Expr>,
    ids: HashMap<Expr, Dim>,
    symbols: Vec<SymbolInfo>,
    /// Numbers below this are not used for fresh symbols any more.
    next: usize,
}

/// The table of all dims of one compilation; a cheap handle, shared by its graphs and its program.
#[derive(Clone, Default)]
pub struct Dims(Rc<RefCell<Table>>);

impl Dims {
    /// A constant.
    pub fn int(&self, value: i64) -> Dim {
        self.intern(Expr { terms: Vec::new(), constant: value })
    }

    /// The input dim of that name: the same name gives the same dim.
    pub fn named(&self, name: &str) -> Dim {
        let found = self.0.borrow().symbols.iter().position(|s| s.source == Source::Entry && s.name == name);
        let symbol = found.map_or_else(
            || self.new_symbol(SymbolInfo { name: name.to_owned(), source: Source::Entry, min: 0, max: i64::MAX }),
            |i| Symbol(i as u32),
        );
        self.symbol(symbol)
    }

    /// A new symbol that a step will bind; at least `min`.
    pub fn fresh(&self, min: i64) -> (Symbol, Dim) {
        let index = {
            let mut table = self.0.borrow_mut();
            let index = table.symbols.len().max(table.next);
            table.next = index + 1;
            index
        };
        let symbol = self.new_symbol(SymbolInfo { name: format!("u{index}"), source: Source::Step, min, max: i64::MAX });
        (symbol, self.symbol(symbol))
    }

    /// The symbol of that name that a step binds (`u3`), which is made if there is none yet: for texts.
    pub(crate) fn numbered(&self, name: &str) -> Option<Symbol> {
        let number = is_numbered(name)?;
        let found = self.0.borrow().symbols.iter().position(|s| s.source == Source::Step && s.name == name);
        Some(found.map_or_else(
            || {
                let next = self.0.borrow().next.max(number.saturating_add(1));
                self.0.borrow_mut().next = next;
                self.new_symbol(SymbolInfo { name: name.to_owned(), source: Source::Step, min: 0, max: i64::MAX })
            },
            |i| Symbol(i as u32),
        ))
    }

    /// Changes the bounds of a symbol: for texts, before anything is made of it.
    pub(crate) fn set_bounds(&self, symbol: Symbol, min: i64, max: i64) {
        if let Some(info) = self.0.borrow_mut().symbols.get_mut(symbol.index()) {
            (info.min, info.max) = (min, max);
        }
    }

    fn new_symbol(&self, info: SymbolInfo) -> Symbol {
        let mut table = self.0.borrow_mut();
        table.symbols.push(info);
        Symbol(table.symbols.len() as u32 - 1)
    }

    /// What is known of a symbol.
    pub fn info(&self, symbol: Symbol) -> SymbolInfo {
        self.0.borrow().symbols[symbol.index()].clone()
    }

    /// All symbols, in the order they were made.
    pub fn symbols(&self) -> Vec<Symbol> {
        (0..self.0.borrow().symbols.len() as u32).map(Symbol).collect()
    }

    /// The dim that is just this symbol.
    pub fn symbol(&self, symbol: Symbol) -> Dim {
        self.atom(Atom::Symbol(symbol))
    }

    /// The symbol, if the dim is just one.
    pub fn as_symbol(&self, dim: Dim) -> Option<Symbol> {
        match self.as_atom(dim)? {
            Atom::Symbol(s) => Some(s),
            _ => None,
        }
    }

    fn as_atom(&self, dim: Dim) -> Option<Atom> {
        let expr = self.expr(dim);
        match expr.terms.as_slice() {
            [(atoms, 1)] if expr.constant == 0 && atoms.len() == 1 => Some(atoms[0]),
            _ => None,
        }
    }

    fn atom(&self, atom: Atom) -> Dim {
        self.intern(Expr { terms: vec![(vec![atom], 1)], constant: 0 })
    }

    fn intern(&self, expr: Expr) -> Dim {
        let mut table = self.0.borrow_mut();
        if let Some(&dim) = table.ids.get(&expr) {
            return dim;
        }
        let dim = Dim(table.exprs.len() as u32);
        table.exprs.push(expr.clone());
        table.ids.insert(expr, dim);
        dim
    }

    /// The canonical expression.
    pub fn expr(&self, dim: Dim) -> Expr {
        self.0.borrow().exprs[dim.0 as usize].clone()
    }

    /// The value, if it is a constant.
    pub fn value(&self, dim: Dim) -> Option<i64> {
        let table = self.0.borrow();
        let expr = &table.exprs[dim.0 as usize];
        expr.terms.is_empty().then_some(expr.constant)
    }

    /// `a + b`.
    pub fn add(&self, a: Dim, b: Dim) -> Dim {
        let (a, b) = (self.expr(a), self.expr(b));
        self.intern(sum(a.terms.into_iter().chain(b.terms), a.constant.saturating_add(b.constant)))
    }

    /// `a - b`.
    pub fn sub(&self, a: Dim, b: Dim) -> Dim {
        self.add(a, self.scale(b, -1))
    }

    /// `a * factor`.
    pub fn scale(&self, a: Dim, factor: i64) -> Dim {
        self.mul(a, self.int(factor))
    }

    /// `a + offset`.
    pub fn offset(&self, a: Dim, offset: i64) -> Dim {
        self.add(a, self.int(offset))
    }

    /// `a * b`.
    pub fn mul(&self, a: Dim, b: Dim) -> Dim {
        let (a, b) = (self.expr(a), self.expr(b));
        let constant = |e: &Expr| (Vec::new(), e.constant);
        let mut terms = Vec::new();
        for (x, cx) in a.terms.iter().cloned().chain([constant(&a)]) {
            for (y, cy) in b.terms.iter().cloned().chain([constant(&b)]) {
                let mut atoms = [x.clone(), y].concat();
                atoms.sort_unstable();
                terms.push((atoms, cx.saturating_mul(cy)));
            }
        }
        self.intern(sum(terms, 0))
    }

    /// The product of all.
    pub fn product(&self, dims: &[Dim]) -> Dim {
        dims.iter().fold(self.int(1), |p, &d| self.mul(p, d))
    }

    /// `floor(a / b)`; where `b` is zero, zero.
    pub fn floor_div(&self, a: Dim, b: Dim) -> Dim {
        match (self.value(a), self.value(b)) {
            (_, Some(1)) => return a,
            (_, Some(0)) => return self.int(0),
            (Some(x), Some(y)) => return self.int(floor_div(x, y)),
            _ => {}
        }
        if let Some(q) = self.exact_div(a, b) {
            return q;
        }
        // floor((q * b + r) / b) = q + floor(r / b): take out the terms whose coefficients the constant divides.
        if let Some(n) = self.value(b).filter(|&n| n > 1) {
            let expr = self.expr(a);
            let (whole, rest): (Vec<Term>, Vec<Term>) = expr.terms.into_iter().partition(|(_, c)| c % n == 0);
            let quotient = whole.into_iter().map(|(atoms, c)| (atoms, c / n)).collect::<Vec<_>>();
            let outer = floor_div(expr.constant, n);
            let inner = self.intern(sum(rest, expr.constant - outer * n));
            let outer = self.intern(sum(quotient, outer));
            let (low, high) = self.bounds(inner);
            if low >= 0 && high < n {
                return outer;
            }
            // floor(floor(x / m) / n) = floor(x / (m n)).
            if let Some(Atom::FloorDiv(x, m)) = self.as_atom(inner)
                && let Some(m) = self.value(m).filter(|&m| m > 0)
            {
                return self.add(outer, self.floor_div(x, self.int(m.saturating_mul(n))));
            }
            return self.add(outer, self.atom(Atom::FloorDiv(inner, b)));
        }
        self.atom(Atom::FloorDiv(a, b))
    }

    /// `ceil(a / b)` for positive `b`.
    pub fn ceil_div(&self, a: Dim, b: Dim) -> Dim {
        self.floor_div(self.add(a, self.offset(b, -1)), b)
    }

    /// `a - b * floor(a / b)`.
    pub fn modulo(&self, a: Dim, b: Dim) -> Dim {
        self.sub(a, self.mul(b, self.floor_div(a, b)))
    }

    /// `a / b` if `b` is one product (or a multiple of `a`) that divides every term of `a`.
    pub fn exact_div(&self, a: Dim, b: Dim) -> Option<Dim> {
        let (a, b) = (self.expr(a), self.expr(b));
        if a == b && !b.terms.is_empty() && self.positive(&b) {
            return Some(self.int(1));
        }
        let (atoms, coefficient) = match b.terms.as_slice() {
            [] => (Vec::new(), b.constant),
            [(atoms, c)] if b.constant == 0 => (atoms.clone(), *c),
            _ => return self.divide_by_sum(&a, &b),
        };
        if coefficient == 0 || a.constant % coefficient != 0 || (a.constant != 0 && !atoms.is_empty()) {
            return None;
        }
        let divided = a.terms.into_iter().map(|(mut x, c)| {
            for atom in &atoms {
                let at = x.iter().position(|y| y == atom)?;
                x.remove(at);
            }
            (c % coefficient == 0).then_some((x, c / coefficient))
        });
        Some(self.intern(sum(divided.collect::<Option<Vec<_>>>()?, a.constant / coefficient)))
    }

    /// `a / b` for a sum `b`, where `a` is `b` times one term: tries the quotient of the leading terms.
    fn divide_by_sum(&self, a: &Expr, b: &Expr) -> Option<Dim> {
        let (atoms, c) = b.terms.first()?;
        for (x, cx) in &a.terms {
            let mut rest = x.clone();
            let fits = atoms.iter().all(|atom| rest.iter().position(|y| y == atom).map(|at| rest.remove(at)).is_some());
            if fits && cx % c == 0 {
                let quotient = self.intern(sum([(rest, cx / c)], 0));
                if self.expr(self.mul(quotient, self.intern(b.clone()))) == *a {
                    return Some(quotient);
                }
            }
        }
        None
    }

    fn positive(&self, expr: &Expr) -> bool {
        self.expr_bounds(expr).0 > 0
    }

    /// `min(a, b)`.
    pub fn min(&self, a: Dim, b: Dim) -> Dim {
        let (low, high) = self.bounds(self.sub(a, b));
        match () {
            () if high <= 0 => a,
            () if low >= 0 => b,
            () => self.atom(Atom::Min(a.min(b), a.max(b))),
        }
    }

    /// `max(a, b)`.
    pub fn max(&self, a: Dim, b: Dim) -> Dim {
        let (low, high) = self.bounds(self.sub(a, b));
        match () {
            () if low >= 0 => a,
            () if high <= 0 => b,
            () => self.atom(Atom::Max(a.min(b), a.max(b))),
        }
    }

    /// The broadcast of two dims that are equal or of which one is 1: see [`Atom::Broadcast`].
    pub fn broadcast(&self, a: Dim, b: Dim) -> Dim {
        match (self.value(a), self.value(b)) {
            _ if a == b => a,
            (Some(1), _) => b,
            // A constant above one decides; that the other agrees is a requirement.
            (_, Some(1)) | (Some(_), _) => a,
            (_, Some(_)) => b,
            _ => self.atom(Atom::Broadcast(a.min(b), a.max(b))),
        }
    }

    /// The least and greatest value, saturated at the ends of i64.
    pub fn bounds(&self, dim: Dim) -> (i64, i64) {
        self.expr_bounds(&self.expr(dim))
    }

    fn expr_bounds(&self, expr: &Expr) -> (i64, i64) {
        let mut total = (expr.constant, expr.constant);
        for (atoms, coefficient) in &expr.terms {
            let product = atoms.iter().map(|&a| self.atom_bounds(a)).fold((1, 1), interval_mul);
            let scaled = interval_mul(product, (*coefficient, *coefficient));
            total = (add_low(total.0, scaled.0), add_high(total.1, scaled.1));
        }
        total
    }

    fn atom_bounds(&self, atom: Atom) -> (i64, i64) {
        match atom {
            Atom::Symbol(s) => {
                let info = self.info(s);
                (info.min, info.max)
            }
            Atom::FloorDiv(a, b) => {
                let ((low, high), (least, _)) = (self.bounds(a), self.bounds(b));
                match self.value(b) {
                    Some(n) if n > 0 => {
                        (if low == i64::MIN { low } else { floor_div(low, n) }, if high == i64::MAX { high } else { floor_div(high, n) })
                    }
                    _ if low >= 0 && least >= 0 => (0, high),
                    _ => (i64::MIN, i64::MAX),
                }
            }
            Atom::Min(a, b) => {
                let (a, b) = (self.bounds(a), self.bounds(b));
                (a.0.min(b.0), a.1.min(b.1))
            }
            Atom::Max(a, b) => {
                let (a, b) = (self.bounds(a), self.bounds(b));
                (a.0.max(b.0), a.1.max(b.1))
            }
            Atom::Broadcast(a, b) => {
                let (a, b) = (self.bounds(a), self.bounds(b));
                (a.0.min(b.0), a.1.max(b.1))
            }
        }
    }

    /// The value when the symbols have the values that `of` gives; saturating.
    pub fn eval(&self, dim: Dim, of: &dyn Fn(Symbol) -> i64) -> i64 {
        let expr = self.expr(dim);
        expr.terms.iter().fold(expr.constant, |total, (atoms, coefficient)| {
            let product = atoms.iter().fold(*coefficient, |p, &a| p.saturating_mul(self.eval_atom(a, of)));
            total.saturating_add(product)
        })
    }

    fn eval_atom(&self, atom: Atom, of: &dyn Fn(Symbol) -> i64) -> i64 {
        let at = |d| self.eval(d, of);
        match atom {
            Atom::Symbol(s) => of(s),
            Atom::FloorDiv(a, b) => floor_div(at(a), at(b)),
            Atom::Min(a, b) => at(a).min(at(b)),
            Atom::Max(a, b) => at(a).max(at(b)),
            Atom::Broadcast(a, b) => {
                let (a, b) = (at(a), at(b));
                if a == 1 { b } else { a }
            }
        }
    }

    /// The dim with every symbol replaced by what `with` gives for it.
    pub fn substitute(&self, dim: Dim, with: &dyn Fn(Symbol) -> Dim) -> Dim {
        let expr = self.expr(dim);
        expr.terms.iter().fold(self.int(expr.constant), |total, (atoms, coefficient)| {
            let product = atoms.iter().fold(self.int(*coefficient), |p, &a| self.mul(p, self.substitute_atom(a, with)));
            self.add(total, product)
        })
    }

    fn substitute_atom(&self, atom: Atom, with: &dyn Fn(Symbol) -> Dim) -> Dim {
        let at = |d| self.substitute(d, with);
        match atom {
            Atom::Symbol(s) => with(s),
            Atom::FloorDiv(a, b) => self.floor_div(at(a), at(b)),
            Atom::Min(a, b) => self.min(at(a), at(b)),
            Atom::Max(a, b) => self.max(at(a), at(b)),
            Atom::Broadcast(a, b) => self.broadcast(at(a), at(b)),
        }
    }

    /// The symbols that occur in the dim, in order, without repetition.
    pub fn symbols_of(&self, dim: Dim) -> Vec<Symbol> {
        let mut found = Vec::new();
        self.collect_symbols(dim, &mut found);
        found.sort_unstable();
        found.dedup();
        found
    }

    fn collect_symbols(&self, dim: Dim, found: &mut Vec<Symbol>) {
        for atom in self.expr(dim).terms.into_iter().flat_map(|(atoms, _)| atoms) {
            match atom {
                Atom::Symbol(s) => found.push(s),
                Atom::FloorDiv(a, b) | Atom::Min(a, b) | Atom::Max(a, b) | Atom::Broadcast(a, b) => {
                    self.collect_symbols(a, found);
                    self.collect_symbols(b, found);
                }
            }
        }
    }

    /// Whether every symbol of the dim is known at the entry of a run.
    pub fn at_entry(&self, dim: Dim) -> bool {
        self.symbols_of(dim).into_iter().all(|s| self.info(s).source == Source::Entry)
    }

    /// The dim as text.
    pub fn show(&self, dim: Dim) -> Shown<'_> {
        Shown { dims: self, dim, quoted: false }
    }

    /// The dim as text that parses back: names that are no identifiers are in quotes.
    pub fn quoted(&self, dim: Dim) -> Shown<'_> {
        Shown { dims: self, dim, quoted: true }
    }
}

/// A dim on its way into a text: `2*batch + 1`, `floor(seq/4)`.
pub struct Shown<'a> {
    dims: &'a Dims,
    dim: Dim,
    quoted: bool,
}

impl fmt::Display for Shown<'_> {
    /// Terms are in the order of their texts, so that the text does not depend on which dims were made first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expr = self.dims.expr(self.dim);
        let mut terms: Vec<(String, i64)> = expr.terms.iter().map(|(atoms, coefficient)| (self.product(atoms), *coefficient)).collect();
        terms.sort_unstable();
        for (i, (product, coefficient)) in terms.iter().enumerate() {
            match (i, *coefficient < 0) {
                (0, false) => {}
                (0, true) => f.write_str("-")?,
                (_, false) => f.write_str(" + ")?,
                (_, true) => f.write_str(" - ")?,
            }
            match coefficient.unsigned_abs() {
                1 => f.write_str(product)?,
                n => write!(f, "{n}*{product}")?,
            }
        }
        match (terms.is_empty(), expr.constant) {
            (true, c) => write!(f, "{c}"),
            (false, 0) => Ok(()),
            (false, c) if c > 0 => write!(f, " + {c}"),
            (false, c) => write!(f, " - {}", c.unsigned_abs()),
        }
    }
}

impl Shown<'_> {
    fn product(&self, atoms: &[Atom]) -> String {
        let mut texts: Vec<String> = atoms.iter().map(|&a| self.atom(a)).collect();
        texts.sort_unstable();
        texts.join("*")
    }

    fn atom(&self, atom: Atom) -> String {
        let show = |dim| Shown { dim, ..*self }.to_string();
        let sorted = |name: &str, a: Dim, b: Dim| {
            let (a, b) = (show(a), show(b));
            if a <= b { format!("{name}({a}, {b})") } else { format!("{name}({b}, {a})") }
        };
        match atom {
            Atom::Symbol(s) if self.quoted => self.dims.info(s).quoted(),
            Atom::Symbol(s) => self.dims.info(s).name,
            Atom::FloorDiv(a, b) => format!("div({}, {})", show(a), show(b)),
            Atom::Min(a, b) => sorted("min", a, b),
            Atom::Max(a, b) => sorted("max", a, b),
            Atom::Broadcast(a, b) => sorted("broadcast", a, b),
        }
    }
}

/// Whether a name is one that [`Dims::fresh`] gives: `u3`.
fn is_numbered(name: &str) -> Option<usize> {
    name.strip_prefix('u').filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

impl SymbolInfo {
    /// The name, in quotes if it is no identifier, or if it is an input's dim that looks like a step's.
    pub fn quoted(&self) -> String {
        let start = self.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let plain = start && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let taken = self.source == Source::Entry && is_numbered(&self.name).is_some();
        if plain && !taken { self.name.clone() } else { format!("{:?}", self.name) }
    }
}

/// Adds up terms with equal atoms and brings the sum into canonical order.
fn sum(terms: impl IntoIterator<Item = Term>, constant: i64) -> Expr {
    let mut all: Vec<Term> = terms.into_iter().collect();
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut expr = Expr { terms: Vec::new(), constant };
    for (atoms, coefficient) in all {
        if atoms.is_empty() {
            expr.constant = expr.constant.saturating_add(coefficient);
        } else if let Some(last) = expr.terms.last_mut().filter(|last| last.0 == atoms) {
            last.1 = last.1.saturating_add(coefficient);
        } else {
            expr.terms.push((atoms, coefficient));
        }
    }
    expr.terms.retain(|t| t.1 != 0);
    expr
}

/// Division that rounds towards minus infinity; by zero it is zero.
pub fn floor_div(a: i64, b: i64) -> i64 {
    let quotient = a.checked_div(b).unwrap_or(if b == 0 { 0 } else { i64::MAX });
    let inexact = quotient.wrapping_mul(b) != a;
    if b != 0 && inexact && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
}

fn add_low(a: i64, b: i64) -> i64 {
    if a == i64::MIN || b == i64::MIN { i64::MIN } else { a.saturating_add(b) }
}

fn add_high(a: i64, b: i64) -> i64 {
    if a == i64::MAX || b == i64::MAX { i64::MAX } else { a.saturating_add(b) }
}

/// The product of two intervals; the ends of i64 stand for infinity.
fn interval_mul(a: (i64, i64), b: (i64, i64)) -> (i64, i64) {
    let mul = |x: i64, y: i64| {
        if x == 0 || y == 0 { 0 } else { x.saturating_mul(y) }
    };
    let ends = [mul(a.0, b.0), mul(a.0, b.1), mul(a.1, b.0), mul(a.1, b.1)];
    (ends.into_iter().min().unwrap_or(i64::MIN), ends.into_iter().max().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_expressions_are_the_same_dim() {
        let d = Dims::default();
        let (n, m) = (d.named("n"), d.named("m"));
        assert_eq!(d.add(n, n), d.scale(n, 2));
        assert_eq!(d.mul(d.add(n, m), n), d.add(d.mul(n, n), d.mul(m, n)));
        assert_eq!(d.sub(d.offset(n, 3), n), d.int(3));
        assert_eq!(d.floor_div(d.scale(n, 6), d.int(2)), d.scale(n, 3));
        assert_eq!(d.floor_div(d.mul(n, m), m), n);
        assert_eq!(d.floor_div(d.floor_div(n, d.int(2)), d.int(2)), d.floor_div(n, d.int(4)));
        assert_eq!(d.floor_div(d.offset(d.scale(n, 2), 1), d.int(2)), n);
        assert_eq!(d.max(n, d.int(0)), n);
        assert_eq!(d.show(d.offset(d.scale(n, 2), -1)).to_string(), "2*n - 1");
    }

    /// Every simplification against plain evaluation, over random expressions and values.
    #[test]
    fn canonical_forms_keep_the_value() {
        let d = Dims::default();
        let symbols = [d.named("a"), d.named("b"), d.named("c")];
        let mut seed = 7u64;
        let mut next = move |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        for _ in 0..3000 {
            let values = [next(6) as i64, next(6) as i64, next(6) as i64];
            let of = |s: Symbol| values[s.index()];
            let mut pool: Vec<(Dim, i64)> = symbols.iter().zip(values).map(|(&s, v)| (s, v)).collect();
            for _ in 0..8 {
                let (a, x) = pool[next(pool.len() as u64) as usize];
                let (b, y) = pool[next(pool.len() as u64) as usize];
                let k = next(5) as i64 - 1;
                pool.push(match next(8) {
                    0 => (d.add(a, b), x + y),
                    1 => (d.sub(a, b), x - y),
                    2 => (d.mul(a, b), x.saturating_mul(y)),
                    3 => (d.floor_div(a, d.int(k.max(1))), floor_div(x, k.max(1))),
                    4 => (d.min(a, b), x.min(y)),
                    5 => (d.max(a, b), x.max(y)),
                    6 => (d.offset(a, k), x + k),
                    _ => (d.ceil_div(a, d.int(3)), floor_div(x + 2, 3)),
                });
                let (dim, value) = pool[pool.len() - 1];
                if value.abs() < 1 << 40 {
                    assert_eq!(d.eval(dim, &of), value, "{}", d.show(dim));
                    let (low, high) = d.bounds(dim);
                    assert!(low <= value && value <= high, "{} in {low}..={high}, is {value}", d.show(dim));
                }
            }
        }
    }
}
