//! The activations of recurrent layers, as ONNX names and parametrises them.

use crate::ops::OpError;

/// Name, default alpha and default beta; `None` where the function has no such parameter.
const FUNCTIONS: [(&str, Option<f32>, Option<f32>); 11] = [
    ("Sigmoid", None, None),
    ("Tanh", None, None),
    ("Relu", None, None),
    ("Affine", Some(1.0), Some(0.0)),
    ("LeakyRelu", Some(0.01), None),
    ("ThresholdedRelu", Some(1.0), None),
    ("ScaledTanh", Some(1.0), Some(1.0)),
    ("HardSigmoid", Some(0.2), Some(0.5)),
    ("Elu", Some(1.0), None),
    ("Softsign", None, None),
    ("Softplus", None, None),
];

/// Names (in ONNX's spelling, whatever the case in the file), and alpha and beta of each.
pub fn resolve(names: &[String], alphas: &[f32], betas: &[f32]) -> Result<(Vec<String>, Vec<f32>), OpError> {
    let mut rows = Vec::new();
    for name in names {
        let row = FUNCTIONS.iter().find(|row| row.0.eq_ignore_ascii_case(name));
        rows.push(row.ok_or_else(|| OpError::unsupported(format!("the activation `{}`", crate::report::clean(name))))?);
    }
    let (alphas, betas) = (values(alphas, rows.iter().map(|r| r.1)), values(betas, rows.iter().map(|r| r.2)));
    let parameters = alphas.into_iter().zip(betas).flat_map(|(a, b)| [a, b]).collect();
    Ok((rows.iter().map(|r| r.0.to_owned()).collect(), parameters))
}

/// The given values go to the functions in order: to each one if there are as many, else to those that have the parameter.
fn values(given: &[f32], defaults: impl ExactSizeIterator<Item = Option<f32>> + Clone) -> Vec<f32> {
    let takers = defaults.clone().flatten().count();
    if given.len() == defaults.len() && given.len() != takers {
        return defaults.zip(given).map(|(default, &g)| default.map_or(0.0, |_| g)).collect();
    }
    let mut given = given.iter();
    defaults.map(|default| default.map_or(0.0, |d| given.next().copied().unwrap_or(d))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_go_to_those_that_take_them() {
        let names = ["sigmoid", "HardSigmoid", "LeakyRelu"].map(str::to_owned);
        let (names, parameters) = resolve(&names, &[0.3], &[]).unwrap();
        assert_eq!(names[0], "Sigmoid");
        assert_eq!(parameters, [0.0, 0.0, 0.3, 0.5, 0.01, 0.0]);
        let (_, parameters) = resolve(&names, &[9.0, 0.3, 0.4], &[]).unwrap();
        assert_eq!(parameters, [0.0, 0.0, 0.3, 0.5, 0.4, 0.0]);
        assert!(resolve(&["Swish".to_owned()], &[], &[]).is_err());
    }
}
