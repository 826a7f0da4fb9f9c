//! Says who survives: rows of a CSV file through a scikit-learn pipeline of imputing, scaling, one-hot encoding and a logistic regression.
//!
//! ```text
//! cargo run -q -p titanic -- examples/titanic/passengers.csv
//! ```

use std::error::Error;
use std::io::Read;
use std::process::ExitCode;

/// The pipeline that train.py made, compiled in place.
mod pipeline {
    onnxc_macros::include_onnx!("models/titanic.onnx");
}

use pipeline::{Model, Row};

/// A field that may be missing: NaN then, which the pipeline imputes.
fn number(field: &str) -> Result<f32, std::num::ParseFloatError> {
    if field.is_empty() { Ok(f32::NAN) } else { field.parse() }
}

/// A passenger of the file, whose columns have the order of train.py.
fn row(record: &csv::StringRecord) -> Result<Row<'_>, Box<dyn Error>> {
    let field = |i: usize| record.get(i).unwrap_or_default();
    Ok(Row {
        pclass: field(0),
        sex: field(1),
        age: number(field(2))?,
        sibsp: field(3).parse()?,
        parch: field(4).parse()?,
        fare: number(field(5))?,
        embarked: field(6),
    })
}

/// What the pipeline says of each passenger: the label, and how likely it is that he or she survives.
fn predict(model: &mut Model, table: impl Read) -> Result<Vec<(String, f32)>, Box<dyn Error>> {
    let records = csv::Reader::from_reader(table).into_records().collect::<Result<Vec<_>, _>>()?;
    let rows = records.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let mut said = Vec::with_capacity(rows.len());
    model.predict_rows(&rows, |p| said.push((p.label().to_owned(), p.probabilities().get("survived").unwrap_or(f32::NAN))))?;
    Ok(said)
}

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: titanic PASSENGERS.csv");
        return ExitCode::from(2);
    };
    let said = std::fs::File::open(&path).map_err(Into::into).and_then(|file| predict(&mut Model::new(), file));
    match said {
        Ok(said) => {
            for (i, (label, survives)) in said.iter().enumerate() {
                println!("{:4} {label:8} {:5.1} %", i + 1, survives * 100.0);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_passenger_is_said_what_scikit_learn_says() {
        let said = predict(&mut Model::new(), include_bytes!("../passengers.csv").as_slice()).unwrap();
        let answers =
            csv::Reader::from_reader(include_bytes!("../answers.csv").as_slice()).into_records().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(said.len(), answers.len());
        for (i, ((label, survives), answer)) in said.iter().zip(&answers).enumerate() {
            let expected: f32 = answer[1].parse().unwrap();
            assert_eq!(label, &answer[0], "passenger {i}");
            assert!((survives - expected).abs() < 1e-5, "passenger {i}: {survives}, scikit-learn says {expected}");
        }
    }

    #[test]
    fn one_row_is_as_good_as_many() {
        let mut model = Model::new();
        let row = Row { pclass: "first", sex: "female", age: 30.0, sibsp: 0, parch: 0, fare: 80.0, embarked: "C" };
        let one = model.predict(&row).unwrap();
        let (label, scores) = (one.label().to_owned(), one.probabilities().values().to_vec());
        assert_eq!(label, "survived");
        assert_eq!(one.probabilities().get("nobody"), None);
        let mut count = 0;
        model
            .predict_rows(&[row; 100], |p| {
                assert_eq!(p.label(), label);
                // A batch sums in another order than one row.
                assert!(p.probabilities().values().iter().zip(&scores).all(|(a, b)| (a - b).abs() < 1e-6));
                count += 1;
            })
            .unwrap();
        assert_eq!(count, 100);
    }

    #[test]
    fn a_table_that_is_none_is_an_error() {
        assert!(predict(&mut Model::new(), "pclass,sex\nfirst,male\n".as_bytes()).is_err());
    }
}
