//! Watches a stream of payments: gradient boosting by LightGBM, a payment or a batch at a time.
//!
//! ```text
//! cargo run -q -p fraud --release -- examples/fraud/payments.csv       # says which are suspicious
//! cargo run -q -p fraud --release -- --stream 1000000                  # invents as many, and prints how fast it is
//! ```

mod stream;

use std::error::Error;
use std::io::Read;
use std::process::ExitCode;

/// The model, compiled by build.rs.
mod model {
    include!(concat!(env!("OUT_DIR"), "/fraud.rs"));
}

use model::{Model, Row};

/// The columns of a payment.
const COLUMNS: usize = 12;

/// Payments of a CSV file; what is missing is NaN, which the trees know what to do with.
fn read(table: impl Read) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for record in csv::Reader::from_reader(table).into_records() {
        let record = record?;
        if record.len() != COLUMNS {
            return Err(format!("{} columns instead of {COLUMNS}", record.len()).into());
        }
        let mut row = Row::default();
        for (value, field) in row.payment.iter_mut().zip(&record) {
            *value = if field.is_empty() { f32::NAN } else { field.parse()? };
        }
        rows.push(row);
    }
    Ok(rows)
}

/// For each payment, whether it is taken for fraud, and how likely it is.
fn judge(model: &mut Model, rows: &[Row]) -> Result<Vec<(i64, f32)>, Box<dyn Error>> {
    let mut said = Vec::with_capacity(rows.len());
    model.predict_rows(rows, |p| said.push((p.label(), p.probabilities().get(1).copied().unwrap_or(f32::NAN))))?;
    Ok(said)
}

fn file(path: &str) -> Result<(), Box<dyn Error>> {
    let rows = read(std::fs::File::open(path)?)?;
    for (i, (label, fraud)) in judge(&mut Model::new(), &rows)?.into_iter().enumerate() {
        if label == 1 {
            println!("payment {:5}: {:5.1} % fraud", i + 1, fraud * 100.0);
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--stream", count] => count.parse().map_err(Into::into).and_then(stream::run),
        [path] => file(path),
        _ => {
            eprintln!("usage: fraud PAYMENTS.csv | --stream COUNT");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = result {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_payment_is_said_what_lightgbm_says() {
        let rows = read(include_bytes!("../payments.csv").as_slice()).unwrap();
        let answers =
            csv::Reader::from_reader(include_bytes!("../answers.csv").as_slice()).into_records().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(rows.len(), answers.len());
        let mut model = Model::new();
        let said = judge(&mut model, &rows).unwrap();
        for (i, ((row, (label, fraud)), answer)) in rows.iter().zip(said).zip(&answers).enumerate() {
            let expected: f32 = answer[1].parse().unwrap();
            assert_eq!(label.to_string(), answer[0], "payment {i}");
            assert!((fraud - expected).abs() < 1e-5, "payment {i}: {fraud}, LightGBM says {expected}");
            // One payment takes another way through the trees.
            let alone = model.predict(row).unwrap();
            assert_eq!((alone.label(), alone.probabilities()[1]), (label, fraud), "payment {i}");
        }
    }

    #[test]
    fn a_table_that_is_none_is_an_error() {
        assert!(read("amount\n1.0\n".as_bytes()).is_err());
        assert!(read("a,b,c,d,e,f,g,h,i,j,k,l\n1,2,3,4,5,6,7,8,9,10,11,x\n".as_bytes()).is_err());
    }
}
