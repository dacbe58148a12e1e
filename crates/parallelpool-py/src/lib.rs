use pyo3::prelude::*;
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
#[pymodule(gil_used = true)]
mod _core {}
