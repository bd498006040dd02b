;; Valid WebAssembly, but the rollup's engines refuse floating point even where it is never executed.
(module
  (memory (export "mem") 1)
  (func $never (result i32) (i32.trunc_f32_u (f32.const 1.5)))
  (func (export "kernel_run")))
