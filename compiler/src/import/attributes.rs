//! The attributes of a node, typed, with errors that name them.

use super::node::Parse;
use super::tensors::to_tensor;
use crate::ir::{DType, Tensor};
use crate::ops::OpError;
use crate::program::Attribute;
use bytes::Bytes;
use onnxc_proto::{AttributeProto, AttributeType, GraphProto, TypeProto};

impl<'a> Parse<'a> {
    /// The attribute of that name, which must be of that type if present.
    fn attribute(&self, name: &str, ty: AttributeType) -> Result<Option<&'a AttributeProto>, OpError> {
        let Some(attribute) = self.node.attribute.iter().find(|a| a.name == name) else { return Ok(None) };
        match attribute.kind() {
            Ok(kind) if kind == ty => Ok(Some(attribute)),
            // Old files write an empty list without a type.
            Ok(AttributeType::Undefined) => Ok(None),
            _ => Err(OpError::invalid(format!("the attribute `{name}` must be of type {ty:?}"))),
        }
    }

    /// Whether the attribute is given.
    pub fn has_attribute(&self, name: &str) -> bool {
        self.node.attribute.iter().any(|a| a.name == name)
    }

    /// An integer attribute, or its default.
    pub fn int(&self, name: &str, default: i64) -> Result<i64, OpError> {
        Ok(self.attribute(name, AttributeType::Int)?.and_then(|a| a.i).unwrap_or(default))
    }

    /// An integer attribute, if given.
    pub fn opt_int(&self, name: &str) -> Result<Option<i64>, OpError> {
        Ok(self.attribute(name, AttributeType::Int)?.map(|a| a.i.unwrap_or(0)))
    }

    /// A boolean attribute (an integer in the file), or its default.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, OpError> {
        Ok(self.int(name, i64::from(default))? != 0)
    }

    /// A float attribute, or its default.
    pub fn float(&self, name: &str, default: f32) -> Result<f32, OpError> {
        Ok(self.opt_float(name)?.unwrap_or(default))
    }

    /// A float attribute, if given.
    pub fn opt_float(&self, name: &str) -> Result<Option<f32>, OpError> {
        Ok(self.attribute(name, AttributeType::Float)?.map(|a| a.f.unwrap_or(0.0)))
    }

    /// A list of integers, if given.
    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, OpError> {
        Ok(self.attribute(name, AttributeType::Ints)?.map(|a| a.ints.clone()))
    }

    /// A list of integers where it lies in the model, for lists that may be very long; none if it is not given.
    pub fn int_list(&self, name: &str) -> Result<&'a [i64], OpError> {
        Ok(self.attribute(name, AttributeType::Ints)?.map_or(&[], |a| &a.ints))
    }

    /// A list of strings where it lies in the model, as bytes; none if it is not given.
    pub fn byte_strings(&self, name: &str) -> Result<&'a [Bytes], OpError> {
        Ok(self.attribute(name, AttributeType::Strings)?.map_or(&[], |a| &a.strings))
    }

    /// A list of floats, if given.
    pub fn floats(&self, name: &str) -> Result<Option<Vec<f32>>, OpError> {
        Ok(self.attribute(name, AttributeType::Floats)?.map(|a| a.floats.clone()))
    }

    /// A string attribute, or its default.
    pub fn string(&self, name: &str, default: &str) -> Result<String, OpError> {
        Ok(self.opt_string(name)?.unwrap_or_else(|| default.to_owned()))
    }

    /// A string attribute, if given.
    pub fn opt_string(&self, name: &str) -> Result<Option<String>, OpError> {
        let Some(attribute) = self.attribute(name, AttributeType::String)? else { return Ok(None) };
        text(attribute.s.as_deref().unwrap_or_default(), name).map(Some)
    }

    /// A list of strings, if given.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<String>>, OpError> {
        let Some(attribute) = self.attribute(name, AttributeType::Strings)? else { return Ok(None) };
        attribute.strings.iter().map(|s| text(s, name)).collect::<Result<_, _>>().map(Some)
    }

    /// A tensor attribute, if given.
    pub fn tensor(&mut self, name: &str) -> Result<Option<Tensor>, OpError> {
        let Some(tensor) = self.attribute(name, AttributeType::Tensor)?.and_then(|a| a.t.as_deref()) else { return Ok(None) };
        to_tensor(tensor.clone(), self.files()).map(Some).map_err(OpError::invalid)
    }

    /// A sparse tensor attribute made dense, if given.
    pub fn sparse_tensor(&mut self, name: &str) -> Result<Option<Tensor>, OpError> {
        let Some(tensor) = self.attribute(name, AttributeType::SparseTensor)?.and_then(|a| a.sparse_tensor.as_deref()) else {
            return Ok(None);
        };
        super::tensors::sparse(tensor.clone(), self.files()).map(|t| Some(t.1)).map_err(OpError::invalid)
    }

    /// A graph attribute.
    pub fn graph(&self, name: &str) -> Result<&'a GraphProto, OpError> {
        let graph = self.attribute(name, AttributeType::Graph)?.and_then(|a| a.g.as_deref());
        graph.ok_or_else(|| OpError::invalid(format!("the attribute `{name}` (a graph) is missing")))
    }

    /// A type attribute, if given.
    pub fn type_proto(&self, name: &str) -> Result<Option<&'a TypeProto>, OpError> {
        Ok(self.attribute(name, AttributeType::TypeProto)?.and_then(|a| a.tp.as_deref()))
    }

    /// All attributes, of the kinds that a custom operator's function can take.
    pub(crate) fn attributes(&self) -> Result<Vec<(String, Attribute)>, OpError> {
        let texts = |a: &AttributeProto| a.strings.iter().map(|s| text(s, &a.name)).collect::<Result<_, _>>();
        let kind = |a: &AttributeProto| {
            Ok(match a.kind() {
                Ok(AttributeType::Int) => Attribute::Int(a.i.unwrap_or(0)),
                Ok(AttributeType::Float) => Attribute::Float(a.f.unwrap_or(0.0)),
                Ok(AttributeType::String) => Attribute::Text(text(a.s.as_deref().unwrap_or_default(), &a.name)?),
                Ok(AttributeType::Ints) => Attribute::Ints(a.ints.clone()),
                Ok(AttributeType::Floats) => Attribute::Floats(a.floats.clone()),
                Ok(AttributeType::Strings) => Attribute::Texts(texts(a)?),
                _ => {
                    return Err(OpError::unsupported(format!(
                        "the attribute `{}`, which is neither a number nor a string nor a list of these",
                        a.name
                    )));
                }
            })
        };
        self.node.attribute.iter().map(|a| Ok((a.name.clone(), kind(a)?))).collect()
    }

    /// A dtype attribute whose value 0 means that it is not given.
    pub fn nonzero_dtype(&self, name: &str) -> Result<Option<DType>, OpError> {
        if self.int(name, 0)? == 0 { Ok(None) } else { self.dtype_attribute(name) }
    }

    /// A dtype attribute (`to`, `dtype`), if given.
    pub fn dtype_attribute(&self, name: &str) -> Result<Option<DType>, OpError> {
        let Some(number) = self.opt_int(name)? else { return Ok(None) };
        let number = i32::try_from(number).unwrap_or(-1);
        super::dtype_of(number).map(Some).ok_or_else(|| super::unknown_dtype(number))
    }
}

fn text(bytes: &[u8], name: &str) -> Result<String, OpError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| OpError::invalid(format!("the attribute `{name}` is not UTF-8")))
}
