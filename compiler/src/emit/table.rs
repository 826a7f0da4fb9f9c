//! Tables: where every input is a column (rows × 1, or rows × a fixed number), `Row` with a field a column, `Prediction` with a value an output, and
//! the methods of `Model` that take the one and give the other.

use super::ports::{InputPort, OutputPort, outer_type};
use super::{Emitter, literal, names};
use crate::ir::dim::Dim;
use crate::program::{Port, PortType};
use onnxc_runtime::element::DType;
use proc_macro2::TokenStream;
use quote::quote;

/// Rows that are predicted at a time: their columns are on the stack.
const BLOCK: usize = 64;
/// The most bytes that a row may have.
const MOST_BYTES: usize = 1024;

/// A column: its dtype, and how many values a row has of it.
struct Column<'a> {
    input: &'a InputPort,
    port: &'a Port,
    dtype: DType,
    width: usize,
}

/// What a row has of an output.
enum Part {
    /// One value.
    One(DType),
    /// A slice.
    Many(DType),
    /// A map from that type to f32.
    Map(DType),
}

impl Emitter<'_> {
    /// The items, if the model is about tables: several columns, or a classifier's outputs.
    pub(super) fn table_items(&self) -> Vec<TokenStream> {
        let Some((columns, parts)) = self.table() else { return Vec::new() };
        let lifetime = columns.iter().any(|c| c.dtype == DType::String).then(|| quote!(<'a>));
        let elided = lifetime.is_some().then(|| quote!(<'_>));
        let fields = columns.iter().map(|column| {
            let (name, ty) = (column.input.ident(), column.field());
            let doc = format!(" {}", names::code(&column.port.name));
            quote!(#[doc = #doc] pub #name: #ty)
        });
        let derives = if columns.iter().all(Column::has_default) {
            quote!(Clone, Copy, Debug, Default, PartialEq)
        } else {
            quote!(Clone, Copy, Debug)
        };
        let getters = parts.iter().map(|(output, name, port, part)| self.part(output, name, port, part));
        let (one, block) = (self.predict(&columns, elided.as_ref()), self.predict_rows(&columns, elided.as_ref()));
        vec![
            quote! {
                /// A row of the table: a field for each input.
                #[allow(dead_code)]
                #[derive(#derives)]
                pub struct Row #lifetime { #(#fields),* }
            },
            quote! {
                /// What the model says of a row.
                #[derive(Clone, Debug)]
                pub struct Prediction<'a> {
                    outputs: Outputs<'a>,
                    row: usize,
                }
            },
            quote! {
                #[allow(dead_code)]
                impl<'a> Prediction<'a> { #(#getters)* }
            },
            quote! {
                #[allow(dead_code)]
                impl Model<'_> {
                    #one

                    #block
                }
            },
        ]
    }

    /// The columns and what a row has of each output: the port, the method's name, and the part.
    fn table(&self) -> Option<(Vec<Column<'_>>, Vec<(&OutputPort, String, &Port, Part)>)> {
        let columns = self.inputs.iter().zip(&self.program.inputs).map(|(input, port)| self.column(input, port));
        let columns = columns.collect::<Option<Vec<_>>>()?;
        // Exporters often leave the numbers of rows unnamed: then each input has a symbol of its own for it.
        let first = |port: &Port| if let PortType::Tensor(_, dims) = &port.ty { dims.first().copied() } else { None };
        let rows = self.program.inputs.iter().map(first).collect::<Option<Vec<_>>>()?;
        let open = rows.iter().all(|&rows| self.program.dims.as_symbol(rows).is_some());
        let bytes: usize = columns.iter().map(|c| c.width.saturating_mul(if c.dtype == DType::String { 16 } else { c.dtype.size() })).sum();
        let parts = self.program.outputs.iter().map(|port| self.output_part(port, &rows)).collect::<Option<Vec<_>>>()?;
        let classifies = matches!(&parts[..], [Part::One(DType::I64 | DType::String), Part::Many(DType::F32 | DType::F64) | Part::Map(_)]);
        if !open || bytes > MOST_BYTES || !self.program.states.is_empty() || (columns.len() < 2 && !classifies) {
            return None;
        }
        let names = |i: usize, port: &OutputPort| match (classifies, i) {
            (true, 0) => "label".to_owned(),
            (true, _) => "probabilities".to_owned(),
            _ => port.name.clone(),
        };
        let parts = self.outputs.iter().zip(&self.program.outputs).zip(parts).enumerate();
        Some((columns, parts.map(|(i, ((output, port), part))| (output, names(i, output), port, part)).collect()))
    }

    fn column<'a>(&self, input: &'a InputPort, port: &'a Port) -> Option<Column<'a>> {
        let PortType::Tensor(dtype, dims) = &port.ty else { return None };
        let [_, width] = dims[..] else { return None };
        let width = usize::try_from(self.program.dims.value(width)?).ok()?;
        (width > 0).then_some(Column { input, port, dtype: *dtype, width })
    }

    fn output_part(&self, port: &Port, rows: &[Dim]) -> Option<Part> {
        match &port.ty {
            PortType::Object(text) if text.starts_with("seq(map(i64, f32") => Some(Part::Map(DType::I64)),
            PortType::Object(text) if text.starts_with("seq(map(string, f32") => Some(Part::Map(DType::String)),
            PortType::Object(_) => None,
            PortType::Tensor(dtype, dims) if dims.first().is_some_and(|d| rows.contains(d)) => {
                let one = dims[1..].iter().all(|&d| self.program.dims.value(d) == Some(1));
                Some(if one { Part::One(*dtype) } else { Part::Many(*dtype) })
            }
            PortType::Tensor(..) => None,
        }
    }

    /// A method of `Prediction`.
    fn part(&self, output: &OutputPort, name: &str, port: &Port, part: &Part) -> TokenStream {
        let (from, name) = (output.ident(), quote::format_ident!("{name}"));
        let doc = format!(" Of {}", self.port_text(&port.name, &port.ty));
        let (ty, value) = match part {
            Part::One(DType::String) => (quote!(&'a str), quote!(row.first().map_or("", |text| text.as_str()))),
            Part::One(dtype) => (outer_type(*dtype), quote!(row.first().copied().unwrap_or_default())),
            Part::Many(dtype) => {
                let ty = outer_type(*dtype);
                (quote!(&'a [#ty]), quote!(row))
            }
            Part::Map(key) => {
                let key = outer_type(*key);
                let value = quote!(MapView::of_item(self.outputs.#from(), self.row));
                return quote!(#[doc = #doc] pub fn #name(&self) -> MapView<'a, #key, f32> { #value });
            }
        };
        let row = quote!(self.outputs.#from().row(self.row));
        let body = if matches!(part, Part::Many(_)) { row } else { quote!(let row = #row; #value) };
        quote!(#[doc = #doc] pub fn #name(&self) -> #ty { #body })
    }

    fn predict(&self, columns: &[Column<'_>], elided: Option<&TokenStream>) -> TokenStream {
        let arguments = columns.iter().map(|column| {
            let (name, width) = (column.input.ident(), literal::usize(column.width));
            let values = if column.width == 1 { quote!(&[row.#name]) } else { quote!(&row.#name) };
            quote!(View::new(#values, [1, #width]).map_err(|f| f.at("(row)"))?)
        });
        quote! {
            /// Predicts one row.
            pub fn predict(&mut self, row: &Row #elided) -> Result<Prediction<'_>, RunError> {
                let outputs = self.run(#(#arguments),*)?;
                Ok(Prediction { outputs, row: 0 })
            }
        }
    }

    fn predict_rows(&self, columns: &[Column<'_>], elided: Option<&TokenStream>) -> TokenStream {
        let block = literal::usize(BLOCK);
        let declarations = columns.iter().map(|column| {
            let (local, empty) = (column.local(), column.empty());
            quote!(let mut #local = [#empty; #block];)
        });
        let copies = columns.iter().map(|column| {
            let (local, name) = (column.local(), column.input.ident());
            quote!(#local[i] = row.#name;)
        });
        let arguments = columns.iter().map(|column| {
            let (local, width) = (column.local(), literal::usize(column.width));
            let values = if column.width == 1 { quote!(&#local[..n]) } else { quote!(#local[..n].as_flattened()) };
            quote!(View::new(#values, [n, #width]).map_err(|f| f.at("(rows)"))?)
        });
        quote! {
            /// Predicts rows and calls `each` with what the model says of each, in order. They are taken in blocks; nothing is allocated for a row.
            pub fn predict_rows(&mut self, rows: &[Row #elided], mut each: impl FnMut(Prediction<'_>)) -> Result<(), RunError> {
                for rows in rows.chunks(#block) {
                    let n = rows.len();
                    #(#declarations)*
                    for (i, row) in rows.iter().enumerate() {
                        #(#copies)*
                    }
                    let outputs = self.run(#(#arguments),*)?;
                    (0..n).for_each(|row| each(Prediction { outputs: outputs.clone(), row }));
                }
                Ok(())
            }
        }
    }
}

impl Column<'_> {
    /// Whether arrays of that length have a default.
    fn has_default(&self) -> bool {
        self.width <= 32
    }

    /// The variable with a block of it; no name of the model's can be another variable's.
    fn local(&self) -> proc_macro2::Ident {
        quote::format_ident!("{}_column", self.input.ident())
    }

    fn element(&self) -> TokenStream {
        if self.dtype == DType::String { quote!(&'a str) } else { outer_type(self.dtype) }
    }

    /// The type of the field of `Row`.
    fn field(&self) -> TokenStream {
        let element = self.element();
        if self.width == 1 {
            return element;
        }
        let width = literal::usize(self.width);
        quote!([#element; #width])
    }

    /// A value that will be overwritten.
    fn empty(&self) -> TokenStream {
        let element = if self.dtype == DType::String {
            quote!("")
        } else {
            let ty = outer_type(self.dtype);
            quote!(<#ty>::default())
        };
        if self.width == 1 {
            return element;
        }
        let width = literal::usize(self.width);
        quote!([#element; #width])
    }
}
