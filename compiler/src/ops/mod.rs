//! The operators: one file per idea, and the two tables that make them exist.
//!
//! The core operators ([`Op`]) are what the middle rooms know; the ONNX operators ([`table`]) are names, domains and versions that `parse`
//! functions translate into core operators, so that differences between opsets end there. An operator's file holds, in the order a model meets
//! it: `parse`, the attributes (a struct), `infer`, `simplify`, `lower`, tests. Folding needs no code: it lowers and interprets.

pub mod dtype_text;
pub mod infer;
pub mod table;

pub mod control;
pub mod custom;
pub mod elementwise;
pub mod linear;
pub mod make;
pub mod ml;
pub mod nn;
pub mod object;
pub mod quant;
pub mod recurrent;
pub mod reduce;
pub mod select;
pub mod shape;
pub mod signal;
pub mod slice;
pub mod text;
pub mod training;
pub mod vision;

pub use infer::Infer;

use crate::ir::{Fact, Graph};
use crate::lower::Lower;
use serde::{Deserialize, Serialize};

/// What is wrong with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpError {
    /// Whether the model breaks the standard, or we lack something.
    pub kind: ErrorKind,
    /// What is wrong, as a sentence without the place.
    pub message: String,
    /// What the user can do about it, if we know.
    pub help: Option<String>,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The model is not valid.
    Invalid,
    /// The model may be valid; onnxc does not support this.
    Unsupported,
}

impl OpError {
    /// The model is not valid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into(), help: None }
    }

    /// onnxc does not support this.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unsupported, message: message.into(), help: None }
    }

    /// Adds what the user can do.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// What every core operator does.
pub trait Operator {
    /// The facts of the outputs. May refine the operator (If, Loop and Scan infer their bodies). What it assumes and cannot prove it records
    /// with `Infer::require…`.
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError>;

    /// The steps that compute the outputs.
    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError>;

    /// Whether the operator may run at compile time when its inputs are constants (random ones and those with huge outputs do not).
    fn folds(&self) -> bool {
        true
    }

    /// Whether two applications to the same inputs give the same outputs.
    fn pure(&self) -> bool {
        true
    }

    /// The operator for operands whose axes are in another order: an `op` such that `op(permuted inputs)` is this operator's result with its
    /// axes in that order too (axis `i` of the permuted is axis `perm[i]`), and which of the `inputs` are to be permuted. The others stay.
    fn permuted(&self, _perm: &[usize], _inputs: usize) -> Option<(Op, Vec<usize>)> {
        None
    }

    /// Whether the operator can read input `i`, of that rank, where it lies in the rows of a wider tensor
    /// ([`Lower::input_pitch`]; [`lower::joined`](crate::lower::joined)).
    fn reads_rows(&self, _i: usize, _rank: usize) -> bool {
        false
    }

    /// Whether the operator can write its only output, of that rank, there ([`Lower::write`], [`Lower::output_pitch`]).
    fn writes_rows(&self, _rank: usize) -> bool {
        false
    }

    /// The bodies of control flow.
    fn bodies(&self) -> Vec<&Graph> {
        Vec::new()
    }

    /// The bodies of control flow, to be changed; the node is to be inferred again then.
    fn bodies_mut(&mut self) -> Vec<&mut Graph> {
        Vec::new()
    }

    /// Puts back what is not among the serialized attributes, when a graph is read from its text: the bodies, and what inference found, of
    /// which `outputs` are the facts.
    fn restore(&mut self, _cx: &Infer<'_>, _bodies: Vec<Graph>, _outputs: &[Fact]) -> Result<(), OpError> {
        Ok(())
    }
}

/// One line a core operator: `Name(path::to::Struct)` makes the enum, forwards the trait and names it in texts.
macro_rules! operators {
    ($($name:ident($ty:ty),)*) => {
        /// A core operator with its attributes.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs)] // Documented at the structs.
        pub enum Op {
            $($name($ty),)*
        }
        $(impl From<$ty> for Op {
            fn from(op: $ty) -> Self {
                Self::$name(op)
            }
        })*
        impl Op {
            /// The name in texts.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }
            fn operator(&self) -> &dyn Operator {
                match self {
                    $(Self::$name(op) => op,)*
                }
            }
            fn operator_mut(&mut self) -> &mut dyn Operator {
                match self {
                    $(Self::$name(op) => op,)*
                }
            }
        }
    };
}

impl Op {
    /// See [`Operator::infer`].
    pub fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        self.operator_mut().infer(cx)
    }
    /// See [`Operator::lower`].
    pub fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        self.operator().lower(cx)
    }
    /// See [`Operator::folds`].
    pub fn folds(&self) -> bool {
        self.operator().folds()
    }
    /// See [`Operator::pure`].
    pub fn pure(&self) -> bool {
        self.operator().pure()
    }
    /// See [`Operator::permuted`].
    pub fn permuted(&self, perm: &[usize], inputs: usize) -> Option<(Self, Vec<usize>)> {
        self.operator().permuted(perm, inputs)
    }
    /// See [`Operator::reads_rows`].
    pub fn reads_rows(&self, i: usize, rank: usize) -> bool {
        self.operator().reads_rows(i, rank)
    }
    /// See [`Operator::writes_rows`].
    pub fn writes_rows(&self, rank: usize) -> bool {
        self.operator().writes_rows(rank)
    }
    /// See [`Operator::bodies`].
    pub fn bodies(&self) -> Vec<&Graph> {
        self.operator().bodies()
    }
    /// See [`Operator::bodies_mut`].
    pub fn bodies_mut(&mut self) -> Vec<&mut Graph> {
        self.operator_mut().bodies_mut()
    }
    /// See [`Operator::restore`].
    pub fn restore(&mut self, cx: &Infer<'_>, bodies: Vec<Graph>, outputs: &[Fact]) -> Result<(), OpError> {
        self.operator_mut().restore(cx, bodies, outputs)
    }
}

operators! {
    Identity(shape::identity::Identity),
    RankOf(shape::rank::RankOf),
    OfRank(shape::rank::OfRank),
    Reshape(shape::reshape::Reshape),
    Shape(shape::shape_of::Shape),
    Transpose(shape::transpose::Transpose),
    Expand(shape::expand::Expand),
    Unary(elementwise::unary::Unary),
    Binary(elementwise::binary::Binary),
    Fused(elementwise::fused::Fused),
    Parametric(elementwise::parametric::Parametric),
    Predicate(elementwise::predicate::Predicate),
    Where(elementwise::where_::Where),
    Cast(elementwise::cast::Cast),
    Gather(slice::gather::Gather),
    GatherElements(slice::gather::GatherElements),
    GatherNd(slice::gather::GatherNd),
    Slice(slice::slice::Slice),
    Concat(slice::concat::Concat),
    Split(slice::split::Split),
    Pad(slice::pad::Pad),
    ScatterElements(slice::scatter::ScatterElements),
    ScatterNd(slice::scatter::ScatterNd),
    TensorScatter(slice::scatter::TensorScatter),
    Trilu(slice::trilu::Trilu),
    ReverseSequence(slice::rearrange::ReverseSequence),
    Blocks(slice::rearrange::Blocks),
    Col2Im(slice::rearrange::Col2Im),
    CenterCropPad(slice::rearrange::CenterCropPad),
    Resize(slice::resize::Resize),
    TopK(select::top_k::TopK),
    CumSum(select::cum_sum::CumSum),
    NonZero(select::nonzero::NonZero),
    Compress(select::compress::Compress),
    Unique(select::unique::Unique),
    NonMaxSuppression(select::suppress::NonMaxSuppression),
    Sequence(object::sequence::Sequence),
    Optional(object::optional::Optional),
    Strings(text::strings::Strings),
    TfIdf(text::tf_idf::TfIdf),
    Tokenizer(text::tokenizer::Tokenizer),
    GridSample(vision::grid::GridSample),
    AffineGrid(vision::grid::AffineGrid),
    ImageDecoder(vision::image::ImageDecoder),
    Regions(vision::regions::Regions),
    MaxUnpool(vision::regions::MaxUnpool),
    DeformConv(vision::deform::DeformConv),
    Tile(slice::tile::Tile),
    ConstantOfShape(make::constant_of_shape::ConstantOfShape),
    Range(make::range::Range),
    OneHot(make::one_hot::OneHot),
    EyeLike(make::one_hot::EyeLike),
    Reduce(reduce::reduce::Reduce),
    ArgReduce(reduce::arg_reduce::ArgReduce),
    Softmax(nn::softmax::Softmax),
    LayerNorm(nn::norm::LayerNorm),
    BatchNorm(nn::batch_norm::BatchNorm),
    GroupNorm(nn::group_norm::GroupNorm),
    LpNorm(nn::lp_norm::LpNorm),
    Pool(nn::pool::Pool),
    Quantize(quant::linear::Quantize),
    DynamicQuantize(quant::dynamic::DynamicQuantize),
    IntegerMatMul(quant::matmul::IntegerMatMul),
    IntegerConv(quant::conv::IntegerConv),
    Requantize(quant::requantize::Requantize),
    Rescale(quant::rescale::Rescale),
    RoundedBlocks(quant::nbits::RoundedBlocks),
    MatMulBits(quant::nbits::MatMulBits),
    DimsOf(shape::dims_of::DimsOf),
    Diagonal(shape::diagonal::Diagonal),
    Recurrent(recurrent::layer::Recurrent),
    Attention(nn::attention::Attention),
    Rotary(nn::rotary::Rotary),
    Cache(nn::group_query::Cache),
    LinearAttention(nn::linear_attention::LinearAttention),
    CausalConv(nn::linear_attention::CausalConv),
    Dropout(slice::dropout::Dropout),
    BitCast(shape::bit_cast::BitCast),
    RegexFullMatch(text::regex_match::RegexFullMatch),
    Dft(signal::dft::Dft),
    Stft(signal::stft::Stft),
    SignalWindow(signal::window::SignalWindow),
    MelMatrix(signal::window::MelMatrix),
    Det(linear::det::Det),
    Inverse(linear::inverse::Inverse),
    MurmurHash3(text::hash::MurmurHash3),
    Random(make::random::Random),
    Loss(training::loss::Loss),
    Optimizer(training::optimizer::Optimizer),
    If(control::if_::If),
    Loop(control::loop_::Loop),
    Trap(control::trap::Trap),
    Custom(custom::Custom),
    Trees(ml::trees::op::Trees),
    MatMul(linear::matmul::MatMul),
    FewColumns(linear::few_columns::FewColumns),
    Lookup(ml::encode::Lookup),
    Distance(ml::distance::Distance),
    PostTransform(ml::post_transform::PostTransform),
    Svm(ml::svm::Svm),
    Maps(ml::map::Maps),
    Conv(nn::conv::Conv),
    ConvTranspose(nn::conv::ConvTranspose),
}
