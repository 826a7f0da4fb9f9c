//! The ONNX operators: one row each, from domain and name to the function that translates a node into core operators.

use super::{
    OpError, control, elementwise, linear, make, ml, nn, object, quant, recurrent, reduce, select, shape, signal, slice, text, training,
    vision,
};
use crate::import::Functions;
use crate::import::{Parse, canonical_domain};
use crate::ir::ValueId;
use crate::options::Options;
use crate::report::{Diagnostic, Place, Report};
use onnxc_proto::{GraphProto, NodeProto};
use std::collections::BTreeMap;

/// Translates a node: adds core operators, returns the values of the node's outputs.
pub type ParseFn = fn(&mut Parse<'_>) -> Result<Vec<ValueId>, OpError>;

/// A row of the table.
pub struct Row {
    /// The domain; empty for ai.onnx.
    pub domain: &'static str,
    /// The operator's name.
    pub name: &'static str,
    /// The function.
    pub parse: ParseFn,
}

macro_rules! rows {
    ($($domain:literal { $($name:ident => $parse:path,)* })*) => {
        /// All rows, by domain and name.
        pub static ROWS: &[Row] = &[$($(Row { domain: $domain, name: stringify!($name), parse: $parse },)*)*];
    };
}

rows! {
    "" {
        AffineGrid => vision::grid::parse_affine,
        ArgMax => reduce::arg_reduce::parse,
        ArgMin => reduce::arg_reduce::parse,
        Attention => nn::attention::parse,
        AveragePool => nn::pool::parse,
        BatchNormalization => nn::batch_norm::parse,
        Bernoulli => make::random::parse_bernoulli,
        BitCast => shape::bit_cast::parse,
        BitwiseNot => elementwise::predicate::parse,
        BlackmanWindow => signal::window::parse_window,
        Cast => elementwise::cast::parse,
        CastLike => elementwise::cast::parse_like,
        CausalConvWithState => nn::linear_attention::parse_conv,
        CenterCropPad => slice::rearrange::parse_center,
        Clip => elementwise::compose::parse_clip,
        Col2Im => slice::rearrange::parse_col2im,
        Compress => select::compress::parse,
        Concat => slice::concat::parse,
        ConcatFromSequence => object::sequence::parse_concat,
        Constant => make::constant::parse,
        ConstantFill => make::constant_of_shape::parse_constant_fill,
        ConstantOfShape => make::constant_of_shape::parse,
        Conv => nn::conv::parse_conv,
        ConvInteger => quant::conv::parse_integer,
        ConvTranspose => nn::conv::parse_transpose,
        CumProd => select::cum_sum::parse,
        CumSum => select::cum_sum::parse,
        DFT => signal::dft::parse,
        DeformConv => vision::deform::parse,
        DepthToSpace => slice::rearrange::parse_blocks,
        DequantizeLinear => quant::linear::parse_dequantize,
        Det => linear::det::parse,
        Dropout => slice::dropout::parse,
        DynamicQuantizeLinear => quant::dynamic::parse,
        DynamicSlice => slice::slice::parse,
        Einsum => linear::einsum::parse,
        Expand => shape::expand::parse,
        EyeLike => make::one_hot::parse_eye_like,
        Flatten => shape::reshape::parse_flatten,
        GRU => recurrent::layer::parse,
        Gather => slice::gather::parse_gather,
        GatherElements => slice::gather::parse_elements,
        GatherND => slice::gather::parse_nd,
        Gelu => elementwise::compose::parse_gelu,
        Gemm => linear::matmul::parse_gemm,
        GlobalAveragePool => nn::pool::parse_global,
        GlobalLpPool => nn::pool::parse_global,
        GlobalMaxPool => nn::pool::parse_global,
        GridSample => vision::grid::parse_sample,
        GroupNormalization => nn::group_norm::parse_group,
        HammingWindow => signal::window::parse_window,
        HannWindow => signal::window::parse_window,
        Hardmax => nn::softmax::parse,
        Identity => shape::identity::parse,
        If => control::if_::parse,
        ImageDecoder => vision::image::parse,
        InstanceNormalization => nn::group_norm::parse_instance,
        IsInf => elementwise::predicate::parse,
        IsNaN => elementwise::predicate::parse,
        LRN => nn::lp_norm::parse_lrn,
        LSTM => recurrent::layer::parse,
        LayerNormalization => nn::norm::parse_layer,
        LinearAttention => nn::linear_attention::parse_attention,
        LogSoftmax => nn::softmax::parse,
        Loop => control::loop_::parse,
        LpNormalization => nn::lp_norm::parse_lp,
        LpPool => nn::pool::parse,
        MatMul => linear::matmul::parse_matmul,
        MatMulInteger => quant::matmul::parse_integer,
        MaxPool => nn::pool::parse,
        MaxRoiPool => vision::regions::parse_pool,
        MaxUnpool => vision::regions::parse_unpool,
        Mean => elementwise::compose::parse_mean,
        MeanVarianceNormalization => nn::lp_norm::parse_mean_variance,
        MelWeightMatrix => signal::window::parse_mel,
        Multinomial => make::random::parse_multinomial,
        NegativeLogLikelihoodLoss => training::loss::parse_nll,
        NonMaxSuppression => select::suppress::parse,
        NonZero => select::nonzero::parse,
        Not => elementwise::predicate::parse,
        OneHot => make::one_hot::parse_one_hot,
        Optional => object::optional::parse,
        OptionalGetElement => object::optional::parse_get,
        OptionalHasElement => object::optional::parse_has,
        PRelu => elementwise::compose::parse_prelu,
        Pad => slice::pad::parse,
        QLinearConv => quant::conv::parse_qlinear,
        QLinearMatMul => quant::matmul::parse_qlinear,
        QuantizeLinear => quant::linear::parse_quantize,
        RMSNormalization => nn::norm::parse_rms,
        RNN => recurrent::layer::parse,
        RandomNormal => make::random::parse,
        RandomNormalLike => make::random::parse,
        RandomUniform => make::random::parse,
        RandomUniformLike => make::random::parse,
        Range => make::range::parse,
        ReduceL1 => reduce::reduce::parse,
        ReduceL2 => reduce::reduce::parse,
        ReduceLogSum => reduce::reduce::parse,
        ReduceLogSumExp => reduce::reduce::parse,
        ReduceMax => reduce::reduce::parse,
        ReduceMean => reduce::reduce::parse,
        ReduceMin => reduce::reduce::parse,
        ReduceProd => reduce::reduce::parse,
        ReduceSum => reduce::reduce::parse,
        ReduceSumSquare => reduce::reduce::parse,
        RegexFullMatch => text::regex_match::parse,
        Reshape => shape::reshape::parse_reshape,
        Resize => slice::resize::parse,
        ReverseSequence => slice::rearrange::parse_reverse,
        RoiAlign => vision::regions::parse_align,
        RotaryEmbedding => nn::rotary::parse,
        STFT => signal::stft::parse,
        Scan => control::scan::parse,
        Scatter => slice::scatter::parse_elements,
        ScatterElements => slice::scatter::parse_elements,
        ScatterND => slice::scatter::parse_nd,
        SequenceAt => object::sequence::parse_access,
        SequenceConstruct => object::sequence::parse_construct,
        SequenceEmpty => object::sequence::parse_empty,
        SequenceErase => object::sequence::parse_access,
        SequenceInsert => object::sequence::parse_access,
        SequenceLength => object::sequence::parse_access,
        SequenceMap => control::sequence_map::parse,
        Shape => shape::shape_of::parse_shape,
        SimplifiedLayerNormalization => nn::norm::parse_rms,
        Size => shape::shape_of::parse_size,
        Slice => slice::slice::parse,
        Softmax => nn::softmax::parse,
        SoftmaxCrossEntropyLoss => training::loss::parse_cross_entropy,
        Softsign => elementwise::compose::parse_softsign,
        SpaceToDepth => slice::rearrange::parse_blocks,
        Split => slice::split::parse,
        SplitToSequence => object::sequence::parse_split,
        Squeeze => shape::reshape::parse_squeeze,
        StringConcat => text::strings::parse_concat,
        StringNormalizer => text::strings::parse_normalizer,
        StringSplit => text::strings::parse_split,
        SwiGLU => elementwise::compose::parse_swiglu,
        TensorScatter => slice::scatter::parse_tensor,
        TfIdfVectorizer => text::tf_idf::parse,
        Tile => slice::tile::parse,
        TopK => select::top_k::parse,
        Transpose => shape::transpose::parse,
        Trilu => slice::trilu::parse,
        Unique => select::unique::parse,
        Unsqueeze => shape::reshape::parse_unsqueeze,
        Upsample => slice::resize::parse_upsample,
        Where => elementwise::where_::parse,
    }
    "ai.onnx.ml" {
        ArrayFeatureExtractor => ml::array_feature_extractor::parse,
        Binarizer => ml::binarizer::parse,
        CastMap => ml::map::parse_cast,
        CategoryMapper => ml::label_encoder::parse_category,
        DictVectorizer => ml::map::parse_vectorizer,
        FeatureVectorizer => ml::feature_vectorizer::parse,
        Imputer => ml::imputer::parse,
        LabelEncoder => ml::label_encoder::parse,
        LinearClassifier => ml::linear::parse_classifier,
        LinearRegressor => ml::linear::parse_regressor,
        Normalizer => ml::normalizer::parse,
        OneHotEncoder => ml::one_hot_encoder::parse,
        SVMClassifier => ml::svm::parse_classifier,
        SVMRegressor => ml::svm::parse_regressor,
        Scaler => ml::scaler::parse,
        TreeEnsemble => ml::trees::modern::parse,
        TreeEnsembleClassifier => ml::trees::classic::parse_classifier,
        TreeEnsembleRegressor => ml::trees::classic::parse_regressor,
        ZipMap => ml::map::parse_zip,
    }
    "ai.onnx.preview" {
        FlexAttention => nn::flex_attention::parse,
    }
    "ai.onnx.preview.training" {
        Adagrad => training::optimizer::parse,
        Adam => training::optimizer::parse,
        Gradient => training::gradient::parse,
        Momentum => training::optimizer::parse,
    }
    "com.microsoft" {
        Attention => nn::packed::parse,
        BiasGelu => elementwise::compose::parse_microsoft_gelu,
        CDist => ml::distance::parse_cdist,
        DequantizeLinear => quant::linear::parse_dequantize,
        DynamicQuantizeLSTM => recurrent::quantized::parse,
        DynamicQuantizeMatMul => quant::products::parse_dynamic,
        EmbedLayerNormalization => nn::embed::parse,
        ExpandDims => shape::reshape::parse_expand_dims,
        FastGelu => elementwise::compose::parse_microsoft_gelu,
        FusedConv => nn::conv::parse_fused,
        FusedGemm => linear::matmul::parse_fused_gemm,
        FusedMatMul => linear::matmul::parse_fused_matmul,
        GatherBlockQuantized => quant::gather_blocks::parse,
        GatherND => slice::gather::parse_nd,
        Gelu => elementwise::compose::parse_microsoft_gelu,
        GridSample => vision::grid::parse_sample,
        GroupQueryAttention => nn::group_query::parse,
        Inverse => linear::inverse::parse,
        Irfft => signal::dft::parse_microsoft,
        MatMulBnb4 => quant::bnb4::parse,
        MatMulInteger16 => quant::products::parse_wide,
        MatMulIntegerToFloat => quant::products::parse_to_float,
        MatMulNBits => quant::nbits::parse,
        MultiHeadAttention => nn::multi_head::parse,
        MurmurHash3 => text::hash::parse,
        NGramRepeatBlock => select::ngram::parse,
        NhwcMaxPool => nn::pool::parse_nhwc,
        QAttention => nn::packed::parse_quantized,
        QGemm => quant::products::parse_gemm,
        QLinearAdd => quant::qlinear::parse_binary,
        QLinearAveragePool => quant::qlinear::parse_average_pool,
        QLinearConcat => quant::qlinear::parse_concat,
        QLinearConv => quant::conv::parse_qlinear,
        QLinearGlobalAveragePool => quant::qlinear::parse_global_average_pool,
        QLinearLeakyRelu => quant::qlinear::parse_unary,
        QLinearMul => quant::qlinear::parse_binary,
        QLinearSigmoid => quant::qlinear::parse_unary,
        QLinearSoftmax => quant::qlinear::parse_softmax,
        QLinearWhere => quant::qlinear::parse_where,
        QuantizeLinear => quant::linear::parse_quantize,
        QuickGelu => elementwise::compose::parse_microsoft_gelu,
        Range => make::range::parse,
        Rfft => signal::dft::parse_microsoft,
        RotaryEmbedding => nn::rotary::parse_microsoft,
        SkipLayerNormalization => nn::skip_norm::parse,
        SkipSimplifiedLayerNormalization => nn::skip_norm::parse,
        Tokenizer => text::tokenizer::parse,
        TransposeMatMul => linear::matmul::parse_fused_matmul,
        Trilu => slice::trilu::parse,
        Unique => select::unique::parse_microsoft,
    }
}

/// The row of an operator.
pub fn find(domain: &str, name: &str) -> Option<&'static Row> {
    let domain = canonical_domain(domain);
    ROWS.iter()
        .find(|r| r.name == name && r.domain == domain)
        .or_else(|| elementwise::unary::ROWS.iter().find(|r| r.name == name && r.domain == domain))
        .or_else(|| elementwise::parametric::ROWS.iter().find(|r| r.name == name && r.domain == domain))
        .or_else(|| elementwise::binary::ROWS.iter().find(|r| r.name == name && r.domain == domain))
}

/// The rows of all tables.
pub fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(elementwise::unary::ROWS).chain(elementwise::parametric::ROWS).chain(elementwise::binary::ROWS)
}

/// Translates a node.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    if let Some(custom) = cx.custom_op() {
        return super::custom::parse(cx, &custom);
    }
    match find(cx.domain(), cx.op_type()) {
        Some(row) => (row.parse)(cx),
        None => Err(OpError::unsupported(format!("the operator {}", shown(cx.domain(), cx.op_type())))),
    }
}

fn shown(domain: &str, name: &str) -> String {
    if domain.is_empty() { name.to_owned() } else { format!("{domain}:{name}") }
}

/// One report of all operators in a model that are not in the table.
pub fn check_known(graph: &GraphProto, functions: &Functions<'_>, opsets: &BTreeMap<String, i64>, options: &Options) -> Result<(), Report> {
    let mut used = vec![false; options.custom_ops.len()];
    let mut unknown: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut note = |node: &NodeProto| {
        if let Some(custom) = options.custom_op(&node.domain, &node.op_type) {
            options.custom_ops.iter().zip(&mut used).for_each(|(op, used)| *used |= op == custom);
            return;
        }
        if functions.find(node).is_none() && find(&node.domain, &node.op_type).is_none() {
            let name = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
            let key = (canonical_domain(&node.domain).to_owned(), node.op_type.clone());
            unknown.entry(key).or_default().push(name.cloned().unwrap_or_default());
        }
    };
    visit(&graph.node, &mut note);
    functions.iter().for_each(|f| visit(&f.node, &mut note));
    let mut report = Report::default();
    for (op, _) in options.custom_ops.iter().zip(used).filter(|(_, used)| !used) {
        report.push(Diagnostic::error(format!("--custom-op names {}:{}, of which the model has no node", op.domain, op.name)));
    }
    for ((domain, name), nodes) in unknown {
        let opset = opsets.get(&domain).map_or(String::new(), |v| format!(", opset {v}"));
        let named = nodes.iter().take(5).map(|n| format!("`{}`", crate::report::clean(n))).collect::<Vec<_>>().join(", ");
        let more = if nodes.len() > 5 { format!(" and {} more", nodes.len() - 5) } else { String::new() };
        let domain_text = if domain.is_empty() { "ai.onnx" } else { &domain };
        report.push(
            Diagnostic::unsupported(format!("the operator {} (domain {domain_text}{opset})", shown(&domain, &name)))
                .place(Place::graph(&graph.name))
                .facts(vec![format!("{} node{}: {named}{more}", nodes.len(), if nodes.len() == 1 { "" } else { "s" })])
                .help("`onnxc ops` lists what is supported; --custom-op lets a function of yours compute an operator"),
        );
    }
    report.into_result()
}

fn visit(nodes: &[NodeProto], note: &mut impl FnMut(&NodeProto)) {
    for node in nodes {
        note(node);
        for attribute in &node.attribute {
            for graph in attribute.g.as_deref().into_iter().chain(&attribute.graphs) {
                visit(&graph.node, note);
            }
        }
    }
}
