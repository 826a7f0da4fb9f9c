//! Custom operators: nodes that call a function of the user's.

use crate::import::Parse;
use crate::ir::dim::Source;
use crate::ir::{DType, Dim, Fact, Type, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::slice::output_shape;
use crate::ops::{Infer, OpError, Operator};
use crate::options::CustomOp;
use crate::program::args::Args;
use crate::program::kernel::{CallError, Kernel};
use crate::program::{Arg, Attribute};
use serde::{Deserialize, Serialize};

/// A node of a custom operator. Its outputs' types are those that the model declares; dims that it leaves open are what the shape function says.
pub fn parse(cx: &mut Parse<'_>, spec: &CustomOp) -> Result<Vec<ValueId>, OpError> {
    let mut outputs = Vec::new();
    for i in 0..cx.output_count() {
        outputs.push(declared(cx, i, spec)?);
    }
    let attributes = cx.attributes()?;
    let inputs = cx.inputs()?;
    for (i, &input) in inputs.iter().enumerate() {
        if let Some(input) = input {
            cx.shape(input).map_err(|e| OpError { message: format!("input {i}: {}", e.message), ..e })?;
        }
    }
    let op = Custom { function: spec.function.clone(), shape: spec.shape.clone(), attributes, outputs };
    cx.add_n(op, &inputs)
}

/// The declared type of output `i`; dims are known where they are numbers, or symbols that inputs of the model have.
fn declared(cx: &mut Parse<'_>, i: usize, spec: &CustomOp) -> Result<(DType, Vec<Option<Dim>>), OpError> {
    let dims = cx.dims();
    let Some(Type::Tensor(dtype, Some(shape))) = cx.declared_output(i) else {
        return Err(OpError::unsupported(format!(
            "the model does not declare the dtype and the rank of output {i} of the custom operator"
        ))
        .help("declare the value's type in the model (value_info, or as an output of the graph)"));
    };
    let open: Vec<Option<Dim>> = shape.into_iter().map(|d| Some(d).filter(|&d| dims.value(d).is_none_or(|v| v >= 0))).collect();
    if let (Some(axis), None) = (open.iter().position(Option::is_none), &spec.shape) {
        return Err(OpError::unsupported(format!("dim {axis} of output {i} of the custom operator is not declared")).help(format!(
            "declare it in the model, or name a function that tells the shape: --custom-op {}:{}={},crate::path::of_shape_function",
            spec.domain, spec.name, spec.function
        )));
    }
    Ok((dtype, open))
}

/// A call of `function` with the attributes, the inputs and the outputs; before it, where dims are open, of the function that tells them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Custom {
    function: String,
    shape: Option<String>,
    attributes: Vec<(String, Attribute)>,
    /// The outputs as far as the model declares them.
    #[serde(skip)]
    outputs: Vec<(DType, Vec<Option<Dim>>)>,
}

/// The path of calls to a user's function, whose own path is the first argument.
pub const FUNCTION: Kernel = Kernel { path: "custom", run: refuse };
/// The path of calls to a user's function that tells shapes.
pub const SHAPE_FUNCTION: Kernel = Kernel { path: "custom_shape", run: refuse };

fn refuse(_: &mut Args<'_>) -> Result<(), CallError> {
    let what = "a custom operator only runs in the generated code, where its function is";
    Err(CallError::Fault(onnxc_runtime::error::Fault::Text { what }))
}

impl Operator for Custom {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let fact = |(dtype, shape): &(DType, Vec<Option<Dim>>)| {
            Fact::tensor(*dtype, shape.iter().map(|d| d.unwrap_or_else(|| cx.fresh())).collect())
        };
        Ok(self.outputs.iter().map(fact).collect())
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let mut inputs = Vec::new();
        for i in 0..cx.input_count() {
            inputs.push(match cx.has(i).then(|| cx.place(i)).transpose()? {
                None => None,
                Some(Place::Tensor(_)) => Some(cx.input(i)?),
                Some(Place::Object(_)) => return Err(OpError::unsupported("a custom operator on a sequence, an optional or a map")),
            });
        }
        let attributes = Arg::Attributes(self.attributes.clone());
        if let Some(function) = &self.shape {
            let shapes = (0..self.outputs.len()).map(|i| output_shape(cx, i)).collect::<Result<Vec<_>, _>>()?.concat();
            let given = inputs.iter().map(|x| Arg::Usizes(x.as_ref().map_or_else(Vec::new, |x| x.shape.clone())));
            let given: Vec<Arg> = given.collect();
            cx.call_binding(SHAPE_FUNCTION, &shapes, |bind| [vec![Arg::Path(function.clone()), bind, attributes.clone()], given].concat())?;
            crate::ops::slice::require_dims(cx, &shapes);
        }
        let mut args = vec![Arg::Path(self.function.clone()), attributes];
        for input in inputs {
            args.extend(input.map_or_else(|| vec![Arg::Absent], |x| vec![x.read(), Arg::Usizes(x.shape)]));
        }
        for i in 0..self.outputs.len() {
            let out = cx.output(i)?;
            args.extend([out.write(), Arg::Usizes(out.shape)]);
        }
        cx.call(FUNCTION, args)
    }

    fn folds(&self) -> bool {
        false
    }

    fn restore(&mut self, cx: &Infer<'_>, _bodies: Vec<crate::ir::Graph>, outputs: &[Fact]) -> Result<(), OpError> {
        let open = |d: &Dim| cx.dims.as_symbol(*d).is_some_and(|s| cx.dims.info(s).source == Source::Step);
        let shape = |fact: &Fact| fact.shape().unwrap_or_default().iter().map(|d| if open(d) { None } else { Some(*d) }).collect();
        self.outputs = outputs.iter().filter_map(|fact| Some((fact.dtype()?, shape(fact)))).collect();
        Ok(())
    }
}
