//! Models in ONNX's textual syntax (a large subset of what `onnx.parser` reads):
//!
//! ```text
//! <ir_version: 10, opset_import: ["": 18]>
//! net (float[N, 3] x) => (float[N, 2] y) <float[3, 2] w = {1, 2, 3, 4, 5, 6}> {
//!     h = Relu (x)
//!     y = MatMul (h, w)
//! }
//! ```

use onnxc::harness::values::{data_type_of, dtype_of};
use onnxc::harness::{literal, numbers, values};
use onnxc_proto::*;
use onnxc_runtime::element::DType;
use onnxc_runtime::value::Tensor;

/// The model that a text describes.
///
/// # Panics
/// If the text has an error: tests are ours.
pub fn model(text: &str) -> ModelProto {
    let mut parser = Parser { rest: text, text };
    let mut model = ModelProto { ir_version: 10, ..ModelProto::default() };
    if parser.eat("<") {
        while !parser.eat(">") {
            let key = parser.word();
            parser.expect(":");
            match key.as_str() {
                "ir_version" => model.ir_version = parser.integer(),
                "producer_name" => model.producer_name = parser.string(),
                "opset_import" => {
                    parser.expect("[");
                    while !parser.eat("]") {
                        let domain = parser.string();
                        parser.expect(":");
                        model.opset_import.push(OperatorSetIdProto { domain, version: parser.integer() });
                        parser.eat(",");
                    }
                }
                other => parser.fail(&format!("no field `{other}`")),
            }
            parser.eat(",");
        }
    } else {
        model.opset_import.push(OperatorSetIdProto { domain: String::new(), version: 18 });
    }
    model.graph = Some(parser.graph());
    while !parser.done() {
        let function = parser.function();
        model.functions.push(function);
    }
    model
}

struct Parser<'a> {
    rest: &'a str,
    text: &'a str,
}

const TYPES: [(&str, DType); 25] = [
    ("float16", DType::F16),
    ("float8e4m3fnuz", DType::F8E4M3FNUZ),
    ("float8e4m3fn", DType::F8E4M3FN),
    ("float8e5m2fnuz", DType::F8E5M2FNUZ),
    ("float8e5m2", DType::F8E5M2),
    ("float8e8m0", DType::F8E8M0),
    ("float4e2m1", DType::F4E2M1),
    ("float", DType::F32),
    ("double", DType::F64),
    ("bfloat16", DType::BF16),
    ("int8", DType::I8),
    ("int16", DType::I16),
    ("int32", DType::I32),
    ("int64", DType::I64),
    ("uint8", DType::U8),
    ("uint16", DType::U16),
    ("uint32", DType::U32),
    ("uint64", DType::U64),
    ("int4", DType::I4),
    ("uint4", DType::U4),
    ("int2", DType::I2),
    ("uint2", DType::U2),
    ("bool", DType::Bool),
    ("complex64", DType::C64),
    ("string", DType::String),
];

impl Parser<'_> {
    fn fail(&self, what: &str) -> ! {
        let at = self.text.len() - self.rest.len();
        panic!("{what} at line {}: `{}`", self.text[..at].lines().count(), self.rest.lines().next().unwrap_or_default());
    }

    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |c| c.1),
                None => return,
            }
        }
    }

    fn done(&mut self) -> bool {
        self.skip();
        self.rest.is_empty()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn expect(&mut self, token: &str) {
        if !self.eat(token) {
            self.fail(&format!("expected `{token}`"));
        }
    }

    fn peek(&mut self, token: &str) -> bool {
        self.skip();
        self.rest.starts_with(token)
    }

    /// A name: letters, digits and `_./:-`, or anything in quotes.
    fn word(&mut self) -> String {
        self.skip();
        if self.rest.starts_with('"') {
            return self.string();
        }
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && !"_./".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            self.fail("expected a name");
        }
        self.rest = rest;
        word.to_owned()
    }

    /// Text in quotes; `\n`, `\"` and `\\` are what they are elsewhere.
    fn string(&mut self) -> String {
        self.expect("\"");
        let (mut text, mut chars) = (String::new(), self.rest.chars());
        loop {
            match chars.next() {
                Some('"') => break,
                Some('\\') => text.push(match chars.next() {
                    Some('n') => '\n',
                    Some(c) => c,
                    None => self.fail("the string has no end"),
                }),
                Some(c) => text.push(c),
                None => self.fail("the string has no end"),
            }
        }
        self.rest = chars.as_str();
        text
    }

    fn number(&mut self) -> String {
        self.skip();
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && !"+-.".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn integer(&mut self) -> i64 {
        self.number().parse().unwrap_or_else(|_| self.fail("expected an integer"))
    }

    fn list<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        while !self.eat(end) {
            items.push(item(self));
            if !self.eat(",") && !self.peek(end) {
                self.fail(&format!("expected `,` or `{end}`"));
            }
        }
        items
    }

    fn graph(&mut self) -> GraphProto {
        let name = if self.peek("(") { String::new() } else { self.word() };
        self.expect("(");
        let input = self.list(")", Self::info);
        self.expect("=>");
        self.expect("(");
        let output = self.list(")", Self::info);
        let mut graph = GraphProto { name, input, output, ..GraphProto::default() };
        if self.eat("<") {
            graph.initializer = self.list(">", |p| {
                let (dtype, dims) = p.tensor_type();
                let name = p.word();
                p.expect("=");
                p.tensor(&name, dtype, dims.as_deref())
            });
        }
        graph.node = self.nodes();
        graph
    }

    fn function(&mut self) -> FunctionProto {
        let mut function = FunctionProto::default();
        self.expect("<");
        while !self.eat(">") {
            let key = self.word();
            self.expect(":");
            match key.as_str() {
                "domain" => function.domain = self.string(),
                "opset_import" => {
                    self.expect("[");
                    function.opset_import = self.list("]", |p| {
                        let domain = p.string();
                        p.expect(":");
                        OperatorSetIdProto { domain, version: p.integer() }
                    });
                }
                other => self.fail(&format!("no field `{other}`")),
            }
            self.eat(",");
        }
        function.name = self.word();
        if self.eat("<") {
            function.attribute = self.list(">", Self::word);
        }
        self.expect("(");
        function.input = self.list(")", Self::word);
        self.expect("=>");
        self.expect("(");
        function.output = self.list(")", Self::word);
        function.node = self.nodes();
        function
    }

    fn nodes(&mut self) -> Vec<NodeProto> {
        self.expect("{");
        let mut nodes = Vec::new();
        while !self.eat("}") {
            nodes.push(self.node());
        }
        nodes
    }

    /// `[name] a, b = domain.Op <attribute = value> (x, y)`
    fn node(&mut self) -> NodeProto {
        let name = if self.peek("[\"") {
            self.expect("[");
            let name = self.string();
            self.expect("]");
            name
        } else if self.eat("[") {
            let Some((name, rest)) = self.rest.split_once(']') else { self.fail("the name has no end") };
            self.rest = rest;
            name.to_owned()
        } else {
            String::new()
        };
        let output = self.list("=", Self::word);
        let word = self.word();
        let (domain, op_type) = word.rsplit_once('.').map_or(("", word.as_str()), |(d, o)| (d, o));
        let mut node = NodeProto { name, output, domain: domain.to_owned(), op_type: op_type.to_owned(), ..NodeProto::default() };
        if self.eat("<") {
            node.attribute = self.list(">", Self::attribute);
        }
        self.expect("(");
        node.input = self.list(")", |p| if p.peek(",") || p.peek(")") { String::new() } else { p.word() });
        node
    }

    fn attribute(&mut self) -> AttributeProto {
        let name = self.word();
        self.expect("=");
        let mut attribute = AttributeProto { name, ..AttributeProto::default() };
        if self.eat("@") {
            attribute.ref_attr_name = self.word();
            attribute.r#type = AttributeType::Float as i32;
        } else if self.peek("\"") {
            attribute.s = Some(self.string().into());
            attribute.r#type = AttributeType::String as i32;
        } else if self.eat("[") {
            self.attribute_list(&mut attribute);
        } else if self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            let number = self.number();
            if let Ok(i) = number.parse() {
                (attribute.i, attribute.r#type) = (Some(i), AttributeType::Int as i32);
            } else {
                (attribute.f, attribute.r#type) = (number.parse().ok(), AttributeType::Float as i32);
            }
        } else if TYPES.iter().any(|t| self.rest.strip_prefix(t.0).is_some_and(|r| r.trim_start().starts_with(['[', '{']))) {
            let (dtype, dims) = self.tensor_type();
            attribute.t = Some(Box::new(self.tensor("", dtype, dims.as_deref())));
            attribute.r#type = AttributeType::Tensor as i32;
        } else {
            attribute.g = Some(Box::new(self.graph()));
            attribute.r#type = AttributeType::Graph as i32;
        }
        attribute
    }

    fn attribute_list(&mut self, attribute: &mut AttributeProto) {
        if self.peek("\"") {
            attribute.strings = self.list("]", |p| p.string().into());
            attribute.r#type = AttributeType::Strings as i32;
            return;
        }
        let items = self.list("]", Self::number);
        if let Ok(ints) = items.iter().map(|n| n.parse()).collect() {
            (attribute.ints, attribute.r#type) = (ints, AttributeType::Ints as i32);
        } else {
            attribute.floats = items.iter().filter_map(|n| n.parse().ok()).collect();
            attribute.r#type = AttributeType::Floats as i32;
        }
    }

    fn info(&mut self) -> ValueInfoProto {
        let ty = self.ty();
        ValueInfoProto { name: self.word(), r#type: Some(ty), ..ValueInfoProto::default() }
    }

    fn ty(&mut self) -> TypeProto {
        let wrap = |value| TypeProto { value: Some(value), ..TypeProto::default() };
        if self.eat("seq(") {
            let elem_type = Some(Box::new(self.ty()));
            self.expect(")");
            return wrap(TypeKind::Sequence(Box::new(SequenceType { elem_type })));
        }
        if self.eat("optional(") {
            let elem_type = Some(Box::new(self.ty()));
            self.expect(")");
            return wrap(TypeKind::Optional(Box::new(OptionalType { elem_type })));
        }
        if self.eat("map(") {
            let (key, _) = self.tensor_type();
            self.expect(",");
            let value_type = Some(Box::new(self.ty()));
            self.expect(")");
            return wrap(TypeKind::Map(Box::new(MapType { key_type: data_type_of(key) as i32, value_type })));
        }
        let (dtype, dims) = self.tensor_type();
        let shape = dims.map(|dims| TensorShapeProto { dim: dims.iter().map(|d| dimension(d)).collect() });
        wrap(TypeKind::Tensor(TensorType { elem_type: data_type_of(dtype) as i32, shape }))
    }

    /// `float[N, 3]`; `float` is a scalar, `float[]` a tensor of any rank.
    fn tensor_type(&mut self) -> (DType, Option<Vec<String>>) {
        self.skip();
        let Some((word, dtype)) = TYPES.iter().find(|t| self.rest.starts_with(t.0)) else { self.fail("expected a type") };
        self.rest = &self.rest[word.len()..];
        if !self.eat("[") {
            return (*dtype, Some(Vec::new()));
        }
        let dims = self.list("]", |p| if p.eat("?") { String::new() } else { p.word() });
        (*dtype, (!dims.is_empty()).then_some(dims))
    }

    fn tensor(&mut self, name: &str, dtype: DType, dims: Option<&[String]>) -> TensorProto {
        self.expect("{");
        let items = self.list("}", |p| if p.peek("\"") { p.string() } else { p.number() });
        let given: Vec<usize> = dims.iter().copied().flatten().filter_map(|d| d.parse().ok()).collect();
        let shape = if dims.is_none() { vec![items.len()] } else { given };
        let tensor = if dtype == DType::String {
            Tensor::from_strings(&shape, items)
        } else if dtype == DType::I64 {
            literal::parse(&format!("[{}]", items.join(",")), dtype)
                .and_then(|t| t.reshaped(&shape).map_err(|e| e.to_string()))
                .map_err(|e| self.fail(&e))
        } else {
            let numbers: Vec<f64> = items.iter().map(|n| n.parse().unwrap_or_else(|_| self.fail("expected a number"))).collect();
            numbers::from_f64s(dtype, &shape, &numbers).unwrap_or_else(|| self.fail("no such tensor"))
        };
        let tensor = tensor.unwrap_or_else(|e| self.fail(&e.to_string()));
        debug_assert!(dtype_of(data_type_of(dtype) as i32).is_some());
        values::tensor_proto(name, &tensor)
    }
}

fn dimension(text: &str) -> Dimension {
    let value = match text.parse() {
        Ok(n) => Some(DimensionValue::DimValue(n)),
        Err(_) if text.is_empty() => None,
        Err(_) => Some(DimensionValue::DimParam(text.to_owned())),
    };
    Dimension { value, ..Dimension::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_model() {
        let model = model(
            r#"<ir_version: 9, opset_import: ["": 21, "my": 1]>
            net (float[N, 3] x, seq(int64[]) s, bool c) => (float[N, ?] y) <float[2] w = {1.5, -2}, string[1] t = {"a"}> {
                # a comment
                [first] h = Conv <pads = [0, 1], alpha = 0.5, mode = "same", k = 3, value = int64[2] {1, 2}> (x, , w)
                y, z = If <then_branch = yes () => (float a) { a = my.Op (x) }> (c)
            }
            <domain: "my", opset_import: ["": 21]> Op <gain> (p) => (q) { q = Elu <alpha = @gain> (p) }"#,
        );
        let graph = model.graph.unwrap();
        assert_eq!((graph.input.len(), graph.initializer.len(), graph.node.len(), model.functions.len()), (3, 2, 2, 1));
        let conv = &graph.node[0];
        assert_eq!((conv.name.as_str(), &conv.input[..]), ("first", &["x".to_owned(), String::new(), "w".to_owned()][..]));
        assert_eq!((conv.attribute[0].ints.as_slice(), conv.attribute[1].f, conv.attribute[3].i), (&[0, 1][..], Some(0.5), Some(3)));
        assert_eq!(conv.attribute[4].t.as_ref().unwrap().dims, [2]);
        assert_eq!(graph.node[1].attribute[0].g.as_ref().unwrap().node[0].domain, "my");
        assert_eq!(model.functions[0].node[0].attribute[0].ref_attr_name, "gain");
    }
}
