//! Tensors stored as what is not zero.

use bytes::Bytes;

use crate::external::ExternalFiles;
use crate::messages::{DataType, SparseTensorProto};
use crate::tensor::{Elements, TensorData, TensorError, TensorFlaw, shape};

/// A sparse tensor whose every index is known to be inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseData {
    /// Extents of the whole.
    pub dims: Vec<usize>,
    /// What is not zero.
    pub values: TensorData,
    /// The position of each value in row-major order, ascending.
    pub indices: Vec<usize>,
}

/// Why a stored sparse tensor is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SparseError {
    /// The values or the indices are malformed themselves.
    #[error("sparse tensor: {0}")]
    Tensor(TensorError),
    /// The extents of the whole are impossible.
    #[error("sparse tensor {name:?}: {flaw}")]
    Dims {
        /// Name of the tensor.
        name: String,
        /// What is wrong.
        flaw: TensorFlaw,
    },
    /// The parts do not fit each other.
    #[error("sparse tensor {name:?}: {flaw}")]
    Parts {
        /// Name of the tensor.
        name: String,
        /// What is wrong.
        flaw: &'static str,
    },
    /// Dense, the tensor would be larger than was allowed.
    #[error("a dense copy would take {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// What it would take.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

impl SparseData {
    /// Reads a sparse tensor. Its name is that of its values.
    pub fn from_proto(sparse: SparseTensorProto, files: &mut ExternalFiles) -> Result<Self, SparseError> {
        let values = sparse.values.unwrap_or_default();
        let name = values.name.clone();
        let values = TensorData::from_proto(values, files).map_err(SparseError::Tensor)?;
        let (dims, count) = match shape(&sparse.dims, values.dtype) {
            Ok(shape) => shape,
            Err(flaw) => return Err(SparseError::Dims { name, flaw }),
        };
        let parts = |flaw| SparseError::Parts { name: name.clone(), flaw };
        if values.dims.len() != 1 {
            return Err(parts("the values are not one-dimensional"));
        }
        let indices = match sparse.indices {
            Some(indices) => linear(TensorData::from_proto(indices, files).map_err(SparseError::Tensor)?, &dims),
            None => Ok(Vec::new()),
        };
        let indices = indices.map_err(parts)?;
        if indices.len() != values.count() {
            return Err(parts("there are not as many indices as values"));
        }
        if indices.last().is_some_and(|&last| last >= count) {
            return Err(parts("an index lies outside the tensor"));
        }
        Ok(Self { dims, values, indices })
    }

    /// The whole tensor, if it takes at most `limit` bytes. Kilobytes of file can stand for terabytes.
    pub fn to_dense(&self, limit: usize) -> Result<TensorData, SparseError> {
        let count: usize = self.dims.iter().product();
        let size = self.values.dtype.size().unwrap_or(size_of::<Bytes>());
        let bytes = count * size;
        if bytes > limit {
            return Err(SparseError::TooLarge { bytes, limit });
        }
        let elements = match &self.values.elements {
            Elements::Bytes(values) => {
                let mut dense = vec![0; bytes];
                for (&index, value) in self.indices.iter().zip(values.chunks_exact(size)) {
                    dense[index * size..][..size].copy_from_slice(value);
                }
                Elements::Bytes(dense.into())
            }
            Elements::Strings(values) => {
                let mut dense = vec![Bytes::new(); count];
                for (&index, value) in self.indices.iter().zip(values) {
                    dense[index] = value.clone();
                }
                Elements::Strings(dense)
            }
        };
        Ok(TensorData { dtype: self.values.dtype, dims: self.dims.clone(), elements })
    }
}

/// Linear indices as they are; coordinates made linear. Ascending, or it is an error.
fn linear(indices: TensorData, dims: &[usize]) -> Result<Vec<usize>, &'static str> {
    let Elements::Bytes(bytes) = &indices.elements else {
        return Err("the indices are not INT64");
    };
    if indices.dtype != DataType::Int64 {
        return Err("the indices are not INT64");
    }
    let numbers = bytes.chunks_exact(8).map(|chunk| {
        let number = chunk.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        usize::try_from(number).map_err(|_| "an index lies outside the tensor")
    });
    let numbers = numbers.collect::<Result<Vec<usize>, _>>()?;
    let linear = match indices.dims[..] {
        [_] => numbers,
        [0, _] => Vec::new(),
        [_, rank] if rank == dims.len() && rank > 0 => {
            numbers.chunks_exact(rank).map(|point| position(point, dims)).collect::<Result<_, _>>()?
        }
        _ => return Err("the indices are neither [n] nor [n, rank]"),
    };
    if !linear.is_sorted_by(|left, right| left < right) {
        return Err("the indices are not in ascending order");
    }
    Ok(linear)
}

fn position(point: &[usize], dims: &[usize]) -> Result<usize, &'static str> {
    point.iter().zip(dims).try_fold(
        0,
        |position, (&index, &dim)| {
            if index < dim { Ok(position * dim + index) } else { Err("an index lies outside the tensor") }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::TensorProto;

    fn sparse(dims: &[i64], indices: &[i64], indices_dims: &[i64]) -> SparseTensorProto {
        let values: Vec<f32> = (1..=indices_dims[0]).map(|n| n as f32).collect();
        SparseTensorProto {
            values: Some(TensorProto {
                data_type: DataType::Float as i32,
                dims: vec![values.len() as i64],
                float_data: values,
                ..Default::default()
            }),
            indices: Some(TensorProto {
                data_type: DataType::Int64 as i32,
                dims: indices_dims.to_vec(),
                int64_data: indices.to_vec(),
                ..Default::default()
            }),
            dims: dims.to_vec(),
        }
    }

    fn read(sparse: SparseTensorProto) -> Result<SparseData, SparseError> {
        SparseData::from_proto(sparse, &mut ExternalFiles::refused())
    }

    #[test]
    fn linear_and_coordinate_indices_agree() {
        let linear = read(sparse(&[3, 4], &[1, 6, 11], &[3])).unwrap();
        let points = read(sparse(&[3, 4], &[0, 1, 1, 2, 2, 3], &[3, 2])).unwrap();
        assert_eq!(linear, points);
        let Elements::Bytes(bytes) = linear.to_dense(48).unwrap().elements else { panic!() };
        let dense = [0_f32, 1., 0., 0., 0., 0., 2., 0., 0., 0., 0., 3.];
        assert_eq!(bytes, dense.map(f32::to_le_bytes).concat());
        assert!(matches!(linear.to_dense(47), Err(SparseError::TooLarge { bytes: 48, .. })));
    }

    #[test]
    fn indices_are_checked() {
        for bad in [
            sparse(&[3, 4], &[12], &[1]),
            sparse(&[3, 4], &[-1], &[1]),
            sparse(&[3, 4], &[5, 5], &[2]),
            sparse(&[3, 4], &[5, 1], &[2]),
            sparse(&[3, 4], &[0, 4], &[1, 2]),
            sparse(&[3, 4], &[0, 0, 0], &[1, 3]),
            sparse(&[3, -4], &[0], &[1]),
            sparse(&[i64::MAX, 4], &[0], &[1]),
            SparseTensorProto { indices: None, ..sparse(&[3, 4], &[0], &[1]) },
            SparseTensorProto::default(),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad:?}");
        }
        assert!(read(sparse(&[0], &[], &[0])).is_ok());
    }
}
