//! Broken files, made of good ones, the same every time.

use onnxc_proto::{AttributeProto, DimensionValue, GraphProto, ModelProto, TypeKind};

/// A small generator of pseudo-random numbers.
pub struct Random(u64);

impl Random {
    /// One that starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) % n.max(1) as u64) as usize
    }
}

/// A file with a few bytes changed, removed, repeated, or cut off.
pub fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(4) {
        if out.is_empty() {
            break;
        }
        let at = random.below(out.len());
        match random.below(7) {
            0 => out.truncate(at),
            1 => drop(out.remove(at)),
            2 => out.insert(at, random.below(256) as u8),
            3 => out[at] ^= 1 << random.below(8),
            // Lengths, tags and small integers are single bytes: the interesting values are few.
            4 => out[at] = [0, 1, 2, 0x7f, 0x80, 0xff][random.below(6)],
            5 => {
                let end = (at + 1 + random.below(16)).min(out.len());
                let copy = out[at..end].to_vec();
                out.splice(at..at, copy);
            }
            _ => out[at] = random.below(256) as u8,
        }
    }
    out
}

/// Numbers that break arithmetic, loops and tables.
const EXTREMES: [i64; 14] = [0, 1, -1, 2, 3, -2, 7, 100, 65536, 1 << 31, -(1 << 31), 1 << 40, i64::MAX, i64::MIN];

/// A model that still decodes, with one to three things in it changed: an attribute, a dim, a dtype, an operator, who takes what from whom.
///
/// `operators` are names to choose other operators from.
pub fn restructure(model: &mut ModelProto, operators: &[String], random: &mut Random) {
    let Some(graph) = model.graph.as_mut() else { return };
    for _ in 0..=random.below(3) {
        match random.below(8) {
            0..=3 => change_node(graph, operators, random),
            4 => {
                let tensors = graph.initializer.len();
                if let Some(tensor) = graph.initializer.get_mut(random.below(tensors)) {
                    change_one(&mut tensor.dims, random);
                }
            }
            5 => {
                let tensors = graph.initializer.len();
                if let Some(tensor) = graph.initializer.get_mut(random.below(tensors)) {
                    tensor.data_type = random.below(28) as i32;
                }
            }
            6 => change_input(graph, random),
            _ => {
                if let Some(opset) = model.opset_import.first_mut() {
                    opset.version = 1 + random.below(28) as i64;
                }
            }
        }
    }
}

fn change_one(numbers: &mut [i64], random: &mut Random) {
    let len = numbers.len();
    if let Some(number) = numbers.get_mut(random.below(len)) {
        *number = EXTREMES[random.below(EXTREMES.len())];
    }
}

fn change_input(graph: &mut GraphProto, random: &mut Random) {
    let inputs = graph.input.len();
    let ty = graph.input.get_mut(random.below(inputs)).and_then(|i| i.r#type.as_mut()?.value.as_mut());
    let Some(TypeKind::Tensor(ty)) = ty else { return };
    if random.below(3) == 0 {
        ty.elem_type = random.below(28) as i32;
        return;
    }
    let dims = ty.shape.as_mut().map(|s| &mut s.dim);
    if let Some(dim) = dims.and_then(|d| {
        let len = d.len();
        d.get_mut(random.below(len))
    }) {
        dim.value = match random.below(4) {
            0 => None,
            1 => Some(DimensionValue::DimParam("n".to_owned())),
            _ => Some(DimensionValue::DimValue(EXTREMES[random.below(EXTREMES.len())])),
        };
    }
}

fn change_node(graph: &mut GraphProto, operators: &[String], random: &mut Random) {
    let names: Vec<String> = graph.input.iter().map(|i| i.name.clone()).chain(graph.node.iter().flat_map(|n| n.output.clone())).collect();
    let nodes = graph.node.len();
    let Some(node) = graph.node.get_mut(random.below(nodes)) else { return };
    let (inputs, attributes) = (node.input.len(), node.attribute.len());
    match random.below(7) {
        0 => operators.get(random.below(operators.len())).into_iter().for_each(|name| node.op_type.clone_from(name)),
        1 => drop((inputs > 0).then(|| node.input.remove(random.below(inputs)))),
        2 => node.input.push(names.get(random.below(names.len() + 1)).cloned().unwrap_or_default()),
        3 => {
            if let Some(input) = node.input.get_mut(random.below(inputs)) {
                *input = names.get(random.below(names.len() + 1)).cloned().unwrap_or_default();
            }
        }
        4 => drop((attributes > 0).then(|| node.attribute.remove(random.below(attributes)))),
        _ => {
            let Some(attribute) = node.attribute.get_mut(random.below(attributes)) else { return };
            change_attribute(attribute, operators, random);
        }
    }
}

fn change_attribute(attribute: &mut AttributeProto, operators: &[String], random: &mut Random) {
    if let Some(graph) = &mut attribute.g {
        return change_node(graph, operators, random);
    }
    if let Some(tensor) = &mut attribute.t {
        return change_one(&mut tensor.dims, random);
    }
    if attribute.i.is_some() {
        attribute.i = Some(EXTREMES[random.below(EXTREMES.len())]);
    }
    if attribute.f.is_some() {
        attribute.f = Some([0.0, -1.0, 1e30, f32::NAN, f32::INFINITY, 1e-40][random.below(6)]);
    }
    if attribute.s.is_some() {
        attribute.s = Some(["", "SAME_UPPER", "linear", "cubic", "\u{fffd}"][random.below(5)].into());
    }
    match random.below(4) {
        0 => attribute.ints.push(EXTREMES[random.below(EXTREMES.len())]),
        1 => drop(attribute.ints.pop()),
        _ => change_one(&mut attribute.ints, random),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_differ_and_repeat() {
        let good: Vec<u8> = (0..100).collect();
        let all = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|_| mutate(&good, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert!(all(1).iter().filter(|m| **m != good).count() > 40);
    }
}
