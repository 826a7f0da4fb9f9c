//! Tensors as people type them: `1.5`, `[[1, 2], [3, 4]]`, `["a", "b"]`, `true`, `nan`, `zeros(1, 3)`.

use super::numbers;
use onnxc_runtime::element::DType;
use onnxc_runtime::value::{Tensor, count};

/// The most elements a literal may stand for (`zeros(…)` is short and can ask for much).
const MAX_ELEMENTS: usize = 1 << 30;

/// The tensor that `text` means for an input of that dtype.
pub fn parse(text: &str, dtype: DType) -> Result<Tensor, String> {
    let text = text.trim();
    if let Some(filled) = filled(text, dtype) {
        return filled;
    }
    if dtype == DType::String && !text.starts_with(['[', '"']) {
        return Tensor::from_strings(&[], vec![text.to_owned()]).map_err(|e| e.to_string());
    }
    let mut parser = Parser { text, at: 0, shape: Vec::new(), leaves: Vec::new() };
    parser.item(0)?;
    parser.skip_spaces();
    if parser.at != text.len() {
        return Err(format!("`{}` is left over after the value", &text[parser.at..]));
    }
    let shape: Vec<usize> = parser.shape.iter().map(|d| d.unwrap_or(0)).collect();
    if dtype == DType::String {
        return Tensor::from_strings(&shape, parser.leaves).map_err(|e| e.to_string());
    }
    elements(dtype, &shape, &parser.leaves)
}

/// `zeros(dims)`, `ones(dims)`.
fn filled(text: &str, dtype: DType) -> Option<Result<Tensor, String>> {
    let (name, dims) = text.strip_suffix(')')?.split_once('(')?;
    let number = match name {
        "zeros" => 0.0,
        "ones" => 1.0,
        _ => return None,
    };
    let dims: Result<Vec<usize>, _> = dims.split(',').map(str::trim).filter(|d| !d.is_empty()).map(str::parse).collect();
    let Ok(shape) = dims else { return Some(Err(format!("`{text}` needs dims, such as `{name}(1, 3)`"))) };
    Some(match count(&shape) {
        Ok(n) if n <= MAX_ELEMENTS => match numbers::from_f64s(dtype, &shape, &vec![number; n * if dtype.is_complex() { 2 } else { 1 }]) {
            Some(tensor) => tensor.map_err(|e| e.to_string()),
            None => Tensor::zeros(dtype, &shape).map_err(|e| e.to_string()),
        },
        _ => Err(format!("`{text}` has too many elements")),
    })
}

fn elements(dtype: DType, shape: &[usize], leaves: &[String]) -> Result<Tensor, String> {
    let wrong = |leaf: &str| format!("`{leaf}` is not a value of dtype {dtype}");
    // 64-bit integers do not fit through f64.
    if dtype == DType::I64 {
        let values: Result<Vec<i64>, _> = leaves.iter().map(|l| l.parse().map_err(|_| wrong(l))).collect();
        return Tensor::from_slice(shape, &values?).map_err(|e| e.to_string());
    }
    if dtype == DType::U64 {
        let values: Result<Vec<u64>, _> = leaves.iter().map(|l| l.parse().map_err(|_| wrong(l))).collect();
        return Tensor::from_slice(shape, &values?).map_err(|e| e.to_string());
    }
    if dtype.is_complex() {
        return Err("complex numbers cannot be typed: use a .npy file".to_owned());
    }
    let number = |leaf: &String| match leaf.as_str() {
        "true" | "True" if dtype == DType::Bool => Ok(1.0),
        "false" | "False" if dtype == DType::Bool => Ok(0.0),
        text if dtype.is_int() => text.parse::<i64>().map(|i| i as f64).map_err(|_| wrong(leaf)),
        text => text.parse::<f64>().map_err(|_| wrong(leaf)),
    };
    let values = leaves.iter().map(number).collect::<Result<Vec<f64>, String>>()?;
    let tensor = numbers::from_f64s(dtype, shape, &values).ok_or("not a plain dtype")?.map_err(|e| e.to_string())?;
    if dtype.is_int() && numbers::to_f64s(&tensor).as_ref() != Some(&values) {
        return Err(format!("a value does not fit {dtype}"));
    }
    Ok(tensor)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// The length of each level of lists, once one list of it has ended.
    shape: Vec<Option<usize>>,
    leaves: Vec<String>,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    fn item(&mut self, depth: usize) -> Result<(), String> {
        if !self.eat('[') {
            return if depth == self.shape.len() { self.leaf() } else { Err("lists of different depth".to_owned()) };
        }
        if depth >= 64 {
            return Err("lists are nested too deep".to_owned());
        }
        if self.shape.len() == depth {
            if !self.leaves.is_empty() {
                return Err("lists of different depth".to_owned());
            }
            self.shape.push(None);
        }
        let mut n = 0;
        while !self.eat(']') {
            if n > 0 && !self.eat(',') {
                return Err(format!("expected `,` or `]` before `{}`", self.rest()));
            }
            self.item(depth + 1)?;
            n += 1;
        }
        if *self.shape[depth].get_or_insert(n) != n {
            return Err("lists of different length".to_owned());
        }
        Ok(())
    }

    fn leaf(&mut self) -> Result<(), String> {
        self.skip_spaces();
        let rest = self.rest();
        if rest.starts_with('"') {
            let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let Some(Ok(text)) = texts.next() else { return Err(format!("`{rest}` is not a quoted string")) };
            self.at += texts.byte_offset();
            self.leaves.push(text);
            return Ok(());
        }
        let end = rest.find([',', ']', '[']).unwrap_or(rest.len());
        let token = rest[..end].trim().to_owned();
        if token.is_empty() {
            return Err("a value is missing".to_owned());
        }
        self.at += end;
        self.leaves.push(token);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_tensors() {
        assert_eq!(parse("[[1, 2], [3, 4], [5, 6]]", DType::I64).unwrap(), Tensor::from_slice(&[3, 2], &[1i64, 2, 3, 4, 5, 6]).unwrap());
        assert_eq!(parse(" 1.5 ", DType::F32).unwrap(), Tensor::from_slice(&[], &[1.5f32]).unwrap());
        assert_eq!(parse("[]", DType::F32).unwrap().shape(), [0]);
        assert_eq!(parse("zeros(2, 0, 3)", DType::U8).unwrap().shape(), [2, 0, 3]);
        assert_eq!(parse(r#"["a, b", "\u00e9"]"#, DType::String).unwrap().as_strings().unwrap(), ["a, b", "é"]);
        assert_eq!(parse("a text", DType::String).unwrap().as_strings().unwrap(), ["a text"]);
        assert!(parse("nan", DType::F64).unwrap().as_slice::<f64>().unwrap()[0].is_nan());
        assert_eq!(parse("9007199254740993", DType::I64).unwrap().as_slice::<i64>(), Some(&[9_007_199_254_740_993][..]));
    }

    #[test]
    fn what_is_no_tensor_is_refused() {
        for (text, dtype) in [("[1, [2]]", DType::F32), ("[[1], 2]", DType::F32), ("[[1], [2, 3]]", DType::F32), ("[1", DType::F32)] {
            assert!(parse(text, dtype).is_err(), "{text}");
        }
        for (text, dtype) in [("1.5", DType::I32), ("300", DType::U8), ("", DType::F32), ("[1] 2", DType::F32), ("1,,2", DType::F32)] {
            assert!(parse(text, dtype).is_err(), "{text}");
        }
        assert!(parse("zeros(99999999999, 9999999999)", DType::F32).is_err());
    }
}
