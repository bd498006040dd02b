;; An import from another module than smart_rollup_core.
(module
  (import "env" "puts" (func $puts (param i32)))
  (memory (export "mem") 1)
  (func (export "kernel_run") (call $puts (i32.const 0))))
