//! Formulas as text.

use super::{Factor, Pattern};
use crate::ops::reduce::reduce::ReduceFn;
use crate::program::formula::Unary as F;
use std::collections::HashMap;
use std::rc::Rc;

/// Reads a formula: definitions `name = …;`, then what it is. The error says at which byte it went wrong.
pub fn parse(text: &str) -> Result<Pattern, String> {
    let mut reader = Reader { rest: text, whole: text.len(), parts: HashMap::new() };
    while let Some((name, rest)) = reader.definition() {
        reader.rest = rest;
        let part = reader.sum()?;
        reader.expect(";")?;
        reader.parts.insert(name, part);
    }
    let pattern = reader.sum()?;
    if reader.rest.trim().is_empty() { Ok(pattern) } else { Err(reader.error("the formula should end")) }
}

struct Reader<'t> {
    rest: &'t str,
    whole: usize,
    parts: HashMap<&'t str, Pattern>,
}

impl<'t> Reader<'t> {
    fn error(&self, what: &str) -> String {
        format!("at byte {}: {what}", self.whole - self.rest.len())
    }

    /// The name and what follows the `=`, if a definition is next.
    fn definition(&self) -> Option<(&'t str, &'t str)> {
        let (name, rest) = name(self.rest.trim_start())?;
        Some((name, rest.trim_start().strip_prefix('=')?))
    }

    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(self.error(&format!("`{token}` should be here"))) }
    }

    fn sum(&mut self) -> Result<Pattern, String> {
        let mut left = self.product()?;
        loop {
            if self.eat("+") {
                left = Pattern::Sum(Rc::new(left), Rc::new(self.product()?));
            } else if self.eat("-") {
                left = Pattern::Difference(Rc::new(left), Rc::new(self.product()?));
            } else {
                return Ok(left);
            }
        }
    }

    fn product(&mut self) -> Result<Pattern, String> {
        let (mut factors, mut constant) = (Vec::new(), 1.0);
        let mut inverse = false;
        loop {
            if self.eat("-") {
                constant = -constant;
            }
            match (self.power()?, inverse) {
                (Pattern::Number(c), false) => constant *= c,
                (Pattern::Number(c), true) => constant /= c,
                (Pattern::Product(inner, c), inverted) => {
                    constant *= if inverted { 1.0 / c } else { c };
                    factors.extend(inner.into_iter().map(|f| Factor { inverse: f.inverse != inverted, ..f }));
                }
                (other, inverse) => factors.push(Factor { of: Rc::new(other), inverse }),
            }
            if self.eat("*") {
                inverse = false;
            } else if self.eat("/") {
                inverse = true;
            } else {
                break;
            }
        }
        Ok(match &factors[..] {
            [] => Pattern::Number(constant),
            [Factor { of, inverse: false }] if constant == 1.0 => (**of).clone(),
            _ => Pattern::Product(factors, constant),
        })
    }

    fn power(&mut self) -> Result<Pattern, String> {
        let base = self.atom()?;
        if !self.eat("^") {
            return Ok(base);
        }
        match self.atom()? {
            Pattern::Number(n) if n == 2.0 || n == 3.0 => Ok(Pattern::Power(Rc::new(base), n as u32)),
            _ => Err(self.error("powers are squares and cubes")),
        }
    }

    fn atom(&mut self) -> Result<Pattern, String> {
        if self.eat("(") {
            let inner = self.sum()?;
            self.expect(")")?;
            return Ok(inner);
        }
        self.rest = self.rest.trim_start();
        let digits = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        if digits > 0 {
            let number = self.rest[..digits].parse().map_err(|_| self.error("a number"))?;
            self.rest = &self.rest[digits..];
            return Ok(Pattern::Number(number));
        }
        let (name, rest) = name(self.rest).ok_or_else(|| self.error("a name or a number should be here"))?;
        self.rest = rest;
        if self.eat("(") {
            return self.call(name);
        }
        Ok(match self.parts.get(name) {
            Some(part) => part.clone(),
            None if name.starts_with('c') => Pattern::Constant(name.to_owned()),
            None => Pattern::Name(name.to_owned()),
        })
    }

    fn call(&mut self, name: &str) -> Result<Pattern, String> {
        let mut operands = vec![Rc::new(self.sum()?)];
        while self.eat(",") {
            operands.push(Rc::new(self.sum()?));
        }
        self.expect(")")?;
        let function = match &operands[..] {
            [x] => of_one(name, x.clone()),
            [a, b] => of_two(name, a.clone(), b.clone()),
            [a, b, c] if name == "where" => Some(Pattern::Where(a.clone(), b.clone(), c.clone())),
            _ => None,
        };
        function.ok_or_else(|| self.error(&format!("there is no function `{name}` of so many")))
    }
}

fn of_one(name: &str, x: Rc<Pattern>) -> Option<Pattern> {
    let f = match name {
        "hard_sigmoid" => return Some(Pattern::HardSigmoid(x)),
        "mean" => return Some(Pattern::Reduce(ReduceFn::Mean, x)),
        "sum" => return Some(Pattern::Reduce(ReduceFn::Sum, x)),
        "max_of" => return Some(Pattern::Reduce(ReduceFn::Max, x)),
        "softmax" => return Some(Pattern::Softmax(x)),
        "is_nan" => return Some(Pattern::IsNan(x)),
        "sqrt" => F::Sqrt,
        "exp" => F::Exp,
        "log" => F::Log,
        "erf" => F::Erf,
        "tanh" => F::Tanh,
        "sigmoid" => F::Sigmoid,
        "softplus" => F::Softplus,
        "relu" => F::Relu,
        _ => return None,
    };
    Some(Pattern::Unary(f, x))
}

fn of_two(name: &str, a: Rc<Pattern>, b: Rc<Pattern>) -> Option<Pattern> {
    match name {
        "max" => Some(Pattern::Extreme(true, a, b)),
        "min" => Some(Pattern::Extreme(false, a, b)),
        "matmul" => Some(Pattern::MatMul(a, b)),
        _ => None,
    }
}

/// The identifier at the start of a text, and what follows.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_flat_and_constants_are_gathered() {
        let Pattern::Product(factors, c) = parse("2 * (x / 4) / sqrt(y) * -3").unwrap() else { panic!("a product") };
        assert_eq!(c, -1.5);
        let shown: Vec<(Pattern, bool)> = factors.iter().map(|f| ((*f.of).clone(), f.inverse)).collect();
        let (x, y) = (Pattern::Name("x".into()), Pattern::Name("y".into()));
        assert_eq!(shown, [(x, false), (Pattern::Unary(F::Sqrt, Rc::new(y)), true)]);
    }

    #[test]
    fn parts_stand_for_themselves_and_c_for_constants() {
        assert_eq!(parse("v = x + c; v^2"), parse("(x + c)^2"));
        assert!(matches!(parse("c1").unwrap(), Pattern::Constant(name) if name == "c1"));
    }

    #[test]
    fn mistakes_have_places() {
        for (text, at) in [("x +", 3), ("(x", 2), ("f(x)", 4), ("x^4", 3), ("x y", 1)] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(&format!("at byte {at}:")), "{text}: {error}");
        }
    }
}
