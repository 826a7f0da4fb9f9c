//! The text of [`text`](super::text) back into a graph: for tests of single passes, and for graphs that come with a bug report.
//!
//! The text is taken at its word (facts are not inferred, nothing is folded), so that what is read is what was written; `verify` then says
//! whether it holds.

use super::arena::Id;
use super::dim::{Dim, Dims};
use super::fact::{Fact, Known, Type};
use super::graph::{Def, Graph, Node, Origin, Value, ValueId};
use super::tensor::{Tensor, count};
use super::text::{hash, ron};
use crate::ops::{Infer, Op};
use crate::program::Condition;
use onnxc_runtime::element::DType;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// The constants that texts hold only by their hash.
#[derive(Clone, Debug, Default)]
pub struct Constants(BTreeMap<String, Tensor>);

impl Constants {
    /// All constants of a graph and its bodies.
    pub fn of(graph: &Graph) -> Self {
        let mut all = Self::default();
        all.add(graph);
        all
    }

    fn add(&mut self, graph: &Graph) {
        let tensors = graph.values.iter().filter_map(|(_, v)| v.fact.as_const());
        self.0.extend(tensors.map(|t| (hash(t), t.clone())));
        graph.nodes.iter().flat_map(|(_, n)| n.op.bodies()).for_each(|body| self.add(body));
    }
}

/// The graph that a text describes.
pub fn graph(text: &str, constants: &Constants) -> Result<Graph, ParseError> {
    let mut parser = Parser { rest: text, dims: Dims::default(), constants, depth: 0 };
    let parsed = parser.bounds().and_then(|()| parser.graph()).and_then(|graph| {
        parser.skip();
        if parser.rest.is_empty() { Ok(graph) } else { Err("something follows the graph".to_owned()) }
    });
    parsed.map_err(|message| ParseError { line: text[..text.len() - parser.rest.len()].lines().count().max(1), message })
}

/// Bodies in bodies, dims in dims, types in types.
const MAX_DEPTH: usize = 40;

struct Parser<'a> {
    rest: &'a str,
    dims: Dims,
    constants: &'a Constants,
    depth: usize,
}

type Parsed<T> = Result<T, String>;

impl<'a> Parser<'a> {
    /// White space and comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.find('\n').map_or("", |end| &comment[end..]),
                None => return,
            }
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { Err(format!("expected `{token}`, found `{}`", self.ahead())) }
    }

    fn ahead(&self) -> String {
        self.rest.lines().next().unwrap_or_default().chars().take(30).collect()
    }

    /// The characters ahead that `belongs` takes.
    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        self.skip();
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn word(&mut self) -> Parsed<&'a str> {
        let word = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
        if word.is_empty() { Err(format!("expected a name, found `{}`", self.ahead())) } else { Ok(word) }
    }

    fn string(&mut self) -> Parsed<String> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => text.push(escape(&mut chars).ok_or("an unknown escape in a string")?),
                c => text.push(c),
            }
        }
        Err("a string does not end".to_owned())
    }

    /// Items separated by commas, up to `end`.
    fn list<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        while !self.eat(end) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Something that may hold others of its kind.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} levels"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// `symbols u3 in 1..=9, …`
    fn bounds(&mut self) -> Parsed<()> {
        if !self.eat("symbols") {
            return Ok(());
        }
        loop {
            let dim = self.symbol()?;
            self.expect("in")?;
            let min = self.integer()?;
            self.expect("..=")?;
            let max = self.integer()?;
            let symbol = self.dims.as_symbol(dim).ok_or("not a symbol")?;
            self.dims.set_bounds(symbol, min, max);
            if !self.eat(",") {
                return Ok(());
            }
        }
    }

    fn graph(&mut self) -> Parsed<Graph> {
        self.expect("graph")?;
        let mut graph = Graph::new(&self.string()?, &self.dims);
        let mut values = BTreeMap::new();
        self.expect("(")?;
        for (i, (id, value)) in self.list(")", Self::value)?.into_iter().enumerate() {
            graph.inputs.push(id);
            define(&mut values, id, Value { def: Def::Input(i), ..value })?;
        }
        self.expect("{")?;
        while !self.eat("return") {
            self.definition(&mut graph, &mut values)?;
        }
        graph.outputs = self.list("}", |p| {
            let name = p.string()?;
            p.expect(":")?;
            Ok((name, p.id()?))
        })?;
        let used = graph.nodes.iter().flat_map(|(_, n)| n.inputs.iter().flatten()).chain(graph.outputs.iter().map(|o| &o.1));
        if let Some(id) = used.into_iter().find(|id| !values.contains_key(&id.index())) {
            return Err(format!("{id} is not defined"));
        }
        for (expected, (index, value)) in values.into_iter().enumerate() {
            if index != expected {
                return Err(format!("%{expected} is not defined, but %{index} is: ids have no gaps"));
            }
            graph.values.push(value);
        }
        Ok(graph)
    }

    /// A constant or a node.
    fn definition(&mut self, graph: &mut Graph, values: &mut BTreeMap<usize, Value>) -> Parsed<()> {
        let mut outputs = vec![self.value()?];
        while self.eat(",") {
            outputs.push(self.value()?);
        }
        if !self.eat("=") {
            return match outputs.pop() {
                Some((id, value)) if outputs.is_empty() && value.fact.as_const().is_some() => define(values, id, value),
                _ => self.expect("="),
            };
        }
        let node = Id::new(graph.nodes.len());
        let ids = outputs.iter().map(|o| o.0).collect();
        let facts: Vec<Fact> = outputs.iter().map(|o| o.1.fact.clone()).collect();
        for (i, (id, value)) in outputs.into_iter().enumerate() {
            define(values, id, Value { def: Def::Node(node, i), ..value })?;
        }
        let node = self.node(ids, &facts, values)?;
        graph.nodes.push(node);
        Ok(())
    }

    fn node(&mut self, outputs: Vec<ValueId>, facts: &[Fact], values: &BTreeMap<usize, Value>) -> Parsed<Node> {
        let mut op = self.operator()?;
        self.expect("(")?;
        let inputs = self.list(")", |p| if p.eat("-") { Ok(None) } else { p.id().map(Some) })?;
        let mut requires = Vec::new();
        if self.eat("where") {
            requires.push(self.condition()?);
            while self.eat(",") {
                requires.push(self.condition()?);
            }
        }
        self.expect("from")?;
        let origin = Origin { node: self.string()?.into(), operator: self.string()?.into() };
        let bodies = (0..op.bodies().len()).map(|_| self.nested(Self::graph)).collect::<Parsed<Vec<Graph>>>()?;
        let known: Vec<Option<&Fact>> = inputs.iter().map(|i| i.and_then(|i| values.get(&i.index())).map(|v| &v.fact)).collect();
        op.restore(&Infer::new(&self.dims, known), bodies, facts).map_err(|e| e.message)?;
        Ok(Node { op, inputs, outputs, requires, origin })
    }

    /// A name, and right behind it what is in parentheses.
    fn operator(&mut self) -> Parsed<Op> {
        self.skip();
        let start = self.rest;
        let name = self.word()?;
        if self.rest.starts_with('(') {
            self.rest = &self.rest[closing(self.rest).ok_or("parentheses do not match")?..];
        }
        let text = &start[..start.len() - self.rest.len()];
        let text = if text.len() == name.len() { format!("{name}()") } else { text.to_owned() };
        let options = ron();
        let mut deserializer = ron::de::Deserializer::from_str_with_options(&text, &options).map_err(|e| e.to_string())?;
        Op::deserialize(&mut deserializer).map_err(|e| format!("{text}: {e}"))
    }

    fn condition(&mut self) -> Parsed<Condition> {
        let a = self.dim()?;
        for (sign, make) in [("==", Condition::Equal as fn(Dim, Dim) -> Condition), ("~", Condition::Broadcast), ("<=", Condition::AtMost)]
        {
            if self.eat(sign) {
                return Ok(make(a, self.dim()?));
            }
        }
        Err("expected `==`, `~` or `<=`".to_owned())
    }

    fn id(&mut self) -> Parsed<ValueId> {
        self.expect("%")?;
        let index = self.word()?.parse::<u32>().map_err(|_| "expected a number after `%`")?;
        Ok(Id::new(index as usize))
    }

    /// `%2 "y": i64[2] = [batch, ?]`
    fn value(&mut self) -> Parsed<(ValueId, Value)> {
        let id = self.id()?;
        let name = self.string()?.into();
        self.expect(":")?;
        let ty = self.ty()?;
        let before = self.rest;
        let known = if self.eat("=") { self.known(&ty)? } else { None };
        if known.is_none() {
            self.rest = before;
        }
        Ok((id, Value { name, fact: Fact { ty, known: known.unwrap_or(Known::Nothing) }, def: Def::Const }))
    }

    /// What follows the `=`, unless it is an operator.
    fn known(&mut self, ty: &Type) -> Parsed<Option<Known>> {
        if self.eat("[") {
            return self.list("]", |p| if p.eat("?") { Ok(None) } else { p.dim().map(Some) }).map(|e| Some(Known::Elements(e)));
        }
        if !self.eat("const ") {
            return Ok(None);
        }
        let Type::Tensor(dtype, Some(shape)) = ty else { return Err("only a tensor of known shape can be a constant".to_owned()) };
        let lengths: Option<Vec<usize>> = shape.iter().map(|&d| usize::try_from(self.dims.value(d)?).ok()).collect();
        let lengths = lengths.ok_or("a constant has no symbolic dims")?;
        self.tensor(*dtype, &lengths).map(|t| Some(Known::Const(t)))
    }

    fn tensor(&mut self, dtype: DType, shape: &[usize]) -> Parsed<Tensor> {
        if self.eat("sha256") {
            let name = self.word()?;
            let tensor = self.constants.0.get(name).filter(|t| t.dtype == dtype).and_then(|t| t.reshaped(shape.to_vec()));
            return tensor.ok_or_else(|| format!("the constant {name} is not at hand: the text holds only its hash"));
        }
        let made = if self.eat("splat") {
            let one = self.elements(dtype, &[], |p| Ok(vec![p.element(dtype)?]))?;
            count(shape).filter(|&n| n <= 1 << 28).and_then(|_| Tensor::filled(&one, shape))
        } else {
            self.expect("[")?;
            Some(self.elements(dtype, shape, |p| p.list("]", |p| p.element(dtype)))?)
        };
        made.ok_or_else(|| "the constant is too large".to_owned())
    }

    fn elements(&mut self, dtype: DType, shape: &[usize], items: impl FnOnce(&mut Self) -> Parsed<Vec<Element>>) -> Parsed<Tensor> {
        let (mut bytes, mut strings) = (Vec::new(), Vec::new());
        for item in items(self)? {
            match item {
                Element::Bytes(b) => bytes.extend(b),
                Element::Text(s) => strings.push(s),
            }
        }
        let tensor = match dtype {
            DType::String => Tensor::strings(shape.to_vec(), strings),
            _ => Tensor::from_raw(dtype, shape.to_vec(), bytes.into()),
        };
        tensor.ok_or_else(|| "the number of elements does not fit the shape".to_owned())
    }

    fn element(&mut self, dtype: DType) -> Parsed<Element> {
        if dtype == DType::String {
            return self.string().map(Element::Text);
        }
        let text = self.take(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        let bytes = match text.strip_prefix("0x") {
            Some(digits) => unhex(digits).filter(|b| b.len() == dtype.size()),
            None => number(dtype, text),
        };
        bytes.map(Element::Bytes).ok_or_else(|| format!("`{text}` is no {dtype}"))
    }

    fn dtype(&mut self) -> Parsed<DType> {
        let name = self.word()?;
        DType::from_name(name).ok_or_else(|| format!("`{name}` is no dtype"))
    }

    fn ty(&mut self) -> Parsed<Type> {
        self.nested(|p| {
            let kind = ["seq(", "optional(", "map("].into_iter().position(|start| p.eat(start));
            let Some(kind) = kind else { return p.tensor_type() };
            let key = if kind == 2 { Some(p.dtype()?) } else { None };
            if key.is_some() {
                p.expect(",")?;
            }
            let inner = Box::new(p.ty()?);
            p.expect(")")?;
            Ok(match (kind, key) {
                (0, _) => Type::Sequence(inner),
                (_, Some(key)) => Type::Map(key, inner),
                _ => Type::Optional(inner),
            })
        })
    }

    fn tensor_type(&mut self) -> Parsed<Type> {
        let dtype = self.dtype()?;
        self.expect("[")?;
        if self.eat("..") {
            self.expect("]")?;
            return Ok(Type::Tensor(dtype, None));
        }
        Ok(Type::Tensor(dtype, Some(self.list("]", Self::dim)?)))
    }

    fn integer(&mut self) -> Parsed<i64> {
        let text = self.take(|c| c.is_ascii_digit() || c == '-');
        text.parse().map_err(|_| format!("`{text}` is no integer"))
    }

    /// A sum of products.
    fn dim(&mut self) -> Parsed<Dim> {
        self.nested(|p| {
            let negative = p.eat("-");
            let mut total = p.product(negative)?;
            loop {
                let negative = p.eat("-");
                if !negative && !p.eat("+") {
                    return Ok(total);
                }
                let term = p.product(negative)?;
                total = p.dims.add(total, term);
            }
        })
    }

    fn product(&mut self, negative: bool) -> Parsed<Dim> {
        let mut product = self.dims.int(if negative { -1 } else { 1 });
        loop {
            let factor = self.factor()?;
            product = self.dims.mul(product, factor);
            if !self.eat("*") {
                return Ok(product);
            }
        }
    }

    fn factor(&mut self) -> Parsed<Dim> {
        self.skip();
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            let text = self.take(|c| c.is_ascii_digit());
            // The least integer has no positive counterpart.
            return text
                .parse::<i128>()
                .ok()
                .map(|n| self.dims.int(n.min(i128::from(i64::MAX)) as i64))
                .ok_or(format!("`{text}` is too large"));
        }
        for (name, make) in [
            ("div(", Dims::floor_div as fn(&Dims, Dim, Dim) -> Dim),
            ("min(", Dims::min),
            ("max(", Dims::max),
            ("broadcast(", Dims::broadcast),
        ] {
            if self.eat(name) {
                let a = self.dim()?;
                self.expect(",")?;
                let b = self.dim()?;
                self.expect(")")?;
                return Ok(make(&self.dims, a, b));
            }
        }
        self.symbol()
    }

    fn symbol(&mut self) -> Parsed<Dim> {
        self.skip();
        if self.rest.starts_with('"') {
            return self.string().map(|name| self.dims.named(&name));
        }
        let name = self.word()?;
        Ok(self.dims.numbered(name).map_or_else(|| self.dims.named(name), |symbol| self.dims.symbol(symbol)))
    }
}

enum Element {
    Bytes(Vec<u8>),
    Text(String),
}

fn define(values: &mut BTreeMap<usize, Value>, id: ValueId, value: Value) -> Parsed<()> {
    if values.insert(id.index(), value).is_some() { Err(format!("{id} is defined twice")) } else { Ok(()) }
}

/// What stands behind a backslash.
fn escape(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    Some(match chars.next()?.1 {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        'u' => {
            let code: String = chars.by_ref().map(|c| c.1).skip(1).take_while(|&c| c != '}').take(8).collect();
            char::from_u32(u32::from_str_radix(&code, 16).ok()?)?
        }
        c @ ('"' | '\'' | '\\') => c,
        _ => return None,
    })
}

/// Where the parenthesis that a text starts with is closed: the place behind it.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pair = |i| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// The bytes of a number.
fn number(dtype: DType, text: &str) -> Option<Vec<u8>> {
    use onnxc_runtime::float::{BF16, F16};
    macro_rules! parse {
        ($ty:ty) => {
            text.parse::<$ty>().ok().map(|x| x.to_le_bytes().to_vec())
        };
    }
    let single = || text.parse::<f32>().ok();
    match dtype {
        DType::F32 => parse!(f32),
        DType::F64 => parse!(f64),
        DType::F16 => single().map(|x| onnxc_runtime::element::as_bytes(&[F16::from_f32(x)]).to_vec()),
        DType::BF16 => single().map(|x| onnxc_runtime::element::as_bytes(&[BF16::from_f32(x)]).to_vec()),
        DType::I8 => parse!(i8),
        DType::I16 => parse!(i16),
        DType::I32 => parse!(i32),
        DType::I64 => parse!(i64),
        DType::U8 => parse!(u8),
        DType::U16 => parse!(u16),
        DType::U32 => parse!(u32),
        DType::U64 => parse!(u64),
        DType::Bool => text.parse::<u8>().ok().filter(|&b| b <= 1).map(|b| vec![b]),
        _ => None,
    }
}
