;; No entry point.
(module
  (memory (export "mem") 1)
  (func (export "main")))
