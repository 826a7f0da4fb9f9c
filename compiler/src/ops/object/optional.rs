//! Optionals: `Optional`, `OptionalHasElement`, `OptionalGetElement`.

use super::taken;
use crate::import::Parse;
use crate::ir::{DType, Fact, Graph, Tensor, Type, ValueId};
use crate::lower::Lower;
use crate::ops::slice::output_shape;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::element::Bool;
use serde::{Deserialize, Serialize};

/// ONNX `Optional`: of the input, or an empty one of the type that the attribute says.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    if let Some(x) = cx.opt_input(0)? {
        return cx.add(Optional::Some, &[x]).map(|v| vec![v]);
    }
    let ty = cx.type_proto("type")?.ok_or_else(|| OpError::invalid("an empty optional needs the attribute `type`"))?;
    let ty = cx.convert_type(ty)?;
    cx.add_n(Optional::None { ty: Some(ty) }, &[])
}

/// ONNX `OptionalHasElement`: what is not an optional (since opset 18) is there, an absent input is not.
pub fn parse_has(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.opt_input(0)?;
    if let Some(x) = x
        && matches!(cx.fact(x).ty, Type::Optional(_))
    {
        return cx.add(Optional::Has, &[x]).map(|v| vec![v]);
    }
    Ok(vec![cx.constant(Tensor::scalar(Bool::from(x.is_some())))])
}

/// ONNX `OptionalGetElement`: what is not an optional (since opset 18) is what it is.
pub fn parse_get(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    if matches!(cx.fact(x).ty, Type::Optional(_)) {
        return cx.add(Optional::Get, &[x]).map(|v| vec![v]);
    }
    Ok(vec![x])
}

/// What is done with an optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Optional {
    /// One that holds the input.
    Some,
    /// One that holds nothing.
    None {
        /// The type of what it could hold.
        #[serde(skip)]
        ty: Option<Type>,
    },
    /// Whether the input holds something.
    Has,
    /// What the input holds.
    Get,
}

fn inner<'a>(cx: &Infer<'a>) -> Result<&'a Type, OpError> {
    match cx.ty(0)? {
        Type::Optional(inner) => Ok(inner),
        _ => Err(OpError::invalid("an optional is needed")),
    }
}

impl Operator for Optional {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        Ok(vec![match self {
            Self::Some => Fact::of(Type::Optional(Box::new(cx.ty(0)?.clone()))),
            Self::None { ty } => {
                let ty = ty.clone().ok_or_else(|| OpError::invalid("the type of an empty optional is missing"))?;
                Fact::of(Type::Optional(Box::new(ty)))
            }
            Self::Has => {
                inner(cx)?;
                Fact::tensor(DType::Bool, Vec::new())
            }
            Self::Get => taken(cx, inner(cx)?),
        }])
    }

    fn folds(&self) -> bool {
        false
    }

    fn restore(&mut self, _cx: &Infer<'_>, _bodies: Vec<Graph>, outputs: &[Fact]) -> Result<(), OpError> {
        if let (Self::None { ty }, Some(Type::Optional(inner))) = (self, outputs.first().map(|f| &f.ty)) {
            *ty = Some((**inner).clone());
        }
        Ok(())
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        match self {
            Self::None { .. } => {
                let out = cx.output_object(0)?;
                cx.call(crate::kernel!(sequence::none(_)), vec![Arg::OutObject { buffer: out, update: false }])
            }
            Self::Some => some(cx),
            Self::Has => {
                let x = Arg::InObject(cx.object(0)?);
                let out = cx.output(0)?;
                cx.call(crate::kernel!(sequence::has(_, _)), vec![out.write(), x])
            }
            Self::Get => get(cx),
        }
    }
}

fn some(cx: &mut Lower<'_>) -> Result<(), OpError> {
    let out = Arg::OutObject { buffer: cx.output_object(0)?, update: false };
    if let Ok(x) = cx.object(0) {
        return cx.call(crate::kernel!(sequence::some_object(_, _)), vec![out, Arg::InObject(x)]);
    }
    let x = cx.input(0)?;
    let args = vec![out, x.read(), Arg::Usizes(x.shape.clone()), Arg::DType(x.dtype)];
    cx.call(crate::kernel!(sequence::some(_, _, _, _) for any(x.dtype)), args)
}

fn get(cx: &mut Lower<'_>) -> Result<(), OpError> {
    let x = Arg::InObject(cx.object(0)?);
    if !matches!(cx.output_fact(0)?.ty, Type::Tensor(_, Some(_))) {
        let out = Arg::OutObject { buffer: cx.output_object(0)?, update: false };
        return cx.call(crate::kernel!(sequence::get_object(_, _)), vec![out, x]);
    }
    let shape = output_shape(cx, 0)?;
    cx.call_binding(crate::kernel!(sequence::get_shape(_, _)), &shape, |bind| vec![bind, x.clone()])?;
    let out = cx.output(0)?;
    cx.call(crate::kernel!(sequence::get(_, _, _) for any(out.dtype)), vec![out.write(), x, Arg::DType(out.dtype)])
}
